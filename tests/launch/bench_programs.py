"""What the tests of benchmarks share beside what tests of programs do."""
import os

import programs
from programs import BUILD, ProgramCase

LAUNCH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..",
                      "launch")
DECODE = os.path.join(BUILD, "subgen_bench_decode")
COMM = os.path.join(BUILD, "subgen_bench_comm")
KERNELS = os.path.join(BUILD, "subgen_bench_kernels")
TIME_LIMIT = 180.0


def run(command, **options):
    """programs.run for text, with time to measure."""
    return programs.run(command, timeout=TIME_LIMIT, text=True, **options)


class BenchCase(ProgramCase):
    MODEL_OPTIONS = ["32"]

    def output(self, command, **options):
        result = run(command, **options)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout

    def assert_refused(self, command, *words, program="subgen"):
        """By any program or script: each has its name before the line."""
        result = run(command)
        ours = [line for line in result.stderr.splitlines()
                if line.startswith(program + ": ")]
        self.assertEqual(len(ours), 1, result.stderr)
        self.assertIn(result.returncode, (1, 2), result.stderr)
        self.assertEqual(result.stdout, "")
        for word in words:
            self.assertIn(word, ours[0])
