#!/usr/bin/env python3
"""Side by side with llama.cpp: the same GGUF file, threads and depths.

Runs llama.cpp (the Python package llama-cpp-python, flash attention on) and
subgen_bench_decode in turns, one repetition of each after the other, so that
both see the same machine, and prints medians and ratios as a Markdown table.

llama.cpp is not part of this project's set-up. To install it:
  python3 -m venv llama && CMAKE_ARGS=-DGGML_NATIVE=ON \
    llama/bin/pip install llama-cpp-python
  llama/bin/python launch/compare_llama_cpp.py --model MODEL.gguf
"""
import argparse
import os
import statistics
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CHUNK = 512  # tokens of a prompt in one step, of both


class Failure(Exception):
    """What a user can do something about."""


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", required=True, help="GGUF file")
    parser.add_argument("--bench",
                        default=os.path.join(ROOT, "build",
                                             "subgen_bench_decode"),
                        help="our program (default: %(default)s)")
    parser.add_argument("--threads", type=positive, default=os.cpu_count())
    parser.add_argument("--ranks", type=positive, default=1,
                        help="also our exact cache on that many MPI ranks, "
                        "which share the threads")
    parser.add_argument("--depths", type=numbers, default=[16, 7900],
                        help="tokens before those generated")
    parser.add_argument("--prompts", type=numbers, default=[512, 7900],
                        help="tokens of prompts; an empty list: none")
    parser.add_argument("--gen", type=positive, default=64,
                        help="tokens to generate")
    parser.add_argument("--repetitions", type=positive, default=3)
    parser.add_argument("--budget", type=positive, default=1024,
                        help="rows a KV head of the sketch")
    parser.add_argument("--set", action="append", default=[],
                        help="a setting of ours, key=value (repeatable)")
    return parser.parse_args()


def positive(text):
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(text + ": at least 1")
    return number


def numbers(text):
    return [positive(part) for part in text.split(",") if part]


