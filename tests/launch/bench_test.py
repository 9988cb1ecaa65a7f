#!/usr/bin/env python3
"""Runs the benchmarks as people do: right, and with mistakes. What they print
is checked, never how fast they are.

usage: bench_test.py BUILD_FOLDER [unittest arguments]
"""
import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

from terminal import on_terminal

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

# What compare_llama_cpp.py uses of the Python package.
FAKE_LLAMA = """
import ctypes
import time
__version__ = "0.0"
GGML_TYPE_Q8_0 = 8
llama_token = ctypes.c_int
class Llama:
    ctx = None
    def __init__(self, path, **options):
        assert options["flash_attn"]
        time.sleep(0.02)
    def n_vocab(self):
        return 100
    def close(self):
        pass
def llama_batch_get_one(tokens, count):
    assert len(tokens) == count
def llama_decode(ctx, batch):
    time.sleep(0.001)
    return 0
def llama_synchronize(ctx):
    pass
def llama_get_memory(ctx):
    pass
def llama_memory_seq_rm(memory, sequence, first, end):
    return True
"""

# What it uses of ik_llama.cpp: fast with prompts, slow with single tokens.
FAKE_IK = r"""#!/usr/bin/env python3
import sys
arguments = sys.argv[1:]
flags = dict(zip(arguments[::2], arguments[1::2]))
assert (flags["-rtr"], flags["-r"], flags["-o"]) == ("1", "1", "json")
assert flags["-t"] == "1" and flags["-n"] == "0"
if flags["-p"] == "0":
    assert flags["-gp"] == "16,4"
    print('[{"avg_ts": 1.5}]')
else:
    assert flags["-p"] == "20"
    print('said before\n[{"avg_ts": 40000.0}]')
"""

# What compare_torch.py uses of the Python package; each call takes a
# millisecond.
FAKE_TORCH = """
import time
from types import SimpleNamespace
__version__ = "0.0"
bfloat16 = "bfloat16"
def randn(*sizes, device, dtype):
    return sizes
def set_num_threads(count):
    pass
def _attend(query, key, value, enable_gqa):
    assert query[3] == key[3] and key == value
    time.sleep(0.001)
def _linear(tokens, weight):
    assert tokens[1] == weight[1]
    time.sleep(0.001)
cuda = SimpleNamespace(is_available=lambda: False)
nn = SimpleNamespace(functional=SimpleNamespace(
    scaled_dot_product_attention=_attend, linear=_linear))
"""


def run(command, **options):
    environment = dict(ENVIRONMENT, **options.pop("env", {}))
    return subprocess.run(command, capture_output=True, timeout=TIME_LIMIT,
                          env=environment, text=True, **options)


def mpirun(command):
    return ["mpirun", "-n", "2"] + command


