#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""ioreg_test.py DEXTD IOREG: what ioreg prints of a realm that holds nothing but what is built in."""
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest

DEXTD, IOREG = sys.argv[1:3]
IDS = re.compile(r"id 0x[0-9a-f]+|retain \d+")


class Realm(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.TemporaryDirectory(prefix="ioreg_test.")
        ready, write = os.pipe()
        cls.dextd = subprocess.Popen([DEXTD, "--realm", cls.dir.name, "--host", "none", "--ready-fd", str(write)],
                                     pass_fds=[write])
        os.close(write)
        assert os.read(ready, 64).startswith(b"READY=1")
        os.close(ready)
        os.environ["AMBIDEXT_REALM"] = cls.dir.name

    @classmethod
    def tearDownClass(cls):
        cls.dextd.terminate()
        assert cls.dextd.wait(20) == 0
        cls.dir.cleanup()

    def ioreg(self, *args, status=0):
        done = subprocess.run([IOREG, *args], capture_output=True, text=True, timeout=20)
        self.assertEqual(done.returncode, status, done.stderr)
        return done.stdout if status == 0 else done.stderr

    def plain(self, *args):
        return IDS.sub("", self.ioreg(*args)).replace(", , ", ", ").replace(", >", ">")

    def test_tree(self):
        self.assertEqual(self.plain(), """\
+-o Root  <class IORegistryEntry>
  +-o IOResources  <class IOResources, registered, matched, active, busy 0>
  +-o IOUserResources  <class IOUserResources, registered, matched, active, busy 0>
""")

    def test_properties(self):
        text = self.plain("-l")
        self.assertIn('  | {\n  |   "IOKitBuildVersion" = "Ambidext', text)
        self.assertIn('  |   {\n  |     "IOKit" = Yes\n  |     "IOResourceMatch" = "IOKit"\n  |   }\n  |   \n', text)
        self.assertTrue(text.endswith('      {\n        "IOKit" = Yes\n        "IOResourceMatch" = "IOKit"\n      }\n      \n'))

    def test_selection(self):
        only = self.plain("-n", "IOUserResources")
        self.assertEqual(only.count("{"), 1)
        self.assertEqual(only.count("+-o"), 3)
        begun = self.plain("-r", "-c", "IOService")
        self.assertEqual(re.findall(r"\+-o (\w+)", begun), ["IOResources", "IOUserResources"])
        self.assertTrue(begun.startswith("+-o IOResources"))
        way = self.plain("-r", "-t", "-k", "IOKit", "-n", "IOUserResources")
        self.assertTrue(way.startswith("+-o Root  <class IORegistryEntry>\n  +-o IOUserResources"))
        self.assertEqual(self.plain("-r", "-n", "Nothing"), "")

    def test_form(self):
        self.assertEqual(self.ioreg("-d", "1").count("\n"), 1)
        self.assertTrue(all(len(line) <= 12 for line in self.ioreg("-l", "-w", "12").splitlines()))
        self.assertIn("<class IOService:IOResources,", self.plain("-i"))
        self.assertIn("\033[1mRoot\033[0m", self.ioreg("-b"))
        self.assertEqual(self.plain("-p", "IOUSB"), "+-o Root  <class IORegistryEntry>\n")

    def test_json(self):
        root = json.loads(self.ioreg("--json", "-l"))
        self.assertEqual(root["name"], "Root")
        self.assertEqual([child["name"] for child in root["children"]], ["IOResources", "IOUserResources"])
        self.assertIs(root["children"][0]["properties"]["IOKit"], True)
        found = json.loads(self.ioreg("--json", "-r", "-n", "IOResources"))
        self.assertEqual([entry["class"] for entry in found], ["IOResources"])
        self.assertEqual(json.loads(self.ioreg("--json", "-r", "-n", "Nothing")), [])

    def test_refusals(self):
        self.assertIn("no plane 'IOnly'", self.ioreg("-p", "IOnly", status=2))
        self.assertIn("-r begins with", self.ioreg("-r", status=2))
        self.assertIn("--json says the same", self.ioreg("-a", status=2))
        self.assertIn("options only", self.ioreg("x", status=2))
        self.assertIn("a number", self.ioreg("-w", "wide", status=2))
        os.environ["AMBIDEXT_REALM"] = "/nonexistent"
        try:
            self.assertIn("no dextd answers", self.ioreg(status=1))
        finally:
            os.environ["AMBIDEXT_REALM"] = self.dir.name

    def test_help(self):
        self.assertIn("usage: ioreg", self.ioreg("--help"))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=1)
