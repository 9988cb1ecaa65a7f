#!/usr/bin/env python3
"""Runs subgen_bench_decode with many sequences at once: its columns, and
mistakes.

usage: batch_bench_test.py BUILD_FOLDER [unittest arguments]
"""
import csv
import json
import os
import unittest

from programs import BUILD, ENVIRONMENT, ProgramCase, mpirun, run
from terminal import on_terminal

DECODE = os.path.join(BUILD, "subgen_bench_decode")
COLUMNS = ("| PP | TG | B | N_KV | T_PP s | S_PP t/s | T_TG s | S_TG t/s |"
           " T s | S t/s |")


class BatchBenchTest(ProgramCase):
    def bench(self, *arguments):
        return [DECODE, "--model", self.model, "-p", "20", "-n", "4", "-d",
                "0,30", "-b", "1,3", "-r", "2", "--policies", "exact,subgen",
                "--set", "threads=2", "--set", "cache.budget_tokens=96",
                "--set", "cache.recent_tokens=32", *arguments]

    def rows(self, command):
        result = run(command)
        self.assertEqual(result.returncode, 0, result.stderr.decode())
        return json.loads(result.stdout)

    def test_counts(self):
        for command in (self.bench("-o", "json"),
                        mpirun(self.bench("-o", "json"))):
            rows = self.rows(command)
            self.assertEqual(
                [(row["policy"], row["depth"], row["pl"]) for row in rows],
                [(policy, depth, sequences)
                 for policy in ("exact bf16", "subgen 96 bf16")
                 for depth in (0, 30) for sequences in (1, 3)])
            for row in rows:
                self.assertEqual((row["pp"], row["tg"]), (20, 4))
                self.assertEqual(row["n_kv"],
                                 row["pl"] * (row["depth"] + 20 + 4))
                self.assertAlmostEqual(row["t"], row["t_pp"] + row["t_tg"])
                for tokens, seconds, speed in ((20, "t_pp", "speed_pp"),
                                               (4, "t_tg", "speed_tg"),
                                               (24, "t", "speed")):
                    self.assertAlmostEqual(row["pl"] * tokens / row[seconds] /
                                           row[speed], 1)

    def test_formats(self):
        table = run(self.bench()).stdout.decode().splitlines()
        self.assertEqual(table[0], "| policy | depth " + COLUMNS)
        self.assertEqual(len([line for line in table if line[:1] == "|"]),
                         2 + 8)
        self.assertTrue(table[3].startswith(
            "| exact bf16 | 0 | 20 | 4 | 3 | 72 | "), table[3])
        rows = list(csv.DictReader(
            run(self.bench("-o", "csv")).stdout.decode().splitlines()))
        self.assertEqual([row["n_kv"] for row in rows],
                         2 * ["24", "72", "54", "162"])

    def test_fits_the_terminal(self):
        _, text = on_terminal(self.bench(), "stdout", 80, env=ENVIRONMENT)
        lines = text.splitlines()
        self.assertLessEqual(max(map(len, lines)), 79)
        self.assertEqual(lines[2].split()[:5],
                         ["policy", "depth", "PP", "TG", "B"])

    def test_mistakes(self):
        for arguments, words in (
                (["-b", "0"], ("-b", "0")), (["-b", "x"], ("-b", "x")),
                (["-b", "1,,2"], ("-b",)), (["-b", "5000"], ("-b", "4096")),
                (["-b", "9", "--set", "prefill_chunk=8"],
                 ("-b 9", "prefill_chunk")),
                (["-p", "0", "-n", "0"], ("-p", "-n"))):
            command = self.bench()
            for flag in arguments[::2]:
                if flag in command and flag != "--set":
                    at = command.index(flag)
                    del command[at:at + 2]
            self.assert_refused(command + arguments, *words)


if __name__ == "__main__":
    unittest.main()
