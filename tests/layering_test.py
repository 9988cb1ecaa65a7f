#!/usr/bin/env python3
"""Fails on an include that points against launch -> engine -> comm -> kernels.

usage: layering_test.py [ROOT]
"""
import os
import re
import sys
import tempfile
import unittest

ROOT = os.path.abspath(
    sys.argv.pop(1) if len(sys.argv) > 1 and os.path.isdir(sys.argv[1])
    else os.path.join(os.path.dirname(__file__), ".."))

# A folder may include itself and those of lower levels.
LEVELS = [
    ["kernels/base"],
    ["kernels/memory"],
    ["kernels/quant"],
    ["kernels"],
    ["kernels/cpu/threads", "kernels/cpu/simd", "kernels/cuda/runtime"],
    ["kernels/cpu/tiles", "kernels/cuda/device"],
    ["kernels/cpu/dense", "kernels/cuda/dense"],
    ["kernels/cpu/attention", "kernels/cuda/attention", "kernels/cuda/cache"],
    ["kernels/reference", "kernels/cuda"],
    ["kernels/cpu/cache"],
    ["kernels/cpu"],
    ["comm"],
    ["comm/nccl"],
    ["engine/config"],
    ["engine/cache/rows", "engine/text"],
    ["engine/cache"],
    ["engine/cache/policies", "engine/cache/policies/subgen"],
    ["engine/model"],
    ["engine/model/gguf"],
    ["engine/decode"],
    ["launch/flags", "launch/ranks"],
    ["launch/generate", "launch/inspect", "launch/evaluation", "launch/bench"],
    ["tests"],
]
LEVEL = {folder: level
         for level, folders in enumerate(LEVELS) for folder in folders}
# These are folders that only these may include, beside themselves.
SEEN_BY = {"engine/model/gguf": ["launch/inspect", "tests"]}
TOPS = {folder.split("/")[0] for folder in LEVEL}
SOURCE = re.compile(r"\.(h|hpp|inl|c|cc|cpp|cu|cuh)$")
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include(?:_next)?[ \t]*["<]([^">]+)[">]',
                     re.MULTILINE)


# Headers here bear a toolkit's names and are included as its own are.
IN_PLACE_OF_A_TOOLKIT = "tests/support/cuda_emulation"


def folder_of(path):
    """The folder of LEVELS that a file is in; tests/ is one."""
    if path.startswith("tests/"):
        return "tests"
    return os.path.dirname(path)


def sources(root):
    for top in sorted(TOPS):
        for folder, _, names in os.walk(os.path.join(root, top)):
            for name in sorted(names):
                if SOURCE.search(name):
                    yield os.path.relpath(os.path.join(folder, name), root)


def violation(path, included, exists):
    """What is wrong with one include, or None."""
    here = folder_of(path)
    if included.split("/")[0] not in TOPS:
        beside = os.path.normpath(
            os.path.join(os.path.dirname(path), included))
        if os.path.dirname(path) == IN_PLACE_OF_A_TOOLKIT:
            return None
        if ".." in included.split("/") or exists(beside):
            return "is not written from the project root"
        return None  # a library's or the system's
    there = folder_of(included)
    if there not in LEVEL:
        return f"is in {there}, which has no level"
    if here != there and LEVEL[there] >= LEVEL[here]:
        return f"points from {here} to {there}"
    if here not in SEEN_BY.get(there, [here]) + [there]:
        return f"points from {here} to {there}, which is not for all"
    return None


def violations(root):
    found = []
    for path in sources(root):
        if folder_of(path) not in LEVEL:
            found.append(f"{path}: its folder has no level")
            continue
        with open(os.path.join(root, path), encoding="utf-8") as file:
            text = file.read()
        for match in INCLUDE.finditer(text):
            problem = violation(
                path, match[1],
                lambda p: os.path.isfile(os.path.join(root, p)))
            if problem:
                line = text.count("\n", 0, match.start()) + 1
                found.append(f"{path}:{line}: {match[1]} {problem}")
    return found


class LayeringTest(unittest.TestCase):
    def test_the_project(self):
        self.assertGreater(len(list(sources(ROOT))), 20)
        self.assertEqual("\n".join(violations(ROOT)), "")

    def test_files_fit_on_a_few_screens(self):
        for path in sources(ROOT):
            with open(os.path.join(ROOT, path), encoding="utf-8") as file:
                self.assertLessEqual(len(file.readlines()), 400, path)

    def check_tree(self, files):
        with tempfile.TemporaryDirectory() as root:
            for path, text in files.items():
                full = os.path.join(root, path)
                os.makedirs(os.path.dirname(full), exist_ok=True)
                with open(full, "w", encoding="utf-8") as file:
                    file.write(text)
            return violations(root)

    def test_right_and_same_folder_are_legal(self):
        self.assertEqual(self.check_tree({
            "kernels/a.h": "#include <vector>\n#include \"absl/a.h\"\n",
            "engine/decode/a.cc":
                '#include "engine/decode/a.h"\n#include "kernels/a.h"\n',
            "engine/decode/a.h": '#include "comm/a.h"\n',
            "launch/ranks/a.cc": '#include "engine/decode/a.h"\n',
            "engine/model/gguf/a.cc": '#include "engine/model/gguf/a.h"\n',
            "launch/inspect/a.cc": '#include "engine/model/gguf/a.h"\n',
            "tests/comm/a.cc": '#include "tests/support/a.h"\n'
                               '#include "launch/ranks/a.h"\n',
        }), [])

    def test_each_wrong_way_is_found(self):
        wrong = [
            ("kernels/base/a.h", "kernels/memory/b.h"),
            ("kernels/memory/a.h", "kernels/quant/b.h"),
            ("kernels/quant/a.h", "kernels/backend.h"),
            ("kernels/backend.cc", "kernels/cpu/b.h"),
            ("kernels/reference/a.cc", "kernels/cpu/b.h"),
            ("kernels/cuda/a.cc", "kernels/reference/b.h"),
            ("kernels/cuda/cache/a.cc", "kernels/reference/b.h"),
            ("kernels/cpu/a.cc", "comm/b.h"),
            ("comm/a.cc", "engine/config/b.h"),
            ("engine/config/a.cc", "engine/cache/b.h"),
            ("engine/cache/a.cc", "engine/model/b.h"),
            ("engine/text/a.cc", "engine/model/b.h"),
            ("engine/model/a.cc", "engine/model/gguf/b.h"),
            ("engine/decode/a.cc", "engine/model/gguf/b.h"),
            ("launch/generate/a.cc", "engine/model/gguf/b.h"),
            ("engine/text/a.cc", "engine/decode/b.h"),
            ("engine/decode/a.cc", "launch/ranks/b.h"),
            ("launch/ranks/a.cc", "tests/support/b.h"),
        ]
        for path, included in wrong:
            for text in (f'#include "{included}"', f" # include <{included}>"):
                found = self.check_tree({path: f"\n{text}\n"})
                self.assertEqual(len(found), 1, path)
                self.assertIn(f"{path}:2: {included} points from", found[0])

    def test_relative_and_unknown_are_found(self):
        self.assertEqual(len(self.check_tree({
            "comm/a.h": "", "comm/b.h": '#include "a.h"\n',
            "comm/c.h": '#include "../engine/config/a.h"\n',
            "comm/d.h": '#include "engine/a.h"\n',
            "engine/utils/a.h": "",
        })), 4)


if __name__ == "__main__":
    unittest.main()
