#!/usr/bin/env python3
"""What documents say about the tree is true: every command of a shell block
runs, or a table says why not and who runs it instead; every file that is named
exists; no document is wider, and no README longer, than people like to read.

usage: readme_test.py SOURCE_FOLDER BUILD_FOLDER [unittest arguments]
"""
import os
import re
import subprocess
import sys
import tempfile
import time
import unittest

from readme_commands import (ELSEWHERE, SMALLER, TO_LEAVE, commands_of,
                             elsewhere_of, small_plan)
from readme_files import (MOST_COLUMNS, MOST_LINES, MOST_LINES_OF_A_README,
                          STOP, documents, missing_files, oversizes, sections,
                          unasked_tables, wrong_stops)

SOURCE = os.path.abspath(sys.argv.pop(1))
BUILD = os.path.abspath(sys.argv.pop(1))
TIME_LIMIT = 150.0
# These are some of the documents that must be found.
DOCUMENTS = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md",
             "configs/README.md", "engine/GLOSSARY.md",
             "engine/cache/MEASURED.md", "findings/README.md",
             "kernels/cuda/README.md", "launch/bench/README.md",
             "tests/README.md", "tests/support/cuda_emulation/README.md"]

# mpirun as root, in containers and on one core.
ENVIRONMENT = {name: value for name, value in os.environ.items()
               if not name.startswith(("SUBGEN_", "OMPI_", "PMIX_"))}
ENVIRONMENT.update({
    "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "OMPI_MCA_btl_vader_single_copy_mechanism": "none",
    "OMPI_MCA_mpi_yield_when_idle": "1"})


def read(path):
    with open(os.path.join(SOURCE, path), encoding="utf-8") as file:
        return file.read()


def plans():
    """Those of configs/, and the small one that a README shows."""
    folder = os.path.join("configs", "evaluation")
    found = {name: read(os.path.join(folder, name))
             for name in os.listdir(os.path.join(SOURCE, folder))}
    found["small.yaml"] = re.search(
        r"^```yaml\n(.*?)^```$", read("launch/evaluation/README.md"),
        re.MULTILINE | re.DOTALL).group(1)
    return found


def make_playground(folder):
    """A folder that looks like a checkout to who stands in it, with the files
    that documents call model.gguf and book.txt."""
    for name in ("configs", "launch", "tests", "findings"):
        if os.path.isdir(os.path.join(SOURCE, name)):
            os.symlink(os.path.join(SOURCE, name), os.path.join(folder, name))
    os.symlink(BUILD, os.path.join(folder, "build"))
    subprocess.run([os.path.join(BUILD, "tests", "write_toy_model"),
                    os.path.join(folder, "model.gguf"), "32"], check=True)
    words = "one two three four five six seven eight nine ten " * 60
    with open(os.path.join(folder, "book.txt"), "w") as file:
        file.write(words[:300])
    for name, text in (("a.txt", words), ("b.txt", words[::-1])):
        with open(os.path.join(folder, name), "w") as file:
            file.write(text)
    os.mkdir(os.path.join(folder, "plans"))
    for name, text in plans().items():
        with open(os.path.join(folder, "plans", name), "w") as file:
            file.write(small_plan(text))


def smaller(command):
    """The command with the toy's sizes; what it is stays."""
    for pattern, replacement in SMALLER:
        command = re.sub(pattern, replacement, command)
    return command


class CommandsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        make_playground(cls.folder.name)
        cls.commands = {}  # and the documents that have them
        for document in documents(SOURCE):
            for command in commands_of(read(document)):
                cls.commands.setdefault(command, []).append(document)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def test_every_command_runs(self):
        ran = 0
        for command, where in self.commands.items():
            if elsewhere_of(command) is not None:
                continue
            with self.subTest(command=command, documents=where):
                self.run_one(smaller(command))
                ran += 1
        self.assertGreater(ran, 20)

    def run_one(self, command):
        start = time.monotonic()
        result = subprocess.run(
            ["bash", "-o", "pipefail", "-c", command], cwd=self.folder.name,
            env=ENVIRONMENT, input=TO_LEAVE if "--chat" in command else "",
            capture_output=True, text=True, timeout=TIME_LIMIT)
        self.assertEqual(result.returncode, 0,
                         f"{command}\n{result.stdout}{result.stderr}")
        if "-v" in sys.argv:
            print(f"{time.monotonic() - start:5.1f} s  {command}")

    def test_what_runs_elsewhere_does(self):
        """An entry without a command is stale; a test that is named as the
        one that runs it exists and names the program."""
        for pattern, reason in ELSEWHERE.items():
            with self.subTest(pattern=pattern):
                self.assertTrue(
                    any(re.search(pattern, command)
                        for command in self.commands), "no such command")
                for path in re.findall(r"\S+_test\.py|\S+\.sh\b", reason):
                    program = re.search(r"[\w]+\.(?:sh|py)", pattern.replace(
                        "\\", ""))
                    self.assertIn(program.group(), read(path))

    def test_an_unknown_command_fails(self):
        self.assertIsNone(elsewhere_of("build/subgen_nothing --model m"))
        with self.assertRaises(AssertionError):
            self.run_one("build/subgen_nothing --model model.gguf")
        with self.assertRaises(AssertionError):
            self.run_one("build/subgen_generate --model model.gguf --promt x")

    def test_blocks_are_read_as_a_shell_does(self):
        text = ("```sh\n# only words\na --b \\\n  c   # a comment\n\n"
                'd "x # y" | e\n```\n```text\n$ f\n```\n')
        self.assertEqual(commands_of(text), ["a --b c", 'd "x # y" | e'])


