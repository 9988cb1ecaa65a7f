#!/usr/bin/env python3
"""make_model.py: where formats stand, what it refuses, and that our programs
read what it writes (skipped without the Python packages gguf and numpy).

usage: make_model_test.py BUILD_FOLDER [unittest arguments]
"""
import importlib.util
import os
import sys
import unittest

from programs import GENERATE, ProgramCase, run

LAUNCH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..",
                      "launch")
SCRIPT = os.path.join(LAUNCH, "make_model.py")
sys.path.insert(0, LAUNCH)
import make_model  # noqa: E402

# These are bytes and numbers of a block, from the definition of the formats.
BLOCKS = {"F32": (4, 1), "F16": (2, 1), "Q4_0": (18, 32), "Q4_K": (144, 256),
          "Q5_K": (176, 256), "Q6_K": (210, 256), "IQ4_XS": (136, 256)}
HAVE_PACKAGES = all(map(importlib.util.find_spec, ("gguf", "numpy")))


def formats(shape, file_type, pure=False):
    """{name: format} of the tensors, without '.weight'."""
    return {name[:-len(".weight")]: kind for name, _, kind, _ in
            make_model.tensors_of(shape, file_type, pure)}


def layers_with(kinds, part, kind):
    return [int(name.split(".")[1]) for name, each in kinds.items()
            if name.endswith("." + part) and each == kind]


class FormatsTest(unittest.TestCase):
    """Against what llama.cpp's quantizer does, written down by hand."""

    shape = make_model.SHAPES["1B"]

    def test_medium_files(self):
        for file_type, common in (("Q4_K_M", "Q4_K"), ("Q5_K_M", "Q5_K")):
            kinds = formats(self.shape, file_type)
            self.assertEqual(kinds["token_embd"], "Q6_K")
            for part in ("attn_v", "ffn_down"):
                self.assertEqual(layers_with(kinds, part, "Q6_K"),
                                 [0, 1, 4, 7, 10, 13, 14, 15])
                self.assertEqual(len(layers_with(kinds, part, common)), 8)
            for part in ("attn_q", "attn_k", "attn_output", "ffn_up",
                         "ffn_gate"):
                self.assertEqual(len(layers_with(kinds, part, common)), 16)

    def test_others(self):
        kinds = formats(self.shape, "Q4_K_S")
        self.assertEqual(layers_with(kinds, "attn_v", "Q5_K"), [0, 1, 2, 3])
        self.assertEqual(layers_with(kinds, "ffn_down", "Q5_K"), [0, 1])
        kinds = formats(self.shape, "IQ4_XS")  # four query heads per KV head
        self.assertEqual(len(layers_with(kinds, "attn_v", "Q5_K")), 16)
        self.assertEqual(layers_with(kinds, "ffn_down", "Q5_K"), [0, 1])
        kinds = formats(make_model.SHAPES["7B"], "IQ4_NL")
        self.assertEqual(layers_with(kinds, "attn_v", "Q5_K"), [])
        self.assertEqual((kinds["token_embd"], kinds["output"]),
                         ("IQ4_NL", "Q6_K"))
        for file_type, output in (("Q4_0", "Q6_K"), ("Q8_0", "Q8_0"),
                                  ("F16", "F16"), ("Q6_K", "Q6_K")):
            kinds = formats(self.shape, file_type)
            self.assertEqual(kinds.pop("token_embd"), output)
            self.assertEqual(set(kinds.values()), {"F32", file_type})
        kinds = formats(self.shape, "Q4_0", pure=True)
        self.assertEqual(kinds["token_embd"], "Q4_0")

    def test_sizes(self):
        """Of files that llama.cpp's tool made of the same shape: a Q4_K_M of
        0.67 GB; and 32 x 4096 x (4 x 4096 + 3 x 11008) weights of 7B."""
        size = sum(BLOCKS[kind][0] * length // BLOCKS[kind][1]
                   for length, kind in self.lengths("1B", "Q4_K_M"))
        self.assertEqual(round(size / 1e9, 2), 0.67)
        self.assertEqual(
            sum(length for length, kind in self.lengths("7B", "F16")
                if kind == "F16"),
            32 * 4096 * (4 * 4096 + 3 * 11008) + 2 * 49152 * 4096)

    def lengths(self, shape, file_type):
        for _, dimensions, kind, _ in make_model.tensors_of(
                make_model.SHAPES[shape], file_type, False):
            length = 1
            for dimension in dimensions:
                length *= dimension
            yield length, kind


