#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""host.py SHARE [DEVICE…]: the hand at the guest's USB ports.

Plugs the DEVICEs into a QEMU that listens on SHARE/qmp.sock, then does what the guest asks on its second serial
port (SHARE/control.sock), one line a request: "plug NAME", "unplug NAME", "key QCODE". Answers "ok" or "error WHY".
What the guest sends to the serial adapter comes back to it. Ends with QEMU.
"""
import json
import os
import socket
import sys
import threading
import time

# A port each, so that a device keeps its place: 1 and 5 are the first ports of the controller's two speeds.
DEVICES = {
    "stick": {"driver": "usb-storage", "port": "1", "drive": "stick-drive"},
    "serial": {"driver": "usb-serial", "port": "2", "chardev": "serial-line", "always-plugged": True},
    "keyboard": {"driver": "usb-kbd", "port": "3"},
}


def connect(path):
    """QEMU makes its sockets after it was started."""
    deadline = time.monotonic() + 30
    while True:
        line = socket.socket(socket.AF_UNIX)
        try:
            line.connect(path)
            return line
        except OSError:
            line.close()
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


class Qemu:
    def __init__(self, path):
        self.file = connect(path).makefile("rw")
        self.events = []
        json.loads(self.file.readline())
        self.command("qmp_capabilities")

    def receive(self):
        line = self.file.readline()
        if not line:
            raise EOFError("QEMU has ended")
        return json.loads(line)

    def command(self, name, **arguments):
        self.file.write(json.dumps({"execute": name, "arguments": arguments}) + "\n")
        self.file.flush()
        while True:
            answer = self.receive()
            if "event" in answer:
                self.events.append(answer)
            elif "error" in answer:
                raise RuntimeError(answer["error"]["desc"])
            else:
                return answer["return"]

    def plug(self, name):
        device = dict(DEVICES[name], id=name, bus="xhci.0")
        if "drive" in device:
            path = os.path.join(SHARE, name + ".image")
            with open(path, "wb") as image:
                image.truncate(64 << 20)
            self.command("blockdev-add", **{"driver": "file", "node-name": device["drive"], "filename": path})
        if "chardev" in device:
            path = os.path.join(SHARE, name + ".sock")
            backend = {"type": "socket", "data": {"addr": {"type": "unix", "data": {"path": path}},
                                                  "server": True, "wait": False}}
            self.command("chardev-add", id=device["chardev"], backend=backend)
            threading.Thread(target=echo, args=(path,), daemon=True).start()
        self.command("device_add", **device)

    def unplug(self, name):
        device = DEVICES[name]
        self.command("device_del", id=name)
        while not any(e["event"] == "DEVICE_DELETED" and e["data"].get("device") == name for e in self.events):
            self.events.append(self.receive())
        self.events.clear()
        if "drive" in device:
            self.command("blockdev-del", **{"node-name": device["drive"]})
        if "chardev" in device:
            self.command("chardev-remove", id=device["chardev"])
            os.unlink(os.path.join(SHARE, name + ".sock"))

    def key(self, code):
        for down in (True, False):
            self.command("input-send-event", events=[
                {"type": "key", "data": {"down": down, "key": {"type": "qcode", "data": code}}}])
            time.sleep(0.05)  # two reports, not one


def echo(path):
    line = connect(path)
    try:
        while data := line.recv(4096):
            line.sendall(data)
    except OSError:
        pass  # unplugged


def obey(qemu, words):
    if len(words) != 2 or words[0] not in ("plug", "unplug", "key"):
        return "error it understands: plug NAME, unplug NAME, key QCODE"
    if words[0] != "key" and words[1] not in DEVICES:
        return f"error there is no device {words[1]}; there are {', '.join(DEVICES)}"
    try:
        getattr(qemu, words[0])(words[1])
    except RuntimeError as error:
        return f"error {error}"
    return "ok"


def main():
    qemu = Qemu(os.path.join(SHARE, "qmp.sock"))
    for name in sys.argv[2:]:
        answer = obey(qemu, ["plug", name])
        if answer != "ok":
            sys.exit(f"tests/vm: cannot plug {name}: {answer}")
    control = connect(os.path.join(SHARE, "control.sock")).makefile("rw")
    for line in control:
        control.write(obey(qemu, line.split()) + "\n")
        control.flush()


if __name__ == "__main__":
    SHARE = sys.argv[1]
    try:
        main()
    except (EOFError, ConnectionError):
        pass  # QEMU has ended