class BenchTest(unittest.TestCase):
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

    def decode(self, *arguments):
        flags = {"-p": "20", "-d": "0,600", "--policies": "exact,subgen/bf16"}
        settings = []
        for name, value in zip(arguments[::2], arguments[1::2]):
            if name == "--set":
                settings += [name, value]
            else:
                flags[name] = value
        return [DECODE, "--model", self.model, "-n", "4", "-r", "2",
                *(part for flag in flags.items() for part in flag), "--set",
                "threads=1", "--set", "cache.budget_tokens=96", "--set",
                "cache.recent_tokens=32", "--set", "cache.row_format=f16",
                *settings]

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

    # --- subgen_bench_decode ------------------------------------------------

    def test_decode_rows(self):
        for command, ranks in ((self.decode("-o", "json"), 1),
                               (mpirun(self.decode("-o", "json")), 2),
                               (self.decode("-o", "json", "--set",
                                            "comm=threads", "--set",
                                            "ranks.count=3"), 3)):
            rows = json.loads(self.output(command))
            self.assertEqual(
                [(row["policy"], row["test"]) for row in rows],
                [(policy, test) for policy in ("exact f16", "subgen 96 bf16")
                 for test in ("pp20", "tg4", "pp20 @ d600 synthetic",
                              "tg4 @ d600 synthetic")])
            for row in rows:
                self.assertEqual(row["ranks"], ranks)
                self.assertEqual(len(row["samples_seconds"]), 2)
                for key in ("avg_ts", "read_bandwidth", "resident_bytes",
                            "attention_seconds_per_token"):
                    self.assertGreater(row[key], 0)
                tokens = row["n_prompt"] + row["n_gen"]
                slowest = max(row["samples_seconds"])
                self.assertLessEqual(row["longest_step_seconds"], slowest)
                self.assertGreaterEqual(row["longest_step_seconds"],
                                        slowest / tokens)
                self.assertEqual(row["communication_seconds_per_token"] > 0,
                                 ranks > 1)

    def test_decode_fits_the_terminal(self):
        _, text = on_terminal(self.decode(), "stdout", 90, env=ENVIRONMENT)
        lines = text.splitlines()
        self.assertLessEqual(max(map(len, lines)), 89)
        self.assertEqual(lines[2].split()[:3], ["test", "policy", "tokens/s"])
        self.assertEqual(text.count("±"), 8)

    def test_decode_formats(self):
        table = self.output(self.decode()).splitlines()
        self.assertTrue(table[0].startswith(
            "| model | size | backend | ranks | policy | test | t/s |"))
        self.assertEqual({line.count("|") for line in table[:10]}, {17})
        self.assertIn("read bandwidth", table[-1])
        rows = list(csv.DictReader(self.output(
            self.decode("-o", "csv")).splitlines()))
        self.assertEqual(len(rows), 8)
        self.assertEqual(rows[3]["fill"], "synthetic")

    def test_decode_in_turns(self):
        lines = self.output(
            self.decode("-p", "0", "-d", "0", "--policies", "exact") +
            ["--in_turns"], input="\n\n").splitlines()
        self.assertEqual(lines[0], "ready exact f16 tg4")
        self.assertGreater(float(lines[1].split()[1]), 0)
        self.assertEqual(lines[2], lines[0])

    def test_decode_mistakes(self):
        for i, (arguments, words) in enumerate((
                (["-d", "0,x"], ("-d", "x")),
                (["-p", "-1"], ("-1",)),
                (["-n", "99999999999999999999"], ("-n",)),
                (["-r", "0"], ("repetitions",)),
                (["-o", "xml"], ("xml", "csv")),
                (["--fill", "zeros"], ("zeros", "synthetic")),
                (["--policies", "exat"], ("exat",)),
                (["--policies", "exact/q9"], ("q9",)),
                (["--policies", "exact,,"], ("--policies",)),
                (["--model", "/nowhere.gguf"], ("/nowhere.gguf",)),
                (["--set", "cache.budget_tokens=3"], ("subgen", "budget")),
                (["-p", "0", "-n", "0"], ("-p", "-n")),
                (["--promt", "3"], ("--promt",)))):
            command = [DECODE, "--model", self.model, "-p", "8", "-n", "1",
                       "--policies", "subgen", "--set", "threads=1"]
            for argument in arguments[::2]:
                if argument in command and argument != "--set":
                    at = command.index(argument)
                    del command[at:at + 2]
            command += arguments
            self.assert_refused(command, *words)
            if i % 3 == 0:
                self.assert_refused(mpirun(command), *words)
        self.assert_refused([DECODE], "model")

    # --- subgen_bench_comm --------------------------------------------------

    def test_comm(self):
        for command, transport, ranks in (
                ([COMM], "none", 1), (mpirun([COMM]), "mpi", 2),
                ([COMM, "--set", "comm=threads", "--set", "ranks.count=3"],
                 "threads", 3)):
            for sizes in (["--model", self.model], ["--sizes", "4,4096"]):
                rows = json.loads(self.output(command + sizes + [
                    "-n", "3", "-w", "1", "-o", "json"]))
                engine = sizes[0] == "--model"
                key = "step" if engine else "size"  # tells rows apart
                self.assertEqual(len({(row["operation"], row[key]) for row in
                                      rows}), 9 if engine else 10)
                for row in rows:
                    self.assertEqual(row["communicator"], transport)
                    self.assertEqual(row["ranks"], ranks)
                    self.assertEqual(row["wrong"], 0)
        text = self.output(mpirun([COMM, "--sizes", "1024", "-n", "2"]))
        self.assertIn("# Out of bounds values : 0 OK", text)

    def test_comm_mistakes(self):
        for arguments, words in ((["--sizes", "1"], ("--sizes",)),
                                 (["--sizes", "1K"], ("1K",)),
                                 (["-n", "0"], ("iters",)),
                                 (["-o", "md"], ("md", "text")),
                                 (["--model", "/nowhere.gguf"],
                                  ("/nowhere.gguf",))):
            self.assert_refused([COMM, *arguments], *words)
        self.assert_refused(mpirun([COMM, "--sizes", "1"]), "--sizes")

    # --- scripts ------------------------------------------------------------

    def test_kernels(self):
        small = [KERNELS, "--rows", "70,128", "--seconds", "0", "-r", "2",
                 "--embedding", "256", "--feed_forward", "300",
                 "--head_dim", "64", "--prompt_tokens", "20", "--set",
                 "threads=2"]
        result = run(small + ["-o", "json"])
        self.assertEqual(result.returncode, 0, result.stderr)
        rows = json.loads(result.stdout)
        self.assertEqual([row["kernel"] for row in rows],
                         ["copy"] + 3 * ["linear"] + ["prompt"] +
                         2 * ["attention", "distances"])
        self.assertTrue(rows[3]["shape"].endswith("300 x 256, 20 tokens"))
        self.assertEqual(rows[5]["bytes"], 2 * 8 * 70 * 64 * 2)
        self.assertAlmostEqual(
            rows[4]["teraflops_per_second"] * rows[4]["microseconds"],
            4 * 8 * (20 * 4) * 70 * 64 / 1e6)
        for row in rows:
            self.assertGreater(row["microseconds"], 0)
            self.assertAlmostEqual(
                row["share_of_copy"], row["gigabytes_per_second"] /
                rows[0]["gigabytes_per_second"])
        text = run(small + ["--kernels", "attention"]).stdout
        self.assertEqual(len(text.splitlines()), 2 + 3)

    def test_kernels_mistakes(self):
        for wrong, words in [
                (["--kernels", "dense"], "legal are linear"),
                (["--rows", "0"], "--rows"),
                (["--head_dim", "40", "--set", "cache.row_format=q8"],
                 "--head_dim 40"),
                (["--set", "backend=gpu"], "backend must be one of")]:
            result = run([KERNELS] + wrong)
            self.assertEqual(result.returncode, 1)
            self.assertEqual(len(result.stderr.splitlines()), 1)
            self.assertIn(words, result.stderr)

    @unittest.skipIf(shutil.which("nvidia-smi"), "this machine may have a GPU")
    def test_gpu_report_needs_a_gpu(self):
        result = run([os.path.join(LAUNCH, "bench_gpu.sh")])
        self.assertEqual(result.returncode, 1)
        self.assertIn("no GPU on this host", result.stderr)
        for setting in ("backend=cuda", "comm=nccl"):
            result = run([KERNELS, "--set", setting, "--seconds", "0"])
            if setting == "comm=nccl":  # nothing to exchange, but asked for
                result = run([COMM, "--set", setting, "--sizes", "64"])
            self.assertEqual(result.returncode, 1, result.stdout)
            ours = [line for line in result.stderr.splitlines()
                    if line.startswith("subgen: ")]
            self.assertEqual(len(ours), 1, result.stderr)
            self.assertRegex(ours[0], "no NVIDIA driver|no GPU|has none")

    def test_torch_comparison(self):
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "torch.py"), "w") as module:
                module.write(FAKE_TORCH)
            result = run([sys.executable,
                          os.path.join(LAUNCH, "compare_torch.py"),
                          "--build", BUILD, "--backend", "cpu", "--threads",
                          "2", "--tokens", "70,128", "--sketch_rows", "64",
                          "--seconds", "0.001", "--repetitions", "1",
                          "--embedding", "256", "--feed_forward", "300",
                          "--prompt_tokens", "20"],
                         env={"PYTHONPATH": folder})
        self.assertEqual(result.returncode, 0, result.stderr)
        rows = [line.split("|")[1:-1] for line in result.stdout.splitlines()
                if line.startswith("| ") and "torch" not in line]
        self.assertEqual([int(row[0]) for row in rows], [70, 128, 1, 16, 20])
        for row in rows:
            times = [float(cell.strip(" x")) for cell in row[1:]]
            self.assertAlmostEqual(times[0] / times[1] / times[2], 1,
                                   delta=0.1 + 0.01 / times[2])

    def test_torch_comparison_says_what_is_missing(self):
        with tempfile.TemporaryDirectory() as folder:
            result = run([sys.executable,
                          os.path.join(LAUNCH, "compare_torch.py")],
                         env={"PYTHONPATH": folder, "PYTHONNOUSERSITE": "1"})
        if result.returncode == 0:
            self.skipTest("torch is installed")
        self.assertIn("compare_torch: ", result.stderr)

    def test_compare(self):
        script = [sys.executable, os.path.join(LAUNCH, "compare_llama_cpp.py"),
                  "--model", self.model, "--bench", DECODE]
        fake = self.path("fake")
        os.makedirs(fake)
        path = os.path.join(fake, "llama_cpp.py")
        with open(path, "w") as file:
            file.write("raise ImportError('none here')\n")
        env = {"PYTHONPATH": fake, "PYTHONDONTWRITEBYTECODE": "1"}
        result = run(script, env=env)
        self.assertEqual(result.returncode, 1)
        self.assertEqual(len(result.stderr.splitlines()), 1)
        self.assertIn("pip install llama-cpp-python", result.stderr)
        with open(path, "w") as file:
            file.write(FAKE_LLAMA)
        few = ["--prompts", "20", "--depths", "8,16", "--gen", "4",
               "--threads", "1", "--budget", "96", "--ranks", "2"]
        table = self.output(script + few, env=env)
        rows = [line.split(" | ") for line in table.splitlines()
                if line.startswith("| ") and "ratio" not in line]
        self.assertEqual(
            [(row[0], row[1], row[3]) for row in rows],
            [("| " + test, "f16", policy)
             for test in ("pp20 @ d0", "tg4 @ d8", "tg4 @ d16")
             for policy in ("exact", "subgen 96", "exact, 2 ranks")] +
            [("| " + test, "q8_0", policy) for test in ("tg4 @ d8", "tg4 @ d16")
             for policy in ("exact/q8", "exact/q8, 2 ranks")])
        for row in rows:
            self.assertGreater(float(row[4]), 0)
        result = run(script + few + ["--set", "cache.polcy=x"], env=env)
        self.assertEqual(result.returncode, 1)
        self.assertIn("cache.polcy", result.stderr)
        self.assertEqual(len(result.stderr.splitlines()), 1)

    def test_compare_files(self):
        fake = self.path("fake_files")
        os.makedirs(fake)
        for name, text in (("llama_cpp.py", FAKE_LLAMA), ("ik", FAKE_IK)):
            with open(os.path.join(fake, name), "w") as file:
                file.write(text)
        os.chmod(os.path.join(fake, "ik"), 0o755)
        broken = self.path("broken.gguf")
        with open(broken, "w") as file:
            file.write("no model")
        script = [sys.executable, os.path.join(LAUNCH, "compare_llama_cpp.py"),
                  self.model, "--model", self.model, broken, "--bench", DECODE,
                  "--ik", os.path.join(fake, "ik"), "--prompts", "20",
                  "--depths", "16", "--gen", "4", "--threads", "1"]
        env = {"PYTHONPATH": fake, "PYTHONDONTWRITEBYTECODE": "1"}
        result = run(script, env=env)
        self.assertEqual(result.returncode, 1)  # for the broken one
        self.assertEqual(len(result.stderr.splitlines()), 1, result.stderr)
        self.assertIn(broken, result.stderr)
        header, _, *rows = [
            [cell.strip() for cell in line.split("|")[1:-1]]
            for line in result.stdout.splitlines() if line.startswith("|")]
        self.assertEqual(header[2:6], ["pp20 llama.cpp", "pp20 ik",
                                       "pp20 subgen",
                                       "ratio to the better peer"])
        self.assertEqual([row[0] for row in rows],
                         ["toy.gguf", "toy.gguf", "broken.gguf"])
        for row in rows:
            self.assertEqual(len(row), len(header))
        self.assertEqual([i for i, cell in enumerate(rows[2]) if cell == "-"],
                         [4, 5, 8, 9, 10, 11, 12, 14])
        for row in rows[:2]:
            self.assert_file_row([float(cell) for cell in row[1:]])
        self.assert_refused(script + ["--ranks", "2"], "--ranks 2",
                            program="compare_llama_cpp")
        self.assert_refused(script + ["/nowhere.gguf"], "/nowhere.gguf",
                            program="compare_llama_cpp")

    def assert_file_row(self, cells):
        """The figures of a row agree with one another, and the peers' with
        what the stand-ins do: a step of llama.cpp takes a millisecond."""
        (_, llama, ik, ours, ratio, llama_tokens, ik_tokens, our_tokens,
         token_ratio, share, plain, bandwidth, *loads) = cells
        self.assertEqual((ik, ik_tokens), (40000.0, 1.5))
        self.assertLessEqual(llama, 20 / 0.001)
        self.assertLessEqual(llama_tokens, 1 / 0.001)
        self.assertAlmostEqual(ratio, ours / ik, delta=0.006)
        self.assertAlmostEqual(token_ratio, our_tokens / llama_tokens,
                               delta=0.006 + 0.01 * token_ratio)
        self.assertAlmostEqual(share, our_tokens / plain, delta=0.006)
        self.assertAlmostEqual(plain * os.path.getsize(self.model),
                               bandwidth * 1e9, delta=0.06e9)
        self.assertGreaterEqual(loads[0], 0.02)
        self.assertGreater(loads[1], 0)

    def test_scaling(self):
        script = os.path.join(LAUNCH, "bench_scaling.sh")
        folder = self.path("scaling")
        table = self.output(
            [script, self.model, "--ranks", "1,2", "--depth", "32", "--gen",
             "4", "--repetitions", "1", "--output", folder],
            env={"SUBGEN_BENCH": DECODE})
        self.assertIn("| 1 | 32 |", table)
        with open(os.path.join(folder, "scaling.csv")) as file:
            rows = list(csv.DictReader(file))
        self.assertEqual([(row["scaling"], row["ranks"], row["depth"])
                          for row in rows],
                         [("strong", "1", "32"), ("strong", "2", "32"),
                          ("weak", "1", "32"), ("weak", "2", "64")])
        for row in rows:
            share = (float(rows[0 if row["scaling"] == "strong" else 2]
                           ["milliseconds"]) / float(row["milliseconds"]))
            if row["scaling"] == "strong":
                self.assertAlmostEqual(float(row["speedup"]), share, delta=1e-3)
                share /= int(row["ranks"])
            self.assertAlmostEqual(float(row["efficiency"]), share, delta=1e-3)
            self.assertAlmostEqual(float(row["tokens_per_second"]) *
                                   float(row["milliseconds"]), 1e3, delta=1)
        if shutil.which("gnuplot"):
            with open(os.path.join(folder, "scaling.png"), "rb") as file:
                self.assertEqual(file.read(4), b"\x89PNG")
        for arguments, word in (([], "GGUF"), (["/nowhere.gguf"], "/nowhere"),
                                ([self.model, "--ranks", "0"], "0"),
                                ([self.model, "--ranks"], "--ranks"),
                                ([self.model, "--rank", "1"], "--rank")):
            self.assert_refused([script, *arguments], word,
                                program="bench_scaling")


if __name__ == "__main__":
    unittest.main()