class Ours:
    """subgen_bench_decode with one test, repeated when it is asked to."""

    def __init__(self, options, policy, test, ranks=1):
        kind, tokens, depth = test
        self.label = policy
        command = [options.bench, "--model", options.model, "--in_turns",
                   "--policies", policy, "-r", str(options.repetitions),
                   "-p", str(tokens if kind == "pp" else 0),
                   "-n", str(tokens if kind == "tg" else 0), "-d", str(depth),
                   "--fill", "synthetic",
                   "--set", "threads=%d" % max(1, options.threads // ranks),
                   "--set", "prefill_chunk=%d" % CHUNK]
        if not policy.startswith("exact"):
            self.label += " %d" % options.budget
            command += ["--set", "cache.budget_tokens=%d" % options.budget]
        for setting in options.set:
            command += ["--set", setting]
        if ranks > 1:
            self.label += ", %d ranks" % ranks
            command = ["bash", "-c", 'source "$0"; exec "$@"',
                       os.path.join(ROOT, "launch", "mpi_environment.sh"),
                       "mpirun", "-n", str(ranks), "--bind-to", "none",
                       *command]
        try:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, text=True)
        except OSError as error:
            raise Failure("%s: %s (launch/build.sh builds it)" %
                          (options.bench, error.strerror)) from error
        self.expect("ready")

    def expect(self, word):
        line = self.process.stdout.readline()
        if line.startswith(word + " "):
            return line[len(word) + 1:]
        self.process.stdin.close()
        error = self.process.stderr.read().strip() or line.strip()
        ours = [each for each in error.splitlines()
                if each.startswith("subgen: ")]
        raise Failure("our program: " + (ours or [error])[0])

    def run(self):
        """Seconds of one repetition."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        seconds = float(self.expect("seconds"))
        self.process.stdout.readline()  # ready again, or the table begins
        return seconds

    def close(self):
        if not self.process.stdin.closed:
            self.process.stdin.close()
        self.process.stdout.read()
        self.process.wait()


class Llama:
    """llama.cpp with a context that is filled once to each depth."""

    def __init__(self, llama_cpp, options, context, quantised):
        self.cpp = llama_cpp
        kind = llama_cpp.GGML_TYPE_Q8_0 if quantised else None
        self.llama = llama_cpp.Llama(
            options.model, n_ctx=context, n_batch=CHUNK, n_ubatch=CHUNK,
            n_threads=options.threads, n_threads_batch=options.threads,
            flash_attn=True, type_k=kind, type_v=kind, verbose=False)
        self.length = 0

    def cut(self, length):
        """Forgets what follows the first `length` tokens."""
        if length > self.length:
            raise Failure("the context holds fewer tokens than that")
        self.cpp.llama_memory_seq_rm(
            self.cpp.llama_get_memory(self.llama.ctx), -1, length, -1)
        self.length = length

    def decode(self, tokens, step):
        """Appends that many tokens, `step` at a time."""
        vocabulary = self.llama.n_vocab()
        for first in range(0, tokens, step):
            count = min(step, tokens - first)
            batch = (self.cpp.llama_token * count)(
                *((7919 * (first + i) + 17) % vocabulary
                  for i in range(count)))
            result = self.cpp.llama_decode(
                self.llama.ctx, self.cpp.llama_batch_get_one(batch, count))
            if result != 0:
                raise Failure("llama_decode returned %d" % result)
            self.cpp.llama_synchronize(self.llama.ctx)
            self.length += count

    def prepare(self, test):
        kind, _, depth = test
        self.cut(min(depth, self.length))
        self.decode(depth - self.length, CHUNK)
        self.decode(4, CHUNK if kind == "pp" else 1)  # warms up

    def run(self, test):
        kind, tokens, depth = test
        self.cut(depth)
        start = time.monotonic()
        self.decode(tokens, CHUNK if kind == "pp" else 1)
        return time.monotonic() - start


def rate(test, seconds):
    return test[1] / statistics.median(seconds)


def measure(options, llama, test, policies, name):
    """Rows of one test: llama.cpp against each of our policies."""
    ours = []
    try:
        llama.prepare(test)
        for policy in policies:
            ours.append(Ours(options, policy, test))
        if options.ranks > 1:
            ours.append(Ours(options, policies[0], test, options.ranks))
        theirs, mine = [], [[] for _ in ours]
        for _ in range(options.repetitions):
            theirs.append(llama.run(test))
            for seconds, each in zip(mine, ours):
                seconds.append(each.run())
    finally:
        for each in ours:
            each.close()
    base = rate(test, theirs)
    for each, seconds in zip(ours, mine):
        print("| %s%d @ d%d | %s | %.1f | %s | %.1f | %.2f |" % (
            *test, name, base, each.label, rate(test, seconds),
            rate(test, seconds) / base), flush=True)


def main():
    options = parse_arguments()
    try:
        import llama_cpp
    except ImportError as error:
        raise Failure(
            "llama.cpp is not installed for this Python (%s): "
            "python3 -m venv llama && CMAKE_ARGS=-DGGML_NATIVE=ON "
            "llama/bin/pip install llama-cpp-python, then run this script "
            "with llama/bin/python" % error) from error
    if not os.path.isfile(options.model):
        raise Failure(options.model + ": no such file")
    context = max(options.depths + options.prompts) + options.gen + 8
    print("llama-cpp-python %s, %d threads, medians of %d in turns" % (
        llama_cpp.__version__, options.threads, options.repetitions))
    print("\n| test | llama.cpp | t/s | subgen | t/s | ratio |\n"
          "|---|---|---:|---|---:|---:|", flush=True)
    llama = Llama(llama_cpp, options, context, quantised=False)
    for tokens in options.prompts:
        measure(options, llama, ("pp", tokens, 0), ["exact", "subgen"], "f16")
    for depth in options.depths:
        measure(options, llama, ("tg", options.gen, depth),
                ["exact", "subgen"], "f16")
    del llama
    llama = Llama(llama_cpp, options, context, quantised=True)
    for depth in options.depths:
        measure(options, llama, ("tg", options.gen, depth), ["exact/q8"],
                "q8_0")


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        print("compare_llama_cpp:", failure, file=sys.stderr)
        sys.exit(1)
