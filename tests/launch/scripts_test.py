#!/usr/bin/env python3
"""The scripts as people start them, among commands that only take notes, and
the list of Debian packages against what a build without tests takes.

usage: scripts_test.py BUILD_FOLDER [unittest arguments]
"""
import os
import re
import subprocess
import sys
import time
import unittest

import packages_cases
from packages_cases import PackagesTest  # noqa: F401, run by unittest
from quickstart_cases import QuickstartTest  # noqa: F401
from script_checkout import NOTE, ROOT, ScriptsTest

packages_cases.BUILD = os.path.abspath(sys.argv.pop(1))


class HelpTest(ScriptsTest):
    def scripts(self):
        """Those that people start; others are sourced."""
        found = ["launch/run_slurm.sbatch", "tests/fresh_machine.sh",
                 "tests/fuzz/run.sh", ".ci/run"]
        for name in sorted(os.listdir(os.path.join(ROOT, "launch"))):
            path = os.path.join("launch", name)
            if name.endswith(".sh") and os.access(os.path.join(ROOT, path),
                                                  os.X_OK):
                found.append(path)
        self.assertGreater(len(found), 10)
        return found

    def assert_nothing_done(self):
        self.assertEqual(self.checkout.notes, [])
        self.assertFalse(os.path.exists(self.checkout.path("build")))

    def run_by_bash(self, script, *arguments):
        os.chmod(self.checkout.path(script), 0o755)
        return self.checkout.run(script, *arguments)

    def test_help_is_real_and_does_nothing(self):
        for script in self.scripts():
            for option in ("--help", "-h"):
                with self.subTest(script=script, option=option):
                    start = time.monotonic()
                    result = self.run_by_bash(script, option)
                    self.assertEqual(result.returncode, 0, result.stderr)
                    self.assertEqual(result.stderr, "")
                    self.assertIn("\nUsage: ", result.stdout)
                    self.assertIn("\nExample: ", result.stdout)
                    self.assertNotIn("set -euo", result.stdout)
                    self.assertLess(time.monotonic() - start, 5)
        self.assert_nothing_done()

    def test_unknown_options_are_refused(self):
        for script in self.scripts():
            if script == "launch/quickstart.sh":
                continue  # its options are those of subgen_generate
            with self.subTest(script=script):
                result = self.run_by_bash(script, "--nonsense")
                self.assert_one_line(result, "--nonsense", "legal are",
                                     "--help")
                self.assertEqual(result.returncode, 2)
        self.assert_nothing_done()


class FreeCoresTest(unittest.TestCase):
    script = os.path.join(ROOT, "launch", "free_cores.sh")

    def free(self, *command):
        result = subprocess.run([*command, self.script], capture_output=True,
                                text=True, timeout=30, check=True)
        found = re.fullmatch(r"(\d+) of (\d+)\n", result.stdout)
        return int(found.group(1)), int(found.group(2))

    def test_busy_cores_are_not_free(self):
        cores = len(os.sched_getaffinity(0))
        busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"])
                for _ in range(cores)]
        try:
            time.sleep(0.5)
            free, of = self.free()
        finally:
            for process in busy:
                process.kill()
                process.wait()
        self.assertEqual(free, 0)
        self.assertLessEqual(of, cores)

    def test_affinity_is_obeyed(self):
        core = min(os.sched_getaffinity(0))
        free, of = self.free("taskset", "-c", str(core))
        self.assertEqual(of, 1)
        self.assertLessEqual(free, 1)


