#!/usr/bin/env python3
"""A conversation as a person has one: in a terminal, and under mpirun.

usage: chat_test.py BUILD_FOLDER [unittest arguments]
"""
import os
import pty
import re
import select
import signal
import subprocess
import termios
import time
import unittest

import programs
from programs import GENERATE, ProgramCase

SECONDS = 60.0
UP, LEFT, CTRL_C, CTRL_D = b"\x1b[A", b"\x1b[D", b"\x03", b"\x04"
ENVIRONMENT = {name: value for name, value in programs.ENVIRONMENT.items()
               if not name.startswith("LC_")}
ENVIRONMENT.update({"TERM": "xterm", "LANG": "C"})


class Terminal:
    """A program on a pseudo terminal; what it shows is kept."""

    def __init__(self, command):
        self.shown = b""
        self.pid, self.file = pty.fork()
        if self.pid == 0:
            os.execvpe(command[0], command, ENVIRONMENT)

    def type(self, data):
        os.write(self.file, data)

    def wait_for_sign(self):
        """Until a line is asked for and keys come one by one: what is typed
        before goes through the terminal's own line."""
        self.wait_for(rb"> ")
        end = time.monotonic() + SECONDS
        while termios.tcgetattr(self.file)[3] & termios.ICANON:
            if time.monotonic() > end:
                raise AssertionError("no line is asked for")
            time.sleep(0.001)

    def _read(self, end):
        ready, _, _ = select.select([self.file], [], [],
                                    max(0.0, end - time.monotonic()))
        if not ready:
            return False
        try:
            data = os.read(self.file, 65536)
        except OSError:  # how a terminal ends
            return False
        self.shown += data
        return bool(data)

    def wait_for(self, pattern, seconds=SECONDS):
        """Of what is shown after the last match; returns the match."""
        end = time.monotonic() + seconds
        while True:
            match = re.search(pattern, self.shown)
            if match:
                self.shown = self.shown[match.end():]
                return match
            if not self._read(end):
                raise AssertionError(f"{pattern} was not shown: {self.shown}")

    def exit_code(self):
        end = time.monotonic() + SECONDS
        while self._read(end):
            pass
        if time.monotonic() >= end:
            os.kill(self.pid, signal.SIGKILL)
        _, status = os.waitpid(self.pid, 0)
        os.close(self.file)
        return os.waitstatus_to_exitcode(status)


