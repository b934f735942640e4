# SPDX-License-Identifier: MIT
"""What the hostile runs share: the realm's log, counts of dextd, honest clients."""

import json
import os
import subprocess
import sys
import time

BUILD = os.environ['AMBIDEXT_BUILD_DIR']
SOURCE = os.environ['AMBIDEXT_SOURCE_DIR']
HERE = BUILD + '/tests/hostile/'
PATIENCE = 60


def failed(what):
    print('FAILED: ' + what, flush=True)
    sys.exit(1)


def capture(*command, timeout=PATIENCE, check=True):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout)
    text = done.stdout.decode(errors='replace')
    if check and done.returncode != 0:
        failed('%s ended with %d: %s%s' % (' '.join(command), done.returncode, text, done.stderr.decode(errors='replace')))
    return text


class Bystander:
    """An honest client of one service. Its phases are named on its input; its report is its last line."""

    def __init__(self, service, pause_us):
        self.process = subprocess.Popen([HERE + 'hostile-bystander', service, str(pause_us)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)

    def phase(self, name):
        self.process.stdin.write(name + '\n')
        self.process.stdin.flush()
        if self.process.stdout.readline().strip() != name:
            failed('a bystander has ended')

    def end(self):
        self.process.stdin.write('end\n')
        self.process.stdin.close()
        lines = self.process.stdout.read().strip().splitlines()
        self.process.wait(timeout=PATIENCE)
        return json.loads(lines[-1])


def dextd_pid():
    with open(os.environ['AMBIDEXT_REALM'] + '/dextd.pid') as file:
        return int(file.read())


def count(pid):
    """What dextd has: descriptors, shared memory, processes of the realm."""
    with open('/proc/%d/maps' % pid) as file:
        memory = sum('/memfd:' in line for line in file)
    children = 0
    for name in os.listdir('/proc'):
        if name.isdigit():
            try:
                with open('/proc/%s/stat' % name) as file:
                    children += int(file.read().rsplit(')', 1)[1].split()[1]) == pid
            except OSError:
                pass
    return {'descriptors': len(os.listdir('/proc/%d/fd' % pid)), 'memory': memory, 'processes': children}


def resident_kib(pid):
    with open('/proc/%d/status' % pid) as file:
        return next(int(line.split()[1]) for line in file if line.startswith('VmRSS'))


class Log:
    """The realm's log since the last look."""

    def __init__(self):
        self.last = 0

    def since(self):
        lines = [json.loads(line) for line in capture('dext', 'log', '--json').split('\n') if line]
        news = [line for line in lines if line['sequence'] > self.last]
        if news:
            self.last = news[-1]['sequence']
        return news


def within(check, what, seconds=20.0):
    """The first true value of check(), looked at until the time is over."""
    until = time.monotonic() + seconds
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > until:
            failed(what)
        time.sleep(0.01)


def server(name):
    for each in json.loads(capture('dext', 'list', '--json', 'servers'))['servers']:
        if each['name'] == name and each['state'] == 'running':
            return each
    return None