class BuildTest(ScriptsTest):
    def configured(self, *arguments, **more):
        self.run_right("launch/build.sh", *arguments, **more)
        return [note.split() for note in self.checkout.notes
                if "--preset" in note][-1]

    def test_tests_are_on_for_who_builds_tests(self):
        for arguments, targets, wanted in (
                ([], "", ["ON"]), ([], "subgen_generate", []),
                ([], "subgen_generate engine_config_test", ["ON"]),
                (["-DSUBGEN_TESTS=OFF"], "", ["OFF"])):
            asked = self.configured(*arguments, TARGETS=targets)
            self.assertEqual([argument for argument in asked
                              if "SUBGEN_TESTS" in argument],
                             ["-DSUBGEN_TESTS=" + word for word in wanted])

    def test_tests_are_off_where_their_packages_are_missing(self):
        self.checkout.command("dpkg-query", "exit 1\n")
        for targets in ("", "subgen_generate"):
            asked = self.configured(TARGETS=targets)
            self.assertIn("-DSUBGEN_TESTS=OFF", asked)
            self.assertNotIn("-DSUBGEN_TESTS=ON", asked)
        result = self.checkout.run("launch/build.sh")
        self.assertIn("install_packages.sh --tests", result.stderr)
        # Who names a test is told by cmake what is missing.
        self.assertNotIn("-DSUBGEN_TESTS=OFF",
                         self.configured(TARGETS="engine_config_test"))

    def test_configure_builds_nothing(self):
        self.configured("--configure")
        self.assertNotIn("--build", " ".join(self.checkout.notes))

    def test_unknown_presets_are_refused(self):
        self.assert_one_line(self.checkout.run("launch/build.sh", PRESET="gpu"),
                             "PRESET=gpu", "asan")


class LockTest(ScriptsTest):
    def test_two_at_once_wait_for_each_other(self):
        first = self.checkout.start("launch/build.sh", BUILD_SECONDS="2")
        while not any("begin" in note for note in self.checkout.notes):
            self.assertIsNone(first.poll())
            time.sleep(0.05)
        second = self.checkout.start("launch/quickstart.sh", "--model", "m",
                                     RANKS="1")
        errors = [process.communicate(timeout=30)[1]
                  for process in (first, second)]
        self.assertEqual([first.returncode, second.returncode], [0, 0], errors)
        waiting = "waiting for another script of this checkout (build, process"
        self.assertNotIn(waiting, errors[0])
        self.assertIn("quickstart: " + waiting, errors[1])
        marks = [note.split()[0] for note in self.checkout.notes
                 if note.startswith(("begin", "end"))]
        self.assertEqual(marks, ["begin", "end"] * 2)

    def test_the_answer_holds_no_lock(self):
        self.checkout.command("mpirun", NOTE + "exec sleep 20\n")
        asking = self.checkout.start("launch/quickstart.sh", "--model", "m",
                                     RANKS="2")
        self.addCleanup(asking.communicate)
        self.addCleanup(asking.kill)
        while not any("mpirun" in note for note in self.checkout.notes):
            self.assertIsNone(asking.poll())
            time.sleep(0.05)
        self.assertNotIn("waiting", self.run_right("launch/build.sh").stderr)

    def test_a_checkout_of_another_user_is_told(self):
        for script in ("build.sh", "quickstart.sh", "test.sh"):
            result = self.checkout.run_as_nobody("launch/" + script)
            self.assert_one_line(result, self.checkout.path("build"),
                                 "another user's")


class InstallPackagesTest(ScriptsTest):
    def setUp(self):
        super().setUp()
        self.checkout.command("dpkg-query", "exit 1\n")

    def listed(self, *options):
        return self.run_right("launch/install_packages.sh", "--list",
                              *options).stdout.split()

    def printed(self):
        result = self.checkout.run_as_nobody("launch/install_packages.sh",
                                             "--tests")
        self.assertEqual(result.returncode, 1)
        self.assertEqual(self.checkout.notes, [])
        return result.stderr.splitlines()[-1]

    def assert_installs(self, line):
        """The line, started by a user, does all that is missing."""
        self.checkout.command("apt-get", NOTE)
        subprocess.run(["bash", "-c", line], check=True,
                       env=self.checkout.environment())
        update, install = self.checkout.notes[-2:]
        self.assertEqual(update, "apt-get update")
        self.assertEqual(install.split()[:3],
                         ["apt-get", "install", "--no-install-recommends"])
        self.assertEqual(install.split()[3:], self.listed("--tests"))

    def test_printed_command_with_su(self):
        line = self.printed()
        self.checkout.command("su", '[ "$1" = -c ] && exec sh -c "$2"\n')
        self.assert_installs(line)

    def test_printed_command_with_sudo(self):
        self.checkout.command("sudo", '[ "$1" != -n ] && exec "$@"\n')
        line = self.printed()
        self.assertIn("sudo ", line)
        self.assert_installs(line)

    def test_lists_grow(self):
        plain, tests, ci = (set(self.listed(*options)) for options in (
            [], ["--tests"], ["--ci"]))
        self.assertLess(plain, tests)
        self.assertLess(tests, ci)

    def test_build_names_the_script_that_installs_cmake(self):
        os.remove(os.path.join(self.checkout.tools, "cmake"))
        self.assert_one_line(self.checkout.run("launch/build.sh"),
                             "cmake is missing", "install_packages.sh")


