#!/usr/bin/env python3
"""Side by side with llama.cpp: the same GGUF files, threads and depths.

Runs llama.cpp (the Python package llama-cpp-python, flash attention on) and
subgen_bench_decode in turns, one repetition of each after the other, so that
both see the same machine, and prints medians and ratios as a Markdown table.

One file: each test against our exact cache and our sketch.
Several files, or --ik: a row for each file. Our cache is exact; the plain read
is the file's bytes at the bandwidth that our program measures in the same run;
loads are from the start to one token, of a file that is in memory.

llama.cpp is not part of this project's set-up. To install it:
  python3 -m venv llama && CMAKE_ARGS=-DGGML_NATIVE=ON \
    llama/bin/pip install llama-cpp-python
  llama/bin/python launch/compare_llama_cpp.py --model MODEL.gguf
"""
import argparse
import os
import statistics
import sys

import peers
from peers import Failure, Llama, Ours, Test, in_turns, rate


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("files", metavar="MODEL", nargs="*", help="GGUF files")
    parser.add_argument("--model", nargs="+", action="extend", default=[],
                        metavar="MODEL", help="the same, by name")
    parser.add_argument("--bench",
                        default=os.path.join(peers.ROOT, "build",
                                             "subgen_bench_decode"),
                        help="our program (default: %(default)s)")
    parser.add_argument("--ik", metavar="LLAMA_BENCH",
                        help="also ik_llama.cpp: the path of its llama-bench")
    parser.add_argument("--ik_flash_attention", type=int, choices=[0, 1],
                        default=1, help="of ik_llama.cpp (default: 1)")
    parser.add_argument("--threads", type=positive, default=os.cpu_count())
    parser.add_argument("--ranks", type=positive, default=1,
                        help="one file: also our exact cache on that many MPI "
                        "ranks, which share the threads")
    parser.add_argument("--depths", type=numbers,
                        help="tokens before those generated (default: 16,7900; "
                        "several files: 16)")
    parser.add_argument("--prompts", type=numbers,
                        help="tokens of prompts; an empty list: none "
                        "(default: 512,7900; several files: 512)")
    parser.add_argument("--gen", type=positive, default=64,
                        help="tokens to generate")
    parser.add_argument("--sequences", type=numbers, default=[],
                        help="only the total tokens/s of so many sequences at "
                        "once, for example 1,8, at each of --depths (512)")
    parser.add_argument("--repetitions", type=positive, default=3)
    parser.add_argument("--budget", type=positive, default=1024,
                        help="one file: rows a KV head of the sketch")
    parser.add_argument("--set", action="append", default=[],
                        help="a setting of ours, key=value (repeatable)")
    return complete(parser.parse_intermixed_args())


def complete(options):
    """The options with the defaults that depend on others, checked."""
    options.models = options.files + options.model
    options.by_file = len(options.models) > 1 or options.ik is not None
    if options.depths is None and options.sequences:
        options.depths = [512]
    if options.depths is None:
        options.depths = [16] if options.by_file else [16, 7900]
    if options.prompts is None:
        options.prompts = [512] if options.by_file else [512, 7900]
    if not options.models:
        raise Failure("no model: give one GGUF file or several")
    if not options.depths + options.prompts:
        raise Failure("--depths and --prompts: one of both must name a test")
    if options.sequences and options.ik:
        raise Failure("--sequences: its llama-bench has none, leave out --ik")
    if options.by_file and options.ranks > 1:
        raise Failure("--ranks %d: 1 is legal with several files or --ik" %
                      options.ranks)
    for path in options.models + ([options.ik] if options.ik else []):
        if not os.path.isfile(path):
            raise Failure(path + ": no such file")
    return options


def positive(text):
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(text + ": at least 1")
    return number


def numbers(text):
    return [positive(part) for part in text.split(",") if part]


def context_of(options):
    return max(options.depths + options.prompts) + options.gen + 8


# --- one file ---------------------------------------------------------------

def measure(options, llama, test, policies, name):
    """Rows of one test: llama.cpp against each of our policies."""
    ours = []
    try:
        llama.prepare(test)
        for policy in policies:
            ours.append(Ours(options, options.models[0], policy, test))
        if options.ranks > 1:
            ours.append(Ours(options, options.models[0], policies[0], test,
                             options.ranks))
        theirs, *mine = in_turns(
            [lambda: llama.run(test), *(each.run for each in ours)],
            options.repetitions)
    finally:
        for each in ours:
            each.close()
    base = rate(test, theirs)
    for each, seconds in zip(ours, mine):
        print("| %s%d @ d%d | %s | %.1f | %s | %.1f | %.2f |" % (
            *test, name, base, each.label, rate(test, seconds),
            rate(test, seconds) / base), flush=True)


def compare_policies(options, llama_cpp):
    print("| test | llama.cpp | t/s | subgen | t/s | ratio |\n"
          "|---|---|---:|---|---:|---:|", flush=True)
    model, context = options.models[0], context_of(options)
    llama = Llama(llama_cpp, options, model, context)
    for tokens in options.prompts:
        measure(options, llama, Test("pp", tokens, 0), ["exact", "subgen"],
                "f16")
    for depth in options.depths:
        measure(options, llama, Test("tg", options.gen, depth),
                ["exact", "subgen"], "f16")
    llama.close()
    llama = Llama(llama_cpp, options, model, context, quantized=True)
    for depth in options.depths:
        measure(options, llama, Test("tg", options.gen, depth), ["exact/q8"],
                "q8_0")
    llama.close()


# --- several files ----------------------------------------------------------