class ChatTest(ProgramCase):
    def command(self, *arguments, tokens=6):
        return [GENERATE, "--model", self.model, "--chat", "--max_tokens",
                str(tokens), *arguments]

    def answers(self, lines, *arguments):
        """What a plain pipe is answered, an answer a line."""
        result = subprocess.run(
            self.command(*arguments), input="".join(
                line + "\n" for line in lines).encode("latin1"),
            capture_output=True, timeout=SECONDS, env=ENVIRONMENT)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout, result.stderr.decode(errors="replace")

    # --- a terminal -----------------------------------------------------------

    def test_a_transcript(self):
        terminal = Terminal(self.command())
        terminal.wait_for(rb"/help lists commands")
        terminal.wait_for_sign()
        terminal.type(b"first\n")
        terminal.wait_for(rb"\[cut at 6 tokens")
        terminal.wait_for_sign()
        # The last line comes back, and the cursor goes left in it: "firXst".
        terminal.type(UP + LEFT + LEFT + b"X\n")
        terminal.wait_for(rb"X")
        terminal.wait_for(rb"\[cut at 6 tokens")
        terminal.wait_for_sign()
        terminal.type(b"caf\xe9\n")
        terminal.wait_for(rb"not UTF-8")
        terminal.wait_for_sign()
        terminal.type(b"half a line" + CTRL_C)
        terminal.wait_for(rb"/exit or Ctrl-D ends")
        terminal.wait_for_sign()
        terminal.type(b"/stats\n")
        terminal.wait_for(rb"decode ")
        terminal.wait_for_sign()
        terminal.type(b"/exit\n")
        self.assertEqual(terminal.exit_code(), 0)

    def test_edited_lines_are_what_the_model_reads(self):
        path = self.path("report.json")
        _, _ = self.answers(["firXst"], "--report", path)
        with open(path, "rb") as file:
            typed = file.read().split(b'"tokens"')[0]
        terminal = Terminal(self.command("--report", path))
        terminal.wait_for_sign()
        terminal.type(b"first" + LEFT + LEFT + b"X\n")
        terminal.wait_for(rb"\[cut")
        terminal.wait_for_sign()
        terminal.type(CTRL_D)
        self.assertEqual(terminal.exit_code(), 0)
        with open(path, "rb") as file:
            self.assertEqual(file.read().split(b'"tokens"')[0], typed)

    def test_ctrl_c_stops_the_answer_and_not_the_conversation(self):
        terminal = Terminal(self.command(
            "--set", "context_tokens=100000", tokens=90000))
        terminal.wait_for_sign()
        terminal.type(b"say much\n")
        terminal.wait_for(rb"say much\r\n[^\n]{40}")
        terminal.type(CTRL_C)
        terminal.wait_for(rb"\[stopped; /more goes on\]")
        terminal.wait_for_sign()
        terminal.type(b"/more\n")
        terminal.wait_for(rb"/more\r\n[^\n]{40}")
        terminal.type(CTRL_C)
        terminal.wait_for(rb"\[stopped")
        terminal.wait_for_sign()
        terminal.type(b"/exit\n")
        self.assertEqual(terminal.exit_code(), 0)

    # --- pipes -----------------------------------------------------------------

    def test_bad_lines_are_told_and_the_conversation_goes_on(self):
        for bad, said in (("caf\xe9", "not UTF-8 at byte 3 of 4"),
                          ("x" * 700, "context 512"),
                          ("x" * (1 << 21), "1048576 bytes")):
            out, error = self.answers(["q", bad, "r"])
            alone, _ = self.answers(["q", "r"])
            self.assertEqual(out, alone, said)
            self.assertIn(said, error)

    def test_line_ends_and_marks(self):
        plain, _ = self.answers(["q", "r"])
        self.assertEqual(self.answers(["q\r", "r\r"])[0], plain)
        self.assertEqual(self.answers(["\xef\xbb\xbfq", "", "r"])[0], plain)

    def test_more_goes_on_where_the_answer_was_cut(self):
        long = subprocess.run(self.command(tokens=12), input=b"q\n",
                              capture_output=True, env=ENVIRONMENT).stdout
        out, _ = self.answers(["q", "/more"])
        self.assertEqual(out.replace(b"\n", b""), long.replace(b"\n", b""))
        _, error = self.answers(["/more"])
        self.assertIn("was not cut", error)

    def test_reset_forgets(self):
        one, _ = self.answers(["q"])
        out, _ = self.answers(["other", "/reset", "q"])
        self.assertTrue(out.endswith(one))
        self.assertNotIn("> ", self.answers(["q"])[1])  # no sign into a pipe

    def test_unknown_commands_and_paths(self):
        _, error = self.answers(["/hepl"])
        self.assertIn("/hepl is no command", error)
        self.assertIn("/reset", error)
        out, error = self.answers(["/etc/passwd holds what?"])
        self.assertNotIn("no command", error)
        self.assertTrue(out)

    # --- ranks -----------------------------------------------------------------

    def test_under_mpirun(self):
        child = subprocess.Popen(
            ["mpirun", "-n", "2", *self.command()], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT)
        shown = b""
        os.set_blocking(child.stderr.fileno(), False)

        def wait_for(text, count):
            nonlocal shown
            end = time.monotonic() + SECONDS
            while shown.count(text) < count:
                ready, _, _ = select.select([child.stderr], [], [], 1.0)
                if ready:
                    shown += child.stderr.read() or b""
                self.assertLess(time.monotonic(), end, shown)

        for turn, line in enumerate((b"q\n", b"caf\xe9\n", b"r\n", b"/exit\n")):
            wait_for(b"> ", turn + 1)
            child.stdin.write(line)
            child.stdin.flush()
        child.stdin.close()
        out = child.stdout.read()
        self.assertEqual(child.wait(timeout=SECONDS), 0)
        shown += child.stderr.read() or b""
        self.assertIn(b"not UTF-8", shown)
        self.assertEqual(out, self.answers(["q", "r"])[0])
        child.stdout.close()
        child.stderr.close()


if __name__ == "__main__":
    unittest.main()
