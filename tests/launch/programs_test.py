#!/usr/bin/env python3
"""Runs the programs as people do: right, and with the mistakes people make.

usage: programs_test.py BUILD_FOLDER [unittest arguments]
"""
import os
import random
import subprocess
import time
import unittest

from programs import (BUILD, GENERATE, INSPECT, TIME_LIMIT, ProgramCase,
                      mpirun, run)


SOURCE = os.path.join(os.path.dirname(__file__), "..", "..")


class ProgramsTest(ProgramCase):
    # --- what works ---------------------------------------------------------

    def test_report_holds_what_was_promised(self):
        report, result = self.report(
            self.generate("--prompt", "abc", "--logprobs", "3"))
        self.assertEqual(result.stdout.decode(), report["text"] + "\n")
        self.assertEqual(len(report["top_logits"]), len(report["tokens"]))
        for token, best in zip(report["tokens"], report["top_logits"]):
            self.assertEqual(len(best), 3)
            self.assertEqual(best[0][0], token)
        error = result.stderr.decode()
        for word in ("policy   subgen, 1,024 rows per KV head", "prefill",
                     "decode", "tokens/s", "communication", "held exactly"):
            self.assertIn(word, error)

    def test_two_processes_say_what_one_says(self):
        for policy in ("exact", "subgen"):
            arguments = self.generate(
                "--prompt", "the same text for any number of ranks",
                "--set", "cache.policy=" + policy,
                "--set", "sampling.temperature=0.9")
            one, _ = self.report(arguments)
            for grid in ("ranks.head_shards=2", "ranks.token_shards=2"):
                if policy == "subgen" and "token" in grid:
                    continue  # each token shard has a sketch of its own
                two, result = self.report(
                    mpirun(arguments + ["--set", grid]))
                self.assertEqual(two["tokens"], one["tokens"])
                self.assertEqual(two["ranks"]["world"], 2)
                self.assertEqual(result.stdout.decode(), one["text"] + "\n")

    def test_ranks_as_threads(self):
        arguments = self.generate("--prompt", "ranks", "--raw")
        one, _ = self.report(arguments)
        four, _ = self.report(arguments + ["--set", "comm=threads", "--set",
                                           "ranks.count=4"])
        self.assertEqual(four["tokens"], one["tokens"])
        self.assertEqual(four["ranks"]["head_shards"], 2)

    def test_every_policy_runs(self):
        for policy in ("exact", "window", "heavy_hitter", "uniform",
                       "key_diff", "snap_kv", "kivi", "subgen", "streaming"):
            settings = ["--set", "cache.budget_tokens=48",
                        "--set", "cache.recent_tokens=16"]
            if policy == "streaming":
                settings += ["--set", "cache.subgen.mode=streaming"]
                policy = "subgen"
            report, _ = self.report(self.generate(
                "--prompt", "word " * 40, "--set", "cache.policy=" + policy,
                *settings))
            held = report["cache"]["bytes"] / report["cache"]["exact_bytes"]
            if policy not in ("exact", "kivi"):  # no budget binds them
                self.assertLess(held, 0.5)

    def test_default_policy_and_budgets_that_have_no_effect(self):
        def said(*settings):
            command = self.generate("--prompt", "a")
            for setting in settings:
                command += ["--set", setting]
            result = run(command)
            self.assertEqual(result.returncode, 0, result.stderr)
            return result.stderr.decode()
        self.assertIn("policy   subgen, 1,024 rows per KV head: exact up to "
                      "1,024 tokens\n", said())
        self.assertIn("16,384 rows", said("context_tokens=131072"))
        self.assertIn("policy   uniform, 70 rows",
                      said("cache.policy=uniform", "cache.budget_tokens=70"))
        text = said("cache.policy=exact", "cache.budget_tokens=100")
        self.assertIn("no effect", text)
        self.assertNotIn("no effect", said("cache.policy=exact"))

    def test_answers_that_were_cut_are_told(self):
        result = run(self.generate("--prompt", "a"))
        self.assertIn(b"note     cut at 12 tokens (max_tokens)", result.stderr)
        result = run(self.generate("--prompt", "a", "--set",
                                   "context_tokens=24"))
        self.assertIn(b"the context is full", result.stderr)

    def test_prompts_beyond_the_trained_context_are_warned_of(self):
        long = self.generate("--raw", "--prompt", "a " * 300, "--set",
                             "context_tokens=2000")
        result = run(long)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertRegex(result.stderr.decode(), r"warning: .* \d{3} .* 512")
        self.assertNotIn(b"warning", run(self.generate("--prompt", "a")).stderr)

    def test_ranks_are_compared(self):
        result = run(["python3", os.path.join(SOURCE, "launch",
                                              "compare_ranks.py"),
                      self.model, "--build", BUILD, "--tokens", "3",
                      "--prompts", "2"], timeout=300)
        self.assertEqual(result.returncode, 0, result.stderr)
        rows = result.stdout.decode().splitlines()[2:]
        self.assertEqual(len(rows), 6)
        for row in rows:  # float32 sums of a toy model are far from ties
            self.assertIn("| 2 |", row)

    def test_neighbors_are_measured(self):
        result = run(["python3", os.path.join(SOURCE, "launch",
                                              "bench_neighbors.py"),
                      self.model, "--build", BUILD, "--tokens", "9",
                      "--repetitions", "1", "--neighbors", "1"], timeout=300)
        self.assertEqual(result.returncode, 0, result.stderr)
        row = result.stdout.decode().splitlines()[-1]
        self.assertRegex(row, r"^\| 1 \| [\d.]+ \|( [\d.]+ \([\d.]+ x\) \|){4}$")

    def test_version_help_and_pages(self):
        for program in sorted(os.listdir(BUILD)):
            if not program.startswith("subgen_"):
                continue
            path = os.path.join(BUILD, program)
            version = run([path, "--version"])
            self.assertEqual(version.returncode, 0)
            self.assertRegex(version.stdout.decode(),
                             r"^" + program + r" \d+\.\d+\.\d+ \(\S+\)\n"
                             r"backends cpu, .*\ninstruction sets ")
            self.assertIn(b"--help", run([path, "--help"]).stdout)
            self.assertTrue(run([path, "--man"]).stdout.startswith(b".TH "))

    def test_settings_in_order_of_precedence(self):
        config = self.write("settings.yaml", "max_tokens: 3\nthreads: 3\n"
                            "sampling:\n  top_k: 3\n")
        result = run([GENERATE, "--config", config, "--set", "threads=5",
                      "--dump_config"], env={"SUBGEN_THREADS": "4",
                                             "SUBGEN_SAMPLING_TOP_K": "4"})
        self.assertEqual(result.returncode, 0, result.stderr)
        dumped = result.stdout.decode()
        for line in ("max_tokens: 3", "threads: 5", "top_k: 4"):
            self.assertIn(line, dumped)
        again = run([GENERATE, "--config", self.write("dump.yaml", dumped),
                     "--dump_config"])
        self.assertEqual(again.stdout.decode(), dumped)

    def test_inspect(self):
        result = run([INSPECT, self.model, "--ranks", "2"])
        self.assertEqual(result.returncode, 0, result.stderr)
        text = result.stdout.decode()
        for word in ("general.architecture", "2 head shards x 1 token shards",
                     "rank 1:"):
            self.assertIn(word, text)
        self.assertNotIn("blk.1.ffn_down.weight", text)
        for more in ([], ["--ranks", "2", "--tensors"]):
            text = run([INSPECT, self.model, *more]).stdout.decode()
            self.assertIn("blk.1.ffn_down.weight", text)
        result = run([INSPECT, self.model, "--tokenize"],
                     input=b'"ab"\n"b<|im_end|>"\n""\n')
        self.assertEqual(result.stdout, b"[258]\n[98,257]\n[]\n")

    # --- mistakes -----------------------------------------------------------

    def test_prompts(self):
        self.assert_refused_everywhere(self.generate("--prompt", ""), "prompt")
        self.assert_refused_everywhere(
            self.generate("--prompt", "x" * 600), "512")
        self.assert_refused_everywhere(
            self.generate("--prompt_file", "/nowhere"), "/nowhere")
        self.assert_refused(self.generate("--prompt_file",
                                          self.folder.name))
        path = self.write("latin1.txt", b"caf\xe9 au lait")
        self.assert_refused_everywhere(
            self.generate("--prompt_file", path), "UTF-8", "3")
        self.assert_refused(self.generate(), "prompt", "empty",
                            stdin=subprocess.DEVNULL)
        self.assert_refused(self.generate("--prompt", "a", "--chat"))
        # Not a byte is read beyond the cap.
        self.assert_refused(self.generate("--prompt_file", "/dev/zero"))

    def test_arguments(self):
        self.assert_refused_everywhere(self.generate("--promt", "a"),
                                       "--promt")
        self.assert_refused(self.generate("--prompt", "a", "--max_tokens",
                                          "-1"), "max_tokens")
        self.assert_refused(self.generate("--prompt", "a", "--set", "x"), "x")
        self.assert_refused(self.generate("--prompt", "a", "--logprobs", "2"),
                            "--report")
        self.assert_refused(self.generate("--max_tokens", "3"), "--max_tokens",
                            "given")
        self.assert_refused(self.generate("-p", "a"), "--prompt")
        self.assert_refused_everywhere(
            self.generate("--prompt", "a", "--set", "cache.polcy=exact"),
            "cache.polcy", "cache.policy")
        self.assert_refused(self.generate("--prompt", "a", "--report",
                                          "/nowhere/report.json"), "/nowhere")
        self.assert_refused_everywhere(
            [GENERATE, "--model", "/nowhere.gguf", "--prompt", "a"],
            "/nowhere.gguf")
        self.assert_refused([GENERATE, "--prompt", "a"], "model")

    def test_settings(self):
        for text, words in (
                ("cache:\n  polcy: exact\n", ("polcy", ":2:")),
                ("threads: many\n", ("threads", "many")),
                ("threads: [1]\n", ("threads",)),
                ("sampling:\n  top_p: 1.5\n", ("top_p", "1.5")),
                ("cache: {policy: exat}\n", ("exat", "window")),
                ("a: b: c\n", ()),
                ("[" * 100000, ()),
                (b"\xff\xfe\x00", ())):
            path = self.write("bad.yaml", text)
            self.assert_refused(
                self.generate("--prompt", "a", "--config", path), *words)
        self.assert_refused_everywhere(
            self.generate("--prompt", "a", "--config", "/nowhere.yaml"),
            "/nowhere.yaml")
        self.assert_refused_everywhere(
            self.generate("--prompt", "a"), "SUBGEN_THREAD",
            env={"SUBGEN_THREAD": "1"})

    def test_impossible_grids(self):
        for setting in ("ranks.head_shards=4", "ranks.head_shards=-1",
                        "ranks.token_shards=3", "ranks.token_block=0"):
            self.assert_refused_everywhere(
                self.generate("--prompt", "a", "--set", setting),
                setting.split("=")[0])

    def test_budgets_that_hold_nothing(self):
        self.assert_refused_everywhere(
            self.generate("--prompt", "a" * 100, "--set",
                          "cache.policy=subgen", "--set",
                          "cache.budget_tokens=3"), "budget")
        self.assert_refused(
            self.generate("--prompt", "a", "--set", "cache.budget_tokens=90",
                          "--set", "cache.budget_fraction=0.5"), "budget")

    def test_damaged_models(self):
        with open(self.model, "rb") as file:
            model = file.read()
        draw = random.Random(1)
        for cut in sorted(draw.randrange(len(model)) for _ in range(20)):
            path = self.write("cut.gguf", model[:cut])
            start = time.monotonic()
            self.assert_refused([GENERATE, "--model", path, "--prompt", "a"],
                                "cut.gguf")
            self.assertLess(time.monotonic() - start, TIME_LIMIT / 10)
        path = self.write("cut.gguf", model[:len(model) // 2])
        self.assert_refused(
            mpirun([GENERATE, "--model", path, "--prompt", "a"]), "cut.gguf")

    def test_flipped_bytes_never_crash(self):
        with open(self.model, "rb") as file:
            model = file.read()
        draw = random.Random(2)
        for _ in range(40):
            damaged = bytearray(model)
            for _ in range(draw.randrange(1, 9)):
                damaged[draw.randrange(len(damaged))] ^= 1 << draw.randrange(8)
            path = self.write("flipped.gguf", bytes(damaged))
            result = run([GENERATE, "--model", path, "--prompt", "a"])
            self.assertIn(result.returncode, (0, 1), result.stderr)
            self.assertNotIn(b"Sanitizer", result.stderr)


if __name__ == "__main__":
    unittest.main()
