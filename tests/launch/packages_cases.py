"""Tests of the list of Debian packages, run by scripts_test.py: it is what a build
without tests takes, and no more."""
import functools
import os
import re
import subprocess
import tempfile
import unittest

from debian_packages import Packages, is_debian
from script_checkout import ROOT

BUILD = ""  # the build folder, set by scripts_test.py


@unittest.skipUnless(is_debian(), "not a Debian system")
class PackagesTest(unittest.TestCase):
    """What a build without tests takes, by the files that it finds."""

    @classmethod
    def setUpClass(cls):
        cls.packages = Packages()
        cls.listed = subprocess.run(
            [os.path.join(ROOT, "launch", "install_packages.sh"), "--list"],
            capture_output=True, text=True, check=True).stdout.split()
        cls.found_by_cmake = staticmethod(functools.lru_cache(cls.configure))
        cls.complete = cls.packages.with_dependencies(cls.listed)

    @classmethod
    def configure(cls, tests):
        """Packages of what the cache names after configuring, with entries."""
        owners = {}
        with tempfile.TemporaryDirectory() as folder:
            result = subprocess.run(
                ["cmake", "-S", ROOT, "-B", folder, "-G", "Ninja",
                 "-DSUBGEN_CUDA=OFF", "-DSUBGEN_TESTS=" + tests],
                capture_output=True, text=True)
            if result.returncode != 0:
                raise AssertionError(result.stderr)
            with open(os.path.join(folder, "CMakeCache.txt")) as cache:
                entries = re.findall(r"(?m)^([^:/#]+):(?:FILE)?PATH=(/.+)$",
                                     cache.read())
        for name, path in entries:
            own = cls.packages.owners(path)
            if len(own) == 1:  # a folder like /usr/include is many's
                owners.setdefault(own.pop(), []).append(name)
        return owners

    def headers(self):
        """Headers of the system that the programs of BUILD were compiled with."""
        listed = subprocess.run(["ninja", "-C", BUILD, "-t", "deps"],
                                capture_output=True, text=True,
                                check=True).stdout
        headers, counts = set(), False
        for line in listed.splitlines():
            if not line.startswith(" "):
                counts = not line.startswith("tests/")
            elif counts and line.strip().startswith("/"):
                headers.add(os.path.normpath(line.strip()))
        return {header for header in headers
                if not header.startswith((ROOT + "/", BUILD + "/")) and
                "/cuda" not in header}

    def test_asks_for_no_other_package(self):
        for package, entries in self.found_by_cmake("OFF").items():
            self.assertIn(package, self.complete, entries)

    def test_no_header_comes_from_another_package(self):
        headers = self.headers()
        self.assertGreater(len(headers), 100, "BUILD holds no programs")
        for header in headers:
            owners = self.packages.owners(header)
            self.assertTrue(owners & self.complete,
                            "%s of %s" % (header, owners or "no package"))

    def test_every_package_of_headers_is_used(self):
        used = set(self.found_by_cmake("OFF"))
        for header in self.headers():
            used |= self.packages.owners(header)
        for package in self.listed:
            if package.endswith("-dev"):
                self.assertIn(package, used)

    def test_it_would_see_what_only_tests_need(self):
        more = set(self.found_by_cmake("ON")) - self.complete
        self.assertTrue(any("boost" in package for package in more), more)
