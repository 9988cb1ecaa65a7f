#!/usr/bin/env python3
"""Files, pipes and standard streams of the programs, and a machine's limits.

usage: streams_test.py BUILD_FOLDER [unittest arguments]
"""
import json
import os
import subprocess
import unittest

from programs import (BUILD, ENVIRONMENT, GENERATE, INSPECT, ProgramCase,
                      mpirun, run)


class StreamsTest(ProgramCase):
    # --- what comes in and goes out -------------------------------------------

    def test_prompt_from_file_and_standard_input(self):
        path = self.write("prompt.txt", "a prompt in a file")
        first, _ = self.report(self.generate("--prompt_file", path))
        with open(path) as file:
            result = run(mpirun(self.generate("--prompt_file", "-")),
                         stdin=file)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(result.stdout.decode(), first["text"] + "\n")

    def test_standard_input_is_the_prompt_where_none_is_given(self):
        first, _ = self.report(self.generate("--prompt", "from a pipe"))
        result = run(self.generate(), input=b"from a pipe")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(result.stdout.decode(), first["text"] + "\n")
        result = run(self.generate("--prompt_file", "/dev/stdin"),
                     input=b"\xef\xbb\xbffrom a pipe")
        self.assertEqual(result.stdout.decode(), first["text"] + "\n")
        pipe = self.path("pipe")
        os.mkfifo(pipe)
        with subprocess.Popen(["sh", "-c", f"printf 'from a pipe' > '{pipe}'"]):
            result = run(self.generate("--prompt_file", pipe))
        self.assertEqual(result.stdout.decode(), first["text"] + "\n")
        self.assert_refused(mpirun(self.generate()), "--prompt_file",
                            stdin=subprocess.DEVNULL)

    def test_output_by_rank_0_itself(self):
        first, result = self.report(self.generate("--prompt", "abc"))
        for command in (self.generate, lambda *a: mpirun(self.generate(*a))):
            path = self.write("text.txt", "what stood here before " * 9)
            done = run(command("--prompt", "abc", "--output", path))
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(done.stdout, b"")
            with open(path, "rb") as file:
                self.assertEqual(file.read(), result.stdout)
            self.assert_refused(
                command("--prompt", "abc", "--output", "/dev/full"),
                "/dev/full", "No space left")
        self.assert_refused_everywhere(
            self.generate("--prompt", "a", "--output", "/nowhere/text"),
            "/nowhere/text")

    def test_what_is_read_is_never_written(self):
        prompt = self.write("question.txt", "abc")
        link = self.path("link")
        os.symlink(prompt, link)
        for flag in ("--output", "--report"):
            for path in (prompt, link):
                self.assert_refused(
                    self.generate("--prompt_file", prompt, flag, path), flag,
                    "question.txt")
            self.assert_refused(
                self.generate("--prompt", "a", flag, self.model), self.model)
        with open(prompt) as file:
            self.assertEqual(file.read(), "abc")

    def test_a_refused_prompt_leaves_the_output_as_it_was(self):
        path = self.write("kept.txt", "precious")
        for prompt in (["--prompt_file", "/nowhere"], ["--prompt", "x" * 600]):
            self.assert_refused_everywhere(
                self.generate(*prompt, "--output", path))
            with open(path) as file:
                self.assertEqual(file.read(), "precious")

    def test_reports_to_streams_that_are_open(self):
        for report in ("-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"):
            result = run(self.generate("--prompt", "a", "--report", report))
            self.assertEqual(result.returncode, 0, result.stderr)
            text, report = result.stdout.decode().split("\n", 1)
            self.assertEqual(json.loads(report)["text"], text)
            both = self.path("both.txt")
            with open(both, "wb") as file:
                subprocess.run(self.generate("--prompt", "a", "--report",
                                             "/dev/stdout"), stdout=file,
                               stderr=subprocess.DEVNULL, env=ENVIRONMENT)
            with open(both, "rb") as file:
                self.assertEqual(file.read().count(b"\n"),
                                 result.stdout.count(b"\n"))
        result = run(["bash", "-c", '"$@" --report >(cat >&2)', "bash",
                      *self.generate("--prompt", "a", "--output", "-")])
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertFalse(os.path.exists("-"))

    # --- outputs that cannot be written --------------------------------------

    def test_full_and_closed_outputs_are_errors(self):
        commands = [
            self.generate("--prompt", "a"), [GENERATE, "--dump_config"],
            [GENERATE, "--help"], [INSPECT, self.model],
            [INSPECT, self.model, "--tokenize"]]
        for command in commands:
            with open("/dev/full", "w") as full:
                result = subprocess.run(
                    command, stdout=full, stderr=subprocess.PIPE, timeout=60,
                    env=ENVIRONMENT, input=b'"a"\n')
            self.assertEqual(result.returncode, 1, command)
            self.assertIn(b"No space left", result.stderr, command)
            closed = subprocess.run(
                ["sh", "-c", 'exec "$@" >&-', "sh", *command], input=b'"a"\n',
                stderr=subprocess.PIPE, timeout=60, env=ENVIRONMENT)
            self.assertEqual(closed.returncode, 1, command)
            self.assertIn(b"standard output", closed.stderr, command)

    def test_a_reader_that_leaves_ends_the_answer(self):
        with subprocess.Popen([GENERATE, "--model", self.model, "--prompt",
                               "a", "--max_tokens", "400"], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, env=ENVIRONMENT) as child:
            child.stdout.close()
            error = child.stderr.read()
            self.assertEqual(child.wait(timeout=60), 1)
        self.assertIn(b"Broken pipe", error)

    def test_a_closed_standard_output_is_no_file_of_ours(self):
        path = self.write("report.json", "")
        run(["sh", "-c", 'exec "$@" >&-', "sh",
             *self.generate("--prompt", "a", "--report", path)])
        with open(path) as file:  # no text of the answer in it
            self.assertIn(file.read()[:1], ("", "{"))

    def test_limits_of_the_machine_are_one_line(self):
        limited = ["sh", "-c", 'ulimit -v 200000; exec "$@"', "sh"]
        if "asan" not in BUILD:  # which reserves terabytes
            self.assert_refused(
                limited + self.generate("--prompt", "a", "--set",
                                        "context_tokens=100000000", "--set",
                                        "cache.policy=exact"), "memory")
            for size in (250000, 300000, 400000):
                self.assert_refused(
                    ["sh", "-c", f'ulimit -v {size}; exec "$@"', "sh"] +
                    self.generate("--prompt", "a", "--set", "threads=900"))
            self.assert_refused(
                ["bash", "-c", 'ulimit -f 0; exec "$@"', "bash"] +
                self.generate("--prompt", "a", "--report",
                              self.path("report.json")), "File too large")
        if os.geteuid() == 0:
            nobody = ["setpriv", "--reuid=65534", "--regid=65534",
                      "--clear-groups"]
            os.chmod(self.folder.name, 0o755)
            os.chmod(self.model, 0o644)
        else:
            nobody = []
        if nobody and not os.access("/usr/bin/setpriv", os.X_OK):
            self.skipTest("no setpriv to become a user with limits")
        result = run([*nobody, "bash", "-c", 'ulimit -u 3; exec "$@"', "bash",
                      *self.generate("--prompt", "a", "--set", "threads=64")])
        if b"Permission denied" in result.stderr:
            self.skipTest("the build folder is closed to other users")
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertNotIn(b"terminate called", result.stderr)
        self.assertIn(b"threads", result.stderr)


if __name__ == "__main__":
    unittest.main()
