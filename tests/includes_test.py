#!/usr/bin/env python3
"""Fails on a source that includes less than it uses: precompiled headers hide
that from the build.

usage: includes_test.py BUILD_FOLDER [PART_OF_A_PATH]...

Checks the syntax of each C++ source of compile_commands.json once, without
precompiled headers, two at a time; only those with a part in their path, where
parts are given. The last line is the number of sources that are wrong.
"""
import concurrent.futures
import json
import os
import shlex
import subprocess
import sys


def commands(build, parts):
    """Of each source the compiler's words that matter for its syntax."""
    with open(os.path.join(build, "compile_commands.json")) as file:
        entries = json.load(file)
    found = {}
    for entry in entries:
        path = os.path.realpath(os.path.join(entry["directory"], entry["file"]))
        if not path.endswith(".cc") or "cmake_pch" in path:
            continue
        if parts and not any(part in path for part in parts):
            continue
        words = shlex.split(entry["command"])
        while not words[0].endswith(("c++", "g++")):
            words = words[1:]  # ccache
        kept = []
        skip = False
        for i, word in enumerate(words):
            if skip:
                skip = False
            elif word in ("-o", "-MF", "-MT", "-include"):
                skip = True
            elif word not in ("-c", "-MD", "-Winvalid-pch"):
                kept.append(word)
        found.setdefault(path, (kept + ["-fsyntax-only", "-O0"],
                                entry["directory"]))
    return found


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    found = commands(sys.argv[1], sys.argv[2:])
    wrong = 0

    def check(item):
        path, (words, folder) = item
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True)
        return path, done.returncode, done.stderr

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for path, code, error in pool.map(check, found.items()):
            if code != 0:
                wrong += 1
                print(path, error, sep="\n", flush=True)
    print(f"{wrong} of {len(found)} sources include less than they use")
    return wrong != 0 or not found


if __name__ == "__main__":
    sys.exit(main())
