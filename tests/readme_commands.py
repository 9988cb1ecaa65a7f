"""The commands of documents: how they are found, what is made smaller so that
they run on a toy model in a second, and which are not run here."""
import re

# This is typed into --chat.
TO_LEAVE = "hello\n/exit\n"

# This is changed so that a command ends soon; what it is stays.
SMALLER = [
    (r"\$\(launch/fetch_model\.sh\)", "model.gguf"),
    (r"/usr/local", "installed"),
    (r"(subgen_bench_decode\b.*) -p \d+", r"\1 -p 16"),
    (r"(subgen_bench_decode\b.*) -n \d+", r"\1 -n 2"),
    (r"(subgen_bench_decode\b.*) -d [\d,]+", r"\1 -d 0,600"),
    (r"(subgen_bench_decode\b.*) -r \d+", r"\1"),
    (r"(subgen_bench_decode\b)", r"\1 -r 1 --set cache.recent_tokens=32"),
    (r"cache\.budget_tokens=1024", r"cache.budget_tokens=96"),
    (r"(subgen_bench_comm\b)", r"\1 -n 2 -w 1"),
    (r"(subgen_bench_kernels\b.*) --rows [\d,]+", r"\1 --rows 70,128"),
    (r"(subgen_bench_kernels\b)",
     r"\1 --seconds 0 -r 1 --embedding 256 --feed_forward 300"
     r" --prompt_tokens 20"),
    (r"configs/evaluation/(\w+\.yaml)", r"plans/\1"),
    (r"--plan (\w+\.yaml)", r"--plan plans/\1"),
    (r"(subgen_evaluate\b)",
     r"\1 --texts a.txt b.txt --set cache.recent_tokens=8"
     r" --set context_tokens=700 --set threads=1"),
    (r"(ranks\.token_shards=\d)", r"\1 --set ranks.token_block=1"),
    (r"(subgen_generate\b(?!.*(--dump_config|--version|--max_tokens)))",
     r"\1 --max_tokens 8"),
]

# These are not run here: a pattern, and the reason. A test that is named runs
# the program in its place, and has its name in it.
ELSEWHERE = {
    r"launch/quickstart\.sh": "needs a network: tests/fresh_machine.sh",
    r"launch/test\.sh( --ci)?$": "is what runs this test",
    r"launch/test\.sh --cuda": "needs a GPU",
    r"launch/build\.sh": "is what builds this test: launch/test.sh",
    r"^ctest ": "is what runs this test",
    r"configs/gpu\.yaml": "needs GPUs",
    r"backend=cuda": "needs a GPU",
    r"launch/bench_gpu\.sh":
        "needs a GPU; refusals: tests/launch/bench_test.py",
    r"launch/package\.sh": "takes long: tests/launch/package_test.py",
    r"launch/bench_scaling\.sh": "takes long: tests/launch/bench_test.py",
    r"launch/bench_neighbors\.py":
        "keeps cores busy: tests/launch/programs_test.py",
    r"launch/compare_llama_cpp\.py":
        "needs llama.cpp; with a stand-in: tests/launch/compare_test.py",
    r"launch/make_model\.py|pip install gguf":
        "needs a Python package: tests/launch/make_model_test.py",
    r"^findings/\w+\.sh": "needs a network; findings are no tests",
}

# These are settings of the tasks of a plan, for a toy.
SMALL_TASKS = """
budgets: 0.5
chunk: 16
copy: {pairs: 2, tokens_a: 32, tokens_b: 64}
perplexity: {texts: 2, prefix: 80, tokens: 120, buckets: 2}
passkey: {lengths: 200, depths: 0.5, questions: 2}
lines: {lines: 1, questions: 1, max_tokens: 4}
attention: {texts: 2, prefix: 80, tokens: 90}
"""


def commands_of(text):
    """Commands of the ```sh blocks: lines joined at a backslash, comments and
    repeated blanks taken off."""
    commands = []
    for block in re.findall(r"^```sh\n(.*?)^```$", text,
                            re.MULTILINE | re.DOTALL):
        for line in re.sub(r"\\\n\s*", "", block).splitlines():
            line = without_comment(line)
            if line:
                commands.append(re.sub(r"\s{2,}", " ", line))
    return commands


def without_comment(line):
    quote = None
    for i, letter in enumerate(line):
        if quote:
            quote = None if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter == "#" and (i == 0 or line[i - 1].isspace()):
            line = line[:i]
            break
    return line.strip()


def elsewhere_of(command):
    """Why a command is not run here; None where it is."""
    for pattern, reason in ELSEWHERE.items():
        if re.search(pattern, command):
            return reason
    return None


def small_plan(text):
    """A plan with its tasks and policies, in the sizes of a toy."""
    names = re.findall(r"^(\w+):", SMALL_TASKS, re.MULTILINE)
    kept, skipping = [], False
    for line in text.splitlines():
        key = re.match(r"(\w+):", line)
        if key:
            skipping = key.group(1) in names
        if not skipping:
            kept.append(line)
    task = re.search(r"^tasks: *(\w+)", text, re.MULTILINE).group(1)
    others = {"copy", "perplexity", "passkey", "lines", "attention"} - {task}
    small = [line for line in SMALL_TASKS.splitlines()
             if line.split(":")[0] not in others]
    return "\n".join(kept + small) + "\n"