class FileRow:
    """What one file gives. An engine that fails is named once, on standard
    error, and its cells stay empty: the others go on."""

    def __init__(self, options, llama_cpp, model):
        self.options, self.llama_cpp, self.model = options, llama_cpp, model
        self.failed = set()
        self.bandwidth = 0.0  # the best of what our program measured

    def attempt(self, engine, call, *arguments):
        """What the call returns; None where the engine has failed."""
        if engine in self.failed:
            return None
        try:
            return call(*arguments)
        except Failure as failure:
            self.failed.add(engine)
            peers.warn(self.model, failure)
            return None

    def turns(self, calls):
        """The median of each engine's seconds; None where it has failed."""
        seconds = in_turns(
            [lambda name=name, call=call: self.attempt(name, call)
             for name, call in calls.items()], self.options.repetitions)
        return {name: None if None in each else statistics.median(each)
                for name, each in zip(calls, seconds)}

    def rates(self, llama, test):
        """Tokens a second of one test, by engine."""
        self.attempt("llama.cpp", lambda: llama.prepare(test))
        ours = self.attempt("subgen", Ours, self.options, self.model, "exact",
                            test)
        calls = {"llama.cpp": lambda: llama.run(test)}
        if self.options.ik:
            calls["ik"] = lambda: peers.run_ik(self.options, self.model, test)
        calls["subgen"] = lambda: ours.run()
        try:
            seconds = self.turns(calls)
        finally:
            if ours:
                ours.close()
        if ours and "subgen" not in self.failed:
            self.bandwidth = max(self.bandwidth, ours.read_bandwidth())
        return {name: each and test.tokens / each
                for name, each in seconds.items()}

    def loads(self):
        """Seconds to the first token, by engine."""
        options, model = self.options, self.model
        return self.turns({
            "llama.cpp": lambda: peers.llama_load(self.llama_cpp, options,
                                                  model),
            "subgen": lambda: peers.our_load(options, model)})

    def measure(self):
        """The cells of the row."""
        llama = self.attempt("llama.cpp", Llama, self.llama_cpp, self.options,
                             self.model, context_of(self.options))
        tests = tests_of(self.options)
        rates = [self.rates(llama, test) for test in tests]
        if llama:
            llama.close()
        loads = self.loads()
        size = os.path.getsize(self.model)
        plain = self.bandwidth / size or None
        cells = [os.path.basename(self.model), "%.2f" % (size / 1e9)]
        for test, each in zip(tests, rates):
            cells += ["%.1f" % value if value else "-"
                      for value in each.values()]
            cells.append(quotient(each["subgen"], best_peer(each)))
            if test.kind == "tg":
                cells.append(quotient(each["subgen"], plain))
        cells += ["%.1f" % plain if plain else "-",
                  "%.1f" % (self.bandwidth / 1e9) if plain else "-"]
        return cells + ["%.2f" % value if value else "-"
                        for value in loads.values()]


def best_peer(rates):
    return max((value for name, value in rates.items()
                if value and name != "subgen"), default=None)


def quotient(value, base):
    return "%.2f" % (value / base) if value and base else "-"


def tests_of(options):
    return ([Test("pp", tokens, 0) for tokens in options.prompts] +
            [Test("tg", options.gen, depth) for depth in options.depths])


def header(options):
    names = ["llama.cpp"] + (["ik"] if options.ik else []) + ["subgen"]
    cells = ["file", "GB"]
    for test in tests_of(options):
        title = "%s%d" % (test.kind, test.tokens)
        title += " @ d%d" % test.depth if test.depth else ""
        cells += ["%s %s" % (title, name) for name in names]
        cells.append("ratio to the better peer" if options.ik else "ratio")
        if test.kind == "tg":
            cells.append("of plain read")
    return cells + ["plain read t/s", "GB/s", "load s llama.cpp",
                    "load s subgen"]


def compare_files(options, llama_cpp):
    """Prints a row for each file; whether all engines had figures for all."""
    cells = header(options)
    print("| " + " | ".join(cells) + " |\n|---" + "|---:" * (len(cells) - 1) +
          "|", flush=True)
    complete_rows = True
    for model in options.models:
        row = FileRow(options, llama_cpp, model)
        print("| " + " | ".join(row.measure()) + " |", flush=True)
        complete_rows = complete_rows and not row.failed
    return complete_rows


# --- several sequences ------------------------------------------------------

def compare_sequences(options, llama_cpp):
    """Prints a row for each file, depth and number of sequences."""
    print("| file | sequences @ depth | llama.cpp t/s | subgen t/s | ratio |\n"
          "|---|---|---:|---:|---:|", flush=True)
    for model in options.models:
        for depth in options.depths:
            for sequences in options.sequences:
                llama = peers.LlamaSequences(llama_cpp, options, model,
                                             sequences, depth)
                seconds = in_turns(
                    [lambda: llama.run(options.gen),
                     lambda: peers.our_sequences(options, model, sequences,
                                                 depth)], options.repetitions)
                llama.close()
                test = Test("tg", sequences * options.gen, depth)
                theirs, ours = (rate(test, each) for each in seconds)
                print("| %s | %d @ %d | %.1f | %.1f | %.2f |" % (
                    os.path.basename(model), sequences, depth, theirs, ours,
                    ours / theirs), flush=True)


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
    print("llama-cpp-python %s, %d threads, medians of %d in turns\n" % (
        llama_cpp.__version__, options.threads, options.repetitions))
    if options.sequences:
        compare_sequences(options, llama_cpp)
        return 0
    if options.by_file:
        return 0 if compare_files(options, llama_cpp) else 1
    compare_policies(options, llama_cpp)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        print("compare_llama_cpp:", failure, file=sys.stderr)
        sys.exit(1)
