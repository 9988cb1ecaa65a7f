#!/usr/bin/env python3
"""Runs the benchmarks as people do: right, and with mistakes. What they print
is checked, never how fast they are.

usage: bench_test.py BUILD_FOLDER [unittest arguments]
"""
import csv
import json
import os
import platform
import shutil
import unittest

from bench_programs import COMM, DECODE, KERNELS, LAUNCH, BenchCase, run
from programs import ENVIRONMENT, mpirun
from terminal import on_terminal

# These are of this kind of processor, and of the other.
X86 = platform.machine() == "x86_64"
SLOWEST, ABSENT = ("scalar", "neon") if X86 else ("neon", "avx2")


class BenchTest(BenchCase):
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
        self.assertIn("read bandwidth", table[-2])
        self.assertRegex(table[-1], r"^instruction set: \w+$")
        plain = self.output(self.decode(
            "--set", "cpu.instruction_set=" + SLOWEST)).splitlines()
        self.assertEqual(plain[-1], "instruction set: " + SLOWEST)
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
        self.assert_refused(
            self.decode("--set", "cpu.instruction_set=" + ABSENT), ABSENT,
            "this machine has no such instructions", "auto", SLOWEST)
        self.assert_refused(self.decode("--set", "cpu.instruction_set=mmx"),
                            "mmx", "avx2")
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