class FilesTest(unittest.TestCase):
    def test_every_file_that_is_named_exists(self):
        for document in documents(SOURCE):
            with self.subTest(document=document):
                self.assertEqual(
                    missing_files(SOURCE, document, read(document)), [])

    def test_a_missing_file_is_found(self):
        text = ("`launch/nothing.sh --help`, [a](pictures/nothing.png), "
                "`engine/nothing/`, `nothing.cc`, [b](README.md#run-it), "
                "[c](NOTHING.md#run-it) and `launch/test.sh`")
        self.assertEqual(missing_files(SOURCE, "README.md", text),
                         ["launch/nothing.sh", "pictures/nothing.png",
                          "engine/nothing/", "nothing.cc", "NOTHING.md"])

    def test_every_document_is_read(self):
        found = documents(SOURCE)
        for path in DOCUMENTS:
            self.assertIn(path, found)

    def test_walks_stop_at_functions_that_are_there(self):
        engine = sections(read("engine/README.md"))
        for title, most in (("From a prompt to text", 12),
                            ("From a key to a sketch and back into attention",
                             10)):
            stops = STOP.findall(engine[title])
            self.assertGreater(len(stops), 6)
            self.assertLessEqual(len(stops), most)
            self.assertEqual(wrong_stops(SOURCE, engine[title]), [])
        self.assertEqual(
            wrong_stops(SOURCE, "1. `engine/cache/slot.cc`, `NoSlot`: a\n"),
            [("engine/cache/slot.cc", "NoSlot")])

    def test_what_is_added_takes_five_steps(self):
        engine = sections(read("engine/README.md"))
        for what in ("policy", "backend operation", "file format"):
            steps = re.findall(r"^(\d)\. ", engine[f"How to add a {what}"],
                               re.MULTILINE)
            self.assertIn(len(steps), range(3, 6))

    def test_sizes(self):
        for document in documents(SOURCE):
            with self.subTest(document=document):
                self.assertEqual(oversizes(document, read(document)), [])

    def test_tables_of_measurements_answer_questions(self):
        measured = [document for document in documents(SOURCE)
                    if os.path.basename(document) == "MEASURED.md"]
        self.assertGreater(len(measured), 3)
        for document in measured:
            with self.subTest(document=document):
                self.assertEqual(unasked_tables(read(document)), [])
        table = "|a|\n|---|\n|b|\n"
        self.assertEqual(unasked_tables(f"## How?\nMore is better.\n\n{table}"),
                         [])
        for text in ("## How much\nMore is better.\n\n", "## How?\n\n",
                     "## How?\nMore is better.\n# Why?\n"):
            self.assertEqual(unasked_tables(text + table), ["|a|"])

    def test_what_is_too_large_is_found(self):
        wide = "x" * MOST_COLUMNS
        self.assertEqual(oversizes("comm/MEASURED.md", f"{wide}\n" * 200), [])
        self.assertEqual(oversizes("comm/MEASURED.md", f"a\n|{wide}"),
                         ["comm/MEASURED.md:2 has 101 columns"])
        for document, most in (("comm/README.md", MOST_LINES_OF_A_README),
                               ("README.md", MOST_LINES["README.md"])):
            self.assertEqual(oversizes(document, "a\n" * most), [])
            self.assertEqual(
                oversizes(document, "a\n" * (most + 1)),
                [f"{document} has {most + 1} lines, not {most}"])


if __name__ == "__main__":
    unittest.main()
