"""The documents of the tree, how large they may be, and the files that they
name in backticks and links."""
import glob
import os
import re
import subprocess

FOLDERS = ("comm", "configs", "engine", "findings", "kernels", "launch",
           "tests")
EXTENSION = re.compile(r"\.(cc|h|cu|cuh|py|sh|sbatch|yaml|md|cmake|json|png|"
                       r"txt|csv|gguf)$")
WORD = re.compile(r"^[\w.\-*/{},]+$")
MOST_COLUMNS = 100  # in tables too
MOST_LINES = {"README.md": 150, "CONTRIBUTING.md": 100, "SECURITY.md": 80}
MOST_LINES_OF_A_README = 80  # in every folder
# These are names of no file of the tree: what a user has or what a program writes.
NOT_OURS = re.compile(
    r"^(build/|build-|llama/|bin/|mpi/|(model|MODEL|book|answer|report|"
    r"attention|environment|scaling|small)\.\w+$)")


def documents(source):
    """Paths of all Markdown files, from the source folder: tracked ones where
    git knows, else those of the known folders."""
    listed = subprocess.run(["git", "-C", source, "ls-files"],
                            capture_output=True, text=True)
    if listed.returncode == 0 and "README.md" in listed.stdout.split():
        paths = listed.stdout.splitlines()
    else:
        paths = os.listdir(source)
        for folder in FOLDERS:
            for where, _, names in os.walk(os.path.join(source, folder)):
                paths += [os.path.relpath(os.path.join(where, name), source)
                          for name in names]
    return sorted(path for path in paths if path.endswith(".md"))


def oversizes(document, text):
    """What is too long or too wide, one line for each fault. Tables of
    measurements, the glossary and the changelog may have any length."""
    lines = text.splitlines()
    faults = [f"{document}:{number} has {len(line)} columns"
              for number, line in enumerate(lines, 1)
              if len(line) > MOST_COLUMNS]
    most = MOST_LINES.get(document)
    if most is None and os.path.basename(document) == "README.md":
        most = MOST_LINES_OF_A_README
    if most is not None and len(lines) > most:
        faults.append(f"{document} has {len(lines)} lines, not {most}")
    return faults


def unasked_tables(text):
    """Tables that do not follow a heading which asks a question, and a sentence
    on how to read them: the first line of each."""
    faults, question, prose, code, before = [], False, False, False, ""
    for line in text.splitlines():
        if line.startswith("```"):
            code = not code
        elif line.startswith("#"):
            question, prose = line.endswith("?"), False
        elif line.startswith("|") and not code:
            if not before.startswith("|") and not (question and prose):
                faults.append(line)
        elif line and not code:
            prose = True
        before = line
    return faults


def named_files(text):
    """Words that look like files of the tree, in order."""
    text = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    for code, link in re.findall(r"`([^`\n]+)`|\]\(([^)\s]+)\)", text):
        for word in (code or link).split():
            if word.startswith(("http", "~", "/", "$", "-")):
                continue
            word = word.rstrip(",;:").removeprefix("./").split("#")[0]
            if not WORD.match(word) or NOT_OURS.match(word):
                continue
            first = word.split("/")[0]
            if EXTENSION.search(word) or ("/" in word and first in FOLDERS):
                yield word


def exists(folder, word):
    """As it is written, or without the extension that folders' tables leave
    out: engine/model/head_shares."""
    for choice in expanded(word):
        path = os.path.join(folder, choice)
        if not (glob.glob(path) or glob.glob(path + ".*")):
            return False
    return True


def expanded(word):
    """a{b,c} is ab and ac."""
    braces = re.match(r"(.*)\{(.*)\}(.*)$", word)
    if not braces:
        return [word]
    before, choices, after = braces.groups()
    return [before + choice + after for choice in choices.split(",")]


def base_names(source):
    """Of all files of the known folders."""
    return {name for folder in FOLDERS
            for _, _, names in os.walk(os.path.join(source, folder))
            for name in names}


def missing_files(source, document, text):
    """Files that the document names and that are neither in the source folder
    nor beside the document; a bare name may be that of any file."""
    places = [source, os.path.join(source, os.path.dirname(document))]
    bare = base_names(source)
    return [word for word in named_files(text)
            if word not in bare and
            not any(exists(place, word) for place in places)]


# This is a stop of a walk: "3. `engine/decode/engine.cc`, `Engine::Make`: the backend".
STOP = re.compile(r"^\d+\. `([\w/.-]+)`, `([\w:]+)`:", re.MULTILINE)


def sections(text):
    """{heading: text} of a document's sections of the second level."""
    parts = re.split(r"^## (.*)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2]))


def wrong_stops(root, section):
    """Stops whose function is not defined in their file, or come twice."""
    stops = STOP.findall(section)
    wrong = [stop for stop in stops if stops.count(stop) > 1]
    for path, function in stops:
        with open(os.path.join(root, path), encoding="utf-8") as file:
            if not re.search(rf"^[^/\n]*\b{function}\(", file.read(),
                             re.MULTILINE):
                wrong.append((path, function))
    return wrong
