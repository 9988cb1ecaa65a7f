"""Tests of launch/quickstart.sh, run by scripts_test.py."""
import os
import subprocess

from script_checkout import ScriptsTest

QUESTION = "What is the capital of France? Answer in one sentence."
MODEL = "SmolLM2-135M-Instruct.Q4_1.gguf"


class QuickstartTest(ScriptsTest):
    def setUp(self):
        super().setUp()
        self.free_cores(1)

    def free_cores(self, count):
        self.checkout.replace("launch/free_cores.sh", "echo %d of 4" % count)

    def command(self, *arguments, **more):
        """What it would start, split as a shell does."""
        printed = self.run_right("launch/quickstart.sh", "--print_command",
                                 *arguments, **more).stdout
        self.assertFalse(os.path.exists(self.checkout.path("build")))
        return subprocess.run(["bash", "-c", "printf '%s\\n' " + printed],
                              capture_output=True, text=True,
                              check=True).stdout.splitlines()

    def test_asks_its_question_with_its_model(self):
        command = self.command()
        self.assertEqual(command[0],
                         self.checkout.path("build/subgen_generate"))
        self.assertEqual(command[-2:], ["--prompt", QUESTION])
        self.assertEqual(command[command.index("--model") + 1],
                         os.path.join(self.checkout.home, ".cache/subgen",
                                      MODEL))
        self.assertEqual(command[command.index("--config") + 1],
                         self.checkout.path("configs/smollm2_135m.yaml"))

    def test_single_options_keep_the_question(self):
        for options in (["--max_tokens", "5"], ["--set", "threads=1"],
                        ["--report", "r.json"], ["--raw"]):
            command = self.command(*options)
            self.assertEqual(command[-2:], ["--prompt", QUESTION])
            self.assertEqual(command[-2 - len(options):-2], options)

    def test_another_prompt_takes_the_place_of_the_question(self):
        for options in (["--prompt", "a"], ["--prompt=a"], ["--prompt_file", "a"],
                        ["--prompt_file=a"], ["--chat"], ["--dump_config"],
                        ["--version"], ["--chunks", "a"], ["--chunks=a"]):
            command = self.command(*options)
            self.assertNotIn(QUESTION, command)
            self.assertEqual(command[-len(options):], options)

    def test_model_and_config_are_given_once(self):
        for options in (["--model", "m"], ["--model=m"], ["--set", "model=m"],
                        ["--set=model=m"]):
            command = self.command(*options)
            self.assertNotIn(MODEL, " ".join(command))
            self.assertIn("--config", command)
            self.assertIn(QUESTION, command)
        self.assertNotIn("--model", self.command(SUBGEN_MODEL="m"))
        path = self.checkout.path("own.yaml")
        for text, model in (("threads: 1\n", True), ("model: m\n", False)):
            self.checkout.write(path, text)
            for options in (["--config", path], ["--config=" + path]):
                command = self.command(*options)
                self.assertNotIn("smollm2_135m.yaml", " ".join(command))
                self.assertEqual("--model" in command, model)

    def test_two_ranks_only_on_two_free_cores(self):
        for free, options, more, ranks in (
                (0, [], {}, 1), (1, [], {}, 1), (2, [], {}, 2), (4, [], {}, 2),
                (4, ["--chat"], {}, 1), (4, ["--set", "comm=threads"], {}, 1),
                (0, [], {"RANKS": "3"}, 3)):
            self.free_cores(free)
            command = self.command(*options, **more)
            with self.subTest(free=free, options=options, more=more):
                if ranks == 1:
                    self.assertNotIn("mpirun", command)
                else:
                    self.assertEqual(command[:3], ["mpirun", "-n", str(ranks)])
        self.assert_one_line(self.checkout.run("launch/quickstart.sh",
                                               RANKS="two"), "RANKS=two")

    def configure(self):
        """What cmake was asked for by one more run."""
        before = len(self.checkout.notes)
        result = self.run_right("launch/quickstart.sh", "--model", "m")
        self.assertEqual(result.stdout.splitlines()[-2:],
                         ["--prompt", QUESTION])
        notes = self.checkout.notes[before:]
        return [note for note in notes if "--preset" in note][0], result.stderr

    def test_a_new_folder_has_no_tests_and_an_old_one_keeps_them(self):
        asked, error = self.configure()
        self.assertIn("-DSUBGEN_TESTS=OFF", asked)
        self.assertIn("-DSUBGEN_CUDA=OFF", asked)
        self.assertIn("the first time", error)
        asked, error = self.configure()
        self.assertNotIn("SUBGEN_TESTS", asked)
        self.assertNotIn("SUBGEN_CUDA", asked)
        self.assertNotIn("the first time", error)

    def test_device_code_for_the_gpus_of_this_machine(self):
        for capabilities, wanted in (
                ("9.0\\n8.0\\n9.0", "-DCMAKE_CUDA_ARCHITECTURES=80;90"),
                ("10.0", "-DCMAKE_CUDA_ARCHITECTURES=100"),
                ("7.5", "-DSUBGEN_CUDA=OFF")):
            self.checkout.command("nvidia-smi",
                                  "printf '%s\\n'\n" % capabilities)
            asked, _ = self.configure()
            self.assertIn(wanted, asked.split())
            self.assertEqual("ARCHITECTURES" in asked, "ARCH" in wanted)
            os.remove(self.checkout.path("build/CMakeCache.txt"))
