"""What the tests of benchmarks share. The first argument of a test is the build
folder.
"""
import os
import subprocess
import sys
import tempfile
import unittest

BUILD = os.path.abspath(sys.argv.pop(1))
LAUNCH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..",
                      "launch")
DECODE = os.path.join(BUILD, "subgen_bench_decode")
COMM = os.path.join(BUILD, "subgen_bench_comm")
KERNELS = os.path.join(BUILD, "subgen_bench_kernels")
TIME_LIMIT = 180.0

# mpirun as root, in containers and on one core.
ENVIRONMENT = {name: value for name, value in os.environ.items()
               if not name.startswith(("SUBGEN_", "OMPI_", "PMIX_"))}
ENVIRONMENT.update({
    "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "OMPI_MCA_btl_vader_single_copy_mechanism": "none"})


def run(command, **options):
    environment = dict(ENVIRONMENT, **options.pop("env", {}))
    return subprocess.run(command, capture_output=True, timeout=TIME_LIMIT,
                          env=environment, text=True, **options)


def mpirun(command):
    return ["mpirun", "-n", "2"] + command


class BenchCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.model = cls.path("toy.gguf")
        subprocess.run([os.path.join(BUILD, "tests", "write_toy_model"),
                        cls.model, "32"], check=True)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    @classmethod
    def path(cls, name):
        return os.path.join(cls.folder.name, name)

    def output(self, command, **options):
        result = run(command, **options)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout

    def assert_refused(self, command, *words, program="subgen"):
        result = run(command)
        ours = [line for line in result.stderr.splitlines()
                if line.startswith(program + ": ")]
        self.assertEqual(len(ours), 1, result.stderr)
        self.assertIn(result.returncode, (1, 2), result.stderr)
        self.assertEqual(result.stdout, "")
        for word in words:
            self.assertIn(word, ours[0])