class MistakesTest(ProgramCase):
    def assert_one_line(self, arguments, *words, **options):
        result = run([sys.executable, SCRIPT, *arguments], **options)
        error = result.stderr.decode()
        self.assertEqual((result.returncode, len(error.splitlines())), (1, 1),
                         error)
        self.assertTrue(error.startswith("make_model: "), error)
        for word in words:
            self.assertIn(word, error)

    def test_arguments(self):
        out = self.path("out.gguf")
        for arguments, words in (
                ([], ["SHAPE", "TYPE", "OUT"]),
                (["2B", "F16", out], ["'2B'", "tiny, 1B, 3B, 7B"]),
                (["1B", "Q9", out], ["'Q9'", "Q4_K_M", "IQ4_XS"]),
                (["1B", "F16", out, "--seed", "-1"], ["--seed"]),
                (["1B", "F16", out, "--seed", "x"], ["'x'", "from 0"]),
                (["1B", "F16", out, "--tied", "--untied"], ["--tied"])):
            self.assert_one_line(arguments, *words)
        self.assertFalse(os.path.exists(out))

    def test_missing_package(self):
        folder = self.path("none")
        os.makedirs(folder)
        with open(os.path.join(folder, "gguf.py"), "w") as file:
            file.write("raise ImportError('none here')\n")
        self.assert_one_line(
            ["tiny", "F16", self.path("out.gguf")], "none here",
            "pip install gguf",
            env={"PYTHONPATH": folder, "PYTHONDONTWRITEBYTECODE": "1"})

    @unittest.skipUnless(HAVE_PACKAGES, "gguf or numpy is not installed")
    def test_places(self):
        self.assert_one_line(["tiny", "F16", "/nowhere/out.gguf"], "/nowhere")
        self.assert_one_line(["tiny", "F16", self.folder.name],
                             "no regular file")


@unittest.skipUnless(HAVE_PACKAGES, "gguf or numpy is not installed")
class FilesTest(ProgramCase):
    def make(self, *arguments):
        path = self.path("made.gguf")
        result = run([sys.executable, SCRIPT, "tiny", arguments[0], path,
                      *arguments[1:]])
        self.assertEqual(result.returncode, 0, result.stderr.decode())
        self.assertFalse(os.path.exists(path + ".part"))
        return path

    def read(self, *arguments):
        with open(self.make(*arguments), "rb") as file:
            return file.read()

    def test_seeds(self):
        first = self.read("Q4_K_M")
        self.assertEqual(first, self.read("q4_k_m", "--seed", "0"))
        other = self.read("Q4_K_M", "--seed", "1")
        self.assertEqual(len(first), len(other))
        self.assertNotEqual(first, other)

    def test_weights(self):
        """A matrix of 256 x 256: its mean and its deviation times the root of
        256, within five of their standard errors, 0.005 and 0.013 (of 256
        blocks at most: scales spread by 1/sqrt(48), squares by twice that)."""
        import gguf
        import numpy as np
        for file_type in make_model.TYPES:
            reader = gguf.GGUFReader(self.make(file_type, "--pure"))
            tensor = next(each for each in reader.tensors
                          if each.name == "blk.1.attn_q.weight")
            self.assertEqual(tensor.tensor_type.name,
                             make_model.TYPES[file_type])
            numbers = 16 * gguf.dequantize(
                tensor.data, tensor.tensor_type).astype(np.float64)
            with self.subTest(file_type=file_type):
                self.assertLess(abs(numbers.mean()), 0.025)
                self.assertLess(abs(numbers.std() - 1), 0.065)

    def test_our_programs_read_them(self):
        """Logits are a product of 256 unit numbers and weights of deviation
        1/16: the largest of 512 normal ones lies between 2 and 6 but for a
        chance below 1e-5."""
        for file_type in make_model.TYPES:
            for tied in ("--tied", "--untied"):
                report, _ = self.report(
                    [GENERATE, "--model", self.make(file_type, tied),
                     "--prompt", "hello Welt", "--raw", "--max_tokens", "3",
                     "--logprobs", "2", "--set", "threads=1"])
                with self.subTest(file_type=file_type, tied=tied):
                    # h, el, l, o, the blank, W, el, t: "el" is made before
                    # "he", and pairs end with "ju".
                    self.assertEqual(len(report["prompt_tokens"]), 8)
                    for best, second in report["top_logits"]:
                        self.assertGreater(best[1], 2)
                        self.assertLess(best[1], 6)


if __name__ == "__main__":
    unittest.main()
