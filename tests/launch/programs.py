"""What tests of the programs share: how they are run, and how they refuse."""
import json
import os
import subprocess
import sys
import tempfile
import unittest

BUILD = os.path.abspath(sys.argv.pop(1))
GENERATE = os.path.join(BUILD, "subgen_generate")
INSPECT = os.path.join(BUILD, "subgen_inspect")
TIME_LIMIT = 120.0 if "asan" in BUILD else 40.0

# mpirun as root, in containers and on one core.
ENVIRONMENT = {name: value for name, value in os.environ.items()
               if not name.startswith(("SUBGEN_", "OMPI_", "PMIX_"))}
ENVIRONMENT.update({
    "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "OMPI_MCA_btl_vader_single_copy_mechanism": "none"})


def run(command, **options):
    environment = dict(ENVIRONMENT, **options.pop("env", {}))
    limit = options.pop("timeout", TIME_LIMIT)
    return subprocess.run(command, capture_output=True, timeout=limit,
                          env=environment, **options)


def mpirun(command, ranks=2):
    return ["mpirun", "-n", str(ranks)] + command


class ProgramCase(unittest.TestCase):
    MODEL_OPTIONS = []  # of write_toy_model

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.model = os.path.join(cls.folder.name, "toy.gguf")
        subprocess.run([os.path.join(BUILD, "tests", "write_toy_model"),
                        cls.model, *cls.MODEL_OPTIONS], check=True)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    @classmethod
    def path(cls, name):
        return os.path.join(cls.folder.name, name)

    def write(self, name, text):
        with open(self.path(name), "wb") as file:
            file.write(text if isinstance(text, bytes) else text.encode())
        return self.path(name)

    def generate(self, *arguments):
        return [GENERATE, "--model", self.model, "--max_tokens", "12",
                *arguments]

    def report(self, command):
        """Runs the command and returns its report and standard output."""
        path = self.path("report.json")
        result = run(command + ["--report", path])
        self.assertEqual(result.returncode, 0, result.stderr.decode())
        with open(path) as file:
            return json.load(file), result

    def assert_refused(self, command, *words, **options):
        """One line from us, naming the words; non-zero; no crash."""
        result = run(command, **options)
        error = result.stderr.decode(errors="replace")
        ours = [line for line in error.splitlines()
                if line.startswith("subgen: ")]
        self.assertEqual(len(ours), 1, error)
        self.assertEqual(result.returncode, 1, error)
        self.assertNotIn("Sanitizer", error)
        for word in words:
            self.assertIn(word, ours[0])
        return ours[0]

    def assert_refused_everywhere(self, command, *words, **options):
        self.assert_refused(command, *words, **options)
        self.assert_refused(mpirun(command), *words, **options)
