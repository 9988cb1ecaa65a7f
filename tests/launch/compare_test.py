#!/usr/bin/env python3
"""Runs the comparisons with other engines against stand-ins of these: what is
printed agrees with what the stand-ins do.

usage: compare_test.py BUILD_FOLDER [unittest arguments]
"""
import os
import sys
import tempfile
import unittest

from bench_programs import DECODE, LAUNCH, BenchCase, run
from programs import BUILD

# This is what compare_llama_cpp.py uses of the Python package.
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
# Several sequences: a step of at most four tokens, each with its place.
from types import SimpleNamespace
def llama_backend_init(): pass
def llama_log_callback(function): return function
def llama_log_set(callback, data): callback(2, b"a line", data)
def llama_model_default_params(): return None
def llama_model_load_from_file(path, settings): return path
def llama_context_default_params(): return SimpleNamespace()
def llama_init_from_model(model, settings):
    assert settings.n_seq_max == 2 and settings.flash_attn_type == 1
    return settings
def llama_batch_init(tokens, embedding, most):
    row = lambda: [None] * tokens
    return SimpleNamespace(token=row(), pos=row(), n_seq_id=row(),
                           seq_id=[[0] for _ in range(tokens)], logits=row())
def llama_batch_free(batch):
    assert len(set(zip((each[0] for each in batch.seq_id), batch.pos))) == \
        batch.n_tokens
def llama_free(context): pass
def llama_model_free(model): pass
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

# This is what compare_torch.py uses of the Python package; each call takes a
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


class CompareTest(BenchCase):
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

    def test_compare_sequences(self):
        fake = self.path("fake_sequences")
        os.makedirs(fake)
        with open(os.path.join(fake, "llama_cpp.py"), "w") as file:
            file.write(FAKE_LLAMA)
        script = [sys.executable, os.path.join(LAUNCH, "compare_llama_cpp.py"),
                  self.model, "--bench", DECODE, "--depths", "16", "--gen", "4",
                  "--threads", "1", "--sequences", "2"]
        table = self.output(script, env={"PYTHONPATH": fake})
        (row,) = [[cell.strip() for cell in line.split("|")[1:-1]]
                  for line in table.splitlines()
                  if line.startswith("| ") and "ratio" not in line]
        self.assertEqual(row[:2], ["toy.gguf", "2 @ 16"])
        theirs, ours, ratio = (float(cell) for cell in row[2:])
        self.assertLessEqual(theirs, 2 / 0.001)  # a millisecond per step
        self.assertAlmostEqual(ratio, ours / theirs, delta=0.006 + 0.01 * ratio)
        self.assert_refused(script + ["--ik", self.model], "--ik",
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


if __name__ == "__main__":
    unittest.main()
