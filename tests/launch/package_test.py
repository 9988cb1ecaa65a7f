#!/usr/bin/env python3
"""Packs the programs, unpacks them elsewhere and runs them with an empty
environment: nothing but glibc may come from this machine.

usage: package_test.py BUILD_FOLDER [unittest arguments]
"""
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import unittest

BUILD = os.path.abspath(sys.argv.pop(1))
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
GLIBC = re.compile(r"/(ld-linux[^/]*|lib(c|m|dl|rt|pthread|resolv|util|anl|"
                   r"nsl|nss_[a-z]*)\.so[.0-9]*)$")
# It runs as root, in containers and on one core; nothing is of Open MPI's prefix.
EMPTY = {
    "PATH": "/usr/bin:/bin",
    "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "OMPI_MCA_btl_vader_single_copy_mechanism": "none"}


@unittest.skipIf(shutil.which("patchelf") is None, "patchelf is not installed")
class PackageTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        tarball = os.path.join(cls.folder.name, "subgen.tar.gz")
        packed = subprocess.run(
            [os.path.join(ROOT, "launch", "package.sh"), BUILD, tarball],
            capture_output=True, text=True)
        if packed.returncode != 0:
            raise AssertionError(packed.stderr)
        place = os.path.join(cls.folder.name, "some other place")
        os.mkdir(place)
        subprocess.run(["tar", "-xzf", tarball, "-C", place], check=True)
        cls.package = os.path.join(place, "subgen")
        cls.model = os.path.join(cls.folder.name, "toy.gguf")
        subprocess.run([os.path.join(BUILD, "tests", "write_toy_model"),
                        cls.model], check=True)
        # It is as on a file server: nobody writes there.
        for folder, _, _ in os.walk(cls.package):
            os.chmod(folder, stat.S_IRUSR | stat.S_IXUSR)

    @classmethod
    def tearDownClass(cls):
        for folder, _, _ in os.walk(cls.package):
            os.chmod(folder, stat.S_IRWXU)
        cls.folder.cleanup()

    def program(self, name):
        return os.path.join(self.package, "bin", name)

    def generate(self):
        return [self.program("subgen_generate"), "--model", self.model,
                "--prompt", "ab", "--max_tokens", "8"]

    def run_packed(self, command, **more):
        return subprocess.run(command, capture_output=True, timeout=60,
                              env=dict(EMPTY, **more), cwd="/")

    def loaded(self, command):
        """Libraries that all processes of the command started."""
        with tempfile.TemporaryDirectory() as folder:
            self.run_packed(command, LD_DEBUG="libs",
                            LD_DEBUG_OUTPUT=os.path.join(folder, "trace"))
            traces = ""
            for name in os.listdir(folder):
                with open(os.path.join(folder, name)) as trace:
                    traces += trace.read()
        return set(re.findall(r"calling init: (\S.*)", traces))

    def assert_own(self, libraries):
        self.assertGreater(len(libraries), 10)
        for library in libraries:
            if not os.path.realpath(library).startswith(
                    os.path.realpath(self.package)):
                self.assertRegex(library, GLIBC)

    def test_one_rank(self):
        result = self.run_packed(self.generate())
        self.assertEqual(result.returncode, 0, result.stderr.decode())
        self.assert_own(self.loaded(self.generate()))

    def test_ranks_of_its_own_mpirun(self):
        alone = self.run_packed(self.generate())
        command = [self.program("mpirun"), "-n", "2"] + self.generate()
        both = self.run_packed(command)
        self.assertEqual(both.returncode, 0, both.stderr.decode())
        self.assertEqual(both.stdout, alone.stdout)
        self.assertIn("2 head shards", both.stderr.decode())
        # bash, which starts the package's mpirun, is the machine's.
        libraries = {library for library in self.loaded(command)
                     if "libtinfo" not in library}
        self.assert_own(libraries)
        self.assertTrue(any("mca_btl" in library for library in libraries))

    def test_parameters_of_open_mpi_are_the_package_s_and_the_user_s(self):
        """The package's file stands in for the machine's; the user's own and
        an own list of files still hold."""
        packed = os.path.join(self.package, "mpi", "etc",
                              "openmpi-mca-params.conf")
        with open(packed) as file:
            before = file.read()
        self.assertIn("ucx", before)
        home = os.path.join(self.folder.name, "home")
        own = os.path.join(home, ".openmpi", "mca-params.conf")
        os.makedirs(os.path.dirname(own))
        command = [self.program("mpirun"), "-n", "2"] + self.generate()

        def transport(**more):
            """What Open MPI says of its choice where a file asks it to."""
            error = self.run_packed(command, HOME=home, **more).stderr.decode()
            return re.findall(r"select: component (\w+) selected", error)

        self.assertEqual(transport(), [])
        with open(own, "w") as file:
            file.write("pml_base_verbose = 20\n")
        self.assertEqual(transport(), ["ob1", "ob1"])
        self.assertEqual(
            transport(OMPI_MCA_mca_base_param_files="/dev/null"), [])
        os.remove(own)
        try:
            with open(packed, "a") as file:
                file.write("\npml_base_verbose = 20\n")
            self.assertEqual(transport(), ["ob1", "ob1"])
        finally:
            with open(packed, "w") as file:
                file.write(before)

    def test_licences_of_what_is_packed(self):
        folder = os.path.join(self.package, "licenses")
        for package, word in (
                ("libopenmpi3", "open-mpi.org"), ("libabsl20220623", "Apache"),
                ("libcli11-dev", "CLI11"), ("nlohmann-json3-dev", "MIT"),
                ("libstdc++6", "GCC")):
            with open(os.path.join(folder, package)) as file:
                self.assertTrue(word in file.read(), package)
        named = set()
        for name in os.listdir(folder):
            if name != "common-licenses":
                with open(os.path.join(folder, name)) as file:
                    named |= set(re.findall(
                        r"/usr/share/common-licenses/([\w.+-]*\w)",
                        file.read()))
        self.assertGreater(len(named), 2)
        self.assertLessEqual(
            {name for name in named
             if os.path.exists("/usr/share/common-licenses/" + name)},
            set(os.listdir(os.path.join(folder, "common-licenses"))))

    def test_the_project_s_own_licence(self):
        self.assertEqual(
            os.path.exists(os.path.join(ROOT, "LICENSE")),
            os.path.exists(os.path.join(self.package, "LICENSE")))

    def test_every_program_starts(self):
        for name in sorted(os.listdir(os.path.join(self.package, "bin"))):
            if name.startswith("subgen_"):
                result = self.run_packed([self.program(name), "--help"])
                self.assertEqual(result.returncode, 0, name)

    def test_every_library_finds_its_own(self):
        for folder, _, names in os.walk(self.package):
            for name in names:
                if ".so" not in name:
                    continue
                out = subprocess.run(["ldd", os.path.join(folder, name)],
                                     capture_output=True, text=True, env=EMPTY)
                self.assertNotIn("not found", out.stdout, name)
                for library in re.findall(r"=> (/.*) \(0x", out.stdout):
                    if not library.startswith(self.package):
                        self.assertRegex(library, GLIBC, name)


if __name__ == "__main__":
    unittest.main()