REPORT = """<testsuite>
<testcase name="good" time="1"/>
<testcase name="bad" time="2"><failure/><system-out>the output of bad
</system-out></testcase>
<testcase name="skips" time="0"><skipped message="SKIP_REGULAR_EXPRESSION_MATCHED"/>
<system-out>a.cc:1: Skipped
no device here
</system-out></testcase>
<testcase name="lost" time="0"><skipped message="Unable to find executable"/>
<system-out>Unable to find executable: lost</system-out></testcase>
</testsuite>"""
TESTS = """{"tests": [
{"name": "good", "properties": [{"name": "LABELS", "value": ["kernels"]}]},
{"name": "bad", "properties": [{"name": "LABELS", "value": ["kernels"]}]},
{"name": "skips", "properties": [{"name": "LABELS", "value": ["kernels"]}]},
{"name": "lost"}]}"""


class TestScriptTest(ScriptsTest):
    def setUp(self):
        super().setUp()
        self.checkout.replace("launch/fetch_model.sh", "echo model")
        self.checkout.command("clang-format", "exit 0\n")
        self.checkout.write(self.checkout.path("report.xml"), REPORT)
        self.checkout.write(self.checkout.path("tests.json"), TESTS)
        folder = self.checkout.folder
        self.checkout.command("ctest", """case "$*" in
  *show-only*) cat %s/tests.json ;;
  *) echo a line for the log; cp %s/report.xml %s/build/tests.xml; exit 8 ;;
esac
""" % (folder, folder, folder))

    def test_cuda_without_nvcc_is_skipped(self):
        result = self.run_right("launch/test.sh", "--cuda")
        self.assertIn("skipped: cuda: nvcc", result.stdout)
        self.assertEqual(result.stdout.splitlines()[-1],
                         "0 passed, 0 failed, 1 skipped")
        self.assertEqual(self.checkout.notes, [])

    def test_lines_failures_and_total(self):
        result = self.checkout.run("launch/test.sh", "--quick")
        self.assertEqual(result.returncode, 1)
        text = result.stdout + result.stderr
        self.assertRegex(text, r"(?m)^kernels +1 +1 +1 +3\.0$")
        self.assertRegex(text, r"(?m)^lost +0 +1 +0 +0\.0$")
        self.assertIn("skipped: no device here: skips", text)
        self.assertIn("--- kernels: bad\nthe output of bad", result.stdout)
        self.assertEqual(result.stdout.splitlines()[-1],
                         "2 passed, 2 failed, 1 skipped")  # and clang-format
        self.assertNotIn("a line for the log", text)
        log = re.search(r"(?m)^log: (.*)$", text).group(1)
        with open(log) as file:
            self.assertIn("a line for the log", file.read())

    def test_switches_on_what_the_quick_start_left_out(self):
        self.checkout.run("launch/test.sh", "--quick")
        asked = [note for note in self.checkout.notes if "--preset" in note][0]
        self.assertIn("-DSUBGEN_TESTS=ON", asked)
        self.assertIn("-DSUBGEN_CUDA=AUTO", asked)

    def test_a_build_that_fails_shows_its_errors(self):
        self.checkout.command("cmake", """[ "$1" = --build ] || exit 0
echo '[1/2] a.cc'; echo 'FAILED: b.cc'; echo 'b.cc:1: wrong'; exit 1
""")
        result = self.checkout.run("launch/test.sh", "--quick")
        self.assertEqual(result.stdout.splitlines()[-1],
                         "1 passed, 1 failed, 0 skipped")
        self.assertIn("b.cc:1: wrong", result.stdout)
        self.assertNotIn("a.cc", result.stdout)


if __name__ == "__main__":
    unittest.main()
