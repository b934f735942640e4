#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The checks of tools/ find what is planted, and nothing in a good tree."""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

TOP = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
TOOLS = os.path.join(TOP, "tools")
SPDX = "/* SPDX-License-Identifier: MIT */\n"


def run(tool, *args):
    done = subprocess.run([sys.executable, os.path.join(TOOLS, tool), *args], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


class Tree(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.root = self.folder.name

    def tearDown(self):
        self.folder.cleanup()

    def put(self, path, text):
        full = os.path.join(self.root, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8") as file:
            file.write(text)

    def expect(self, tool, path, text, found):
        """One planted file: FOUND is in the message, or the tree is good if it is None."""
        self.put(path, text)
        status, output = run(tool, "--root", self.root)
        os.unlink(os.path.join(self.root, path))
        if found is None:
            self.assertEqual((status, output), (0, ""))
        else:
            self.assertEqual(status, 1, output)
            self.assertIn(f"{path}:", output)
            self.assertIn(found, output)
            self.assertEqual(output.count("\n"), 1, output)


class Layers(Tree):
    def setUp(self):
        super().setUp()
        for path in ("src/base/log.h", "src/object/object.h", "src/dextd/registry.h", "src/usbhost/backend.h",
                     "src/usbhost/core.h", "src/usbhost/model/model.h", "examples/01-echo/echo.h"):
            self.put(path, SPDX)

    def expect(self, path, include, found):
        super().expect("check-layers", path, f"{SPDX}\n# include {include} /* why */\n", found)

    def test_good(self):
        self.expect("src/base/a.c", '"log.h"', None)
        self.expect("src/base/a.c", "<sys/socket.h>", None)
        self.expect("src/dextd/a.c", '"object/object.h"', None)
        self.expect("src/dextd/a.c", '"dextd/registry.h"', None)
        self.expect("src/dextd/a.c", "<plist/plist.h>", None)
        self.expect("src/dextd/a_test.c", "<cmocka.h>", None)
        self.expect("src/usbhost/libusb/a.c", '"usbhost/backend.h"', None)
        self.expect("src/usbhost/libusb/a.c", "<libusb.h>", None)
        self.expect("src/usbhost/model/a.c", "<ambidext/usb_model.h>", None)
        self.expect("models/sensor.c", "<ambidext/usb_model.h>", None)
        self.expect("examples/01-echo/a.c", '"echo.h"', None)
        self.expect("examples/01-echo/a.c", '"EchoDriver.h"', None)
        self.expect("examples/01-echo/a.c", "<IOKit/IOKitLib.h>", None)

    def test_planted(self):
        self.expect("src/base/a.c", '"object/object.h"', "src/base may use nothing")
        self.expect("src/base/a.c", '"../object/object.h"', "src/base may use nothing")
        self.expect("src/object/a.h", '"channel/generated.h"', "src/object may use src/base")
        self.expect("src/iokit/a.c", '"dextd/registry.h"', "src/iokit may use")
        self.expect("src/iokit/a_test.c", '"dextd/registry.h"', "src/iokit may use")
        self.expect("src/dextd/a.c", "<USBDriverKit/IOUSBHostDevice.h>", "of the public headers")
        self.expect("src/dextd/a.c", '"usbhost/backend.h"', "src/dextd may use")
        self.expect("src/dextd/a.c", "<libusb.h>", "belongs in src/usbhost/libusb")
        self.expect("src/dextd/a.c", "<cmocka.h>", "unit tests")
        self.expect("src/usbhost/a.c", '"usbhost/model/model.h"', "by usbhost/backend.h only")
        self.expect("src/usbhost/libusb/a.c", '"usbhost/core.h"', "may use src/base, src/usbhost/backend.h")
        self.expect("src/usbhost/libusb/a.c", '"usbhost/model/model.h"', "may use src/base")
        self.expect("src/unheard/a.c", "<stdio.h>", "in no row")
        self.expect("models/sensor.c", '"usbhost/backend.h"', "nothing of src/")
        self.expect("models/sensor.c", "<DriverKit/IOLib.h>", "of the public headers")
        self.expect("examples/02-async/a.c", '"base/log.h"', "nothing of src/")
        self.expect("examples/02-async/a.c", '"../01-echo/echo.h"', "examples may use")


class Spdx(Tree):
    def expect(self, path, text, found):
        super().expect("check-spdx", path, text, found)

    def test_good(self):
        self.expect("src/a.c", SPDX, None)
        self.expect("run", "#!/bin/sh\n# SPDX-License-Identifier: MIT\n", None)
        self.expect("README.md", "# words\n", None)
        self.expect("src/a.c", SPDX + f'mkdtemp("a{"X" * 6}");\n', None)
        self.expect("tests/golden/a.c", "int a;\n", None)
        self.expect("build-x/a.c", "int a;\n", None)

    def test_planted(self):
        self.expect("src/a.c", "int a;\n", "no line")
        self.expect("tools/x", "#!/bin/sh\n", "no line")
        self.expect("src/meson.build", "\n\n\n# SPDX-License-Identifier: MIT\n", "no line")
        self.expect("docs/a.md", "see /wo" + "rk/main/src\n", "somebody's machine")
        self.expect("src/a.c", SPDX + "/* TO" + "DO: write it */\n", "unfinished")
        self.expect("src/a.c", SPDX + "int a;\n" * 800, "801 lines")


class Summary(Tree):
    def summary(self, results, status):
        self.put("log", "".join(json.dumps({"name": f"t{i}", "result": r, "stdout": "x\n", "stderr": "no QEMU\n"}) + "\n"
                                for i, r in enumerate(results)))
        code, output = run("test-summary", os.path.join(self.root, "log"), "61", str(status))
        return code, output.splitlines()

    def test_counts(self):
        code, lines = self.summary(["OK", "SKIP", "OK", "EXPECTEDFAIL"], 0)
        self.assertEqual((code, lines[-1]), (0, "3 passed, 0 failed, 1 skipped"))
        self.assertIn("skipped: t1: no QEMU", lines)
        self.assertIn("took 1 min 1 s", lines)

    def test_failures(self):
        for bad in ("FAIL", "TIMEOUT", "ERROR", "INTERRUPT", "UNEXPECTEDPASS"):
            code, lines = self.summary(["OK", bad], 1)
            self.assertEqual((code, lines[-1]), (1, "1 passed, 1 failed, 0 skipped"))
            self.assertIn(f"failed: t1: {bad}", lines)

    def test_nothing_passed_is_no_success(self):
        self.assertEqual(self.summary(["SKIP"], 0)[0], 1)
        self.assertEqual(self.summary([], 0)[0], 1)

    def test_meson_failed_otherwise(self):
        self.assertEqual(self.summary(["OK"], 2)[0], 1)


class Soak(Tree):
    """tests/soak/run, beside sections of ours."""

    FIGURE = {"id": "R5", "measure": "back", "value": 12.5, "unit": "ms", "op": "<", "bar": 20, "counters": {"kills": 200}}

    def soak(self, script, *args):
        self.put("sections/one", f"#!/bin/sh\n{script}\n")
        os.chmod(os.path.join(self.root, "sections/one"), 0o755)
        shutil.copy(os.path.join(TOP, "tests/soak/run"), os.path.join(self.root, "run"))
        done = subprocess.run([sys.executable, os.path.join(self.root, "run"), "--check", *args], capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    def figure(self, **changes):
        return f"echo '{json.dumps({**self.FIGURE, **changes})}'"

    def test_met(self):
        status, output = self.soak(self.figure())
        self.assertEqual(status, 0, output)
        self.assertIn("1 met, 0 not met, 0 broke, 0 skipped", output)
        self.assertIn("kills 200", output)

    def test_not_met(self):
        for changes in ({"value": 20}, {"counters": {"kills": 0}}, {"counters": {}}):
            status, output = self.soak(self.figure(**changes))
            self.assertEqual(status, 1, output)
            self.assertIn("0 met, 1 not met", output)

    def test_broke(self):
        for script in ("exit 3", "true", "echo nonsense", self.figure(value="fast"), self.figure() + "; exit 1"):
            status, output = self.soak(script)
            self.assertEqual(status, 1, output)
            self.assertIn("1 broke", output)

    def test_skipped_is_not_met(self):
        status, output = self.soak("exit 77")
        self.assertEqual(status, 1, output)
        self.assertIn("1 skipped", output)

    def test_arguments(self):
        status, output = self.soak('[ "$1 $2 $3 $4" = "--minutes 3.0 --seed 7" ] && ' + self.figure(), "one", "--minutes", "3", "--seed", "7")
        self.assertEqual(status, 0, output)
        status, output = self.soak("true", "two")
        self.assertEqual(status, 1, output)
        self.assertIn("there is no section 'two'; there are: one", output)


class Scripts(Tree):
    def sh(self, *args):
        done = subprocess.run(args, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        return done.returncode, done.stdout, done.stderr

    def test_run_refuses_what_it_does_not_know(self):
        status, out, err = self.sh(os.path.join(TOP, "run"), "dance")
        self.assertEqual((status, out), (1, ""))
        self.assertIn("there is no command 'dance'", err)
        self.assertEqual(self.sh(os.path.join(TOP, "run"))[0], 2)
        status, out, _ = self.sh(os.path.join(TOP, "run"), "--help")
        self.assertEqual(status, 0)
        for command in ("demo", "test", "bench", "soak", "exec"):
            self.assertRegex(out, rf"(?m)^  {command} ")

    def test_with_build(self):
        self.put("build/src/iig/iig", "#!/bin/sh\n# SPDX-License-Identifier: MIT\necho this one\n")
        os.chmod(os.path.join(self.root, "build/src/iig/iig"), 0o755)
        self.put("build/src/iokit/libIOKit.so", "")
        self.put("build/meson-uninstalled/iokit-uninstalled.pc", "")
        build = os.path.join(self.root, "build")
        status, out, _ = self.sh(os.path.join(TOOLS, "with-build"), build, "sh", "-c",
                                 'iig; echo "$LD_LIBRARY_PATH:"; echo "$PKG_CONFIG_PATH:"; echo $AMBIDEXT_BUILD_DIR; exit 9')
        lines = out.splitlines()
        self.assertEqual(status, 9)
        self.assertEqual(lines[0], "this one")
        self.assertTrue(lines[1].startswith(f"{build}/src/iokit:"), lines[1])
        self.assertTrue(lines[2].startswith(f"{build}/meson-uninstalled:"), lines[2])
        self.assertEqual(lines[3], build)
        self.assertEqual(self.sh(os.path.join(TOOLS, "with-build"), self.root + "/none", "true")[0], 2)


if __name__ == "__main__":
    unittest.main()
