"""The engines that compare_llama_cpp.py lets run in turns. Each runs one
repetition of a test when it is asked to, and says how long that took."""
import collections
import csv
import io
import json
import os
import statistics
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CHUNK = 512  # tokens of a prompt in one step, of all

# kind: "pp", a prompt, or "tg", generated tokens; depth: tokens before those.
Test = collections.namedtuple("Test", "kind tokens depth")


class Failure(Exception):
    """What a user can do something about."""


def rate(test, seconds):
    """Tokens a second."""
    return test.tokens / statistics.median(seconds)


def in_turns(runs, repetitions):
    """Seconds of each engine: one repetition of all, then the next."""
    seconds = [[] for _ in runs]
    for _ in range(repetitions):
        for each, run in zip(seconds, runs):
            each.append(run())
    return seconds


def start(command, hint, **options):
    """A process, or a failure that says what to do about it."""
    try:
        return subprocess.Popen(command, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, **options)
    except OSError as error:
        raise Failure("%s: %s (%s)" % (command[0], error.strerror,
                                       hint)) from error


def finish(command, hint, name):
    """The output of a process that does all it is for at once."""
    process = start(command, hint)
    output, error = process.communicate()
    if process.returncode != 0:
        raise Failure("%s: %s" % (name, last_word(error) or "status %d" %
                                  process.returncode))
    return output


def last_word(error):
    """Our programs' message, or the last line of another's."""
    lines = [line for line in error.splitlines() if line.strip()]
    ours = [line for line in lines if line.startswith("subgen: ")]
    return (ours[:1] or lines[-1:] or [""])[0]


class Ours:
    """subgen_bench_decode with one test, repeated when it is asked to."""

    def __init__(self, options, model, policy, test, ranks=1):
        self.label = policy
        self.table = ""
        command = [options.bench, "--model", model, "--in_turns",
                   "--policies", policy, "-r", str(options.repetitions),
                   "-p", str(test.tokens if test.kind == "pp" else 0),
                   "-n", str(test.tokens if test.kind == "tg" else 0),
                   "-d", str(test.depth), "--fill", "synthetic",
                   "-o", "json", *settings(options, ranks),
                   "--set", "prefill_chunk=%d" % CHUNK]
        if not policy.startswith("exact"):
            self.label += " %d" % options.budget
            command += ["--set", "cache.budget_tokens=%d" % options.budget]
        if ranks > 1:
            self.label += ", %d ranks" % ranks
            command = ["bash", "-c", 'source "$0"; exec "$@"',
                       os.path.join(ROOT, "launch", "mpi_environment.sh"),
                       "mpirun", "-n", str(ranks), "--bind-to", "none",
                       *command]
        self.process = start(command, "launch/build.sh builds it",
                             stdin=subprocess.PIPE)
        self.expect("ready")

    def expect(self, word):
        line = self.process.stdout.readline()
        if line.startswith(word + " "):
            return line[len(word) + 1:]
        self.process.stdin.close()
        error = self.process.stderr.read()
        raise Failure("our program: " + (last_word(error) or line.strip()))

    def run(self):
        """Seconds of one repetition."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        seconds = float(self.expect("seconds"))
        line = self.process.stdout.readline()
        if not line.startswith("ready "):
            self.table = line  # and what follows
        return seconds

    def close(self):
        if not self.process.stdin.closed:
            self.process.stdin.close()
        self.table += self.process.stdout.read()
        self.process.wait()

    def read_bandwidth(self):
        """Bytes a second that the threads read; after close()."""
        return json.loads(self.table)[0]["read_bandwidth"]


def settings(options, ranks=1):
    """Arguments of our programs."""
    given = ["threads=%d" % max(1, options.threads // ranks), *options.set]
    return [part for setting in given for part in ("--set", setting)]


def our_load(options, model):
    """Seconds from the start of the program to its end after one token."""
    program = os.path.join(os.path.dirname(options.bench), "subgen_generate")
    begin = time.monotonic()
    finish([program, "--model", model, "--prompt", "a", "--raw",
            "--max_tokens", "1", *settings(options),
            "--set", "cache.policy=exact"],
           "launch/build.sh builds it", "our program")
    return time.monotonic() - begin


class Llama:
    """llama.cpp with a context that is filled once to each depth."""

    def __init__(self, llama_cpp, options, model, context, quantized=False):
        self.cpp = llama_cpp
        kind = llama_cpp.GGML_TYPE_Q8_0 if quantized else None
        try:
            self.llama = llama_cpp.Llama(
                model, n_ctx=context, n_batch=CHUNK, n_ubatch=CHUNK,
                n_threads=options.threads, n_threads_batch=options.threads,
                flash_attn=True, type_k=kind, type_v=kind, verbose=False)
        except ValueError as error:
            raise Failure("llama.cpp: %s" % error) from error
        self.length = 0

    def close(self):
        self.llama.close()

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
        self.cut(min(test.depth, self.length))
        self.decode(test.depth - self.length, CHUNK)
        self.decode(4, CHUNK if test.kind == "pp" else 1)  # warms up

    def run(self, test):
        self.cut(test.depth)
        begin = time.monotonic()
        self.decode(test.tokens, CHUNK if test.kind == "pp" else 1)
        return time.monotonic() - begin


class LlamaSequences:
    """llama.cpp with several sequences in one context, each `depth` tokens
    long, which decodes one token of each at a time."""

    def __init__(self, llama_cpp, options, model, sequences, depth):
        self.cpp, self.sequences, self.depth = llama_cpp, sequences, depth
        llama_cpp.llama_backend_init()
        # It tells all it does on standard error. The callback lives on here.
        self.silent = llama_cpp.llama_log_callback(lambda *_: None)
        llama_cpp.llama_log_set(self.silent, None)
        self.model = llama_cpp.llama_model_load_from_file(
            model.encode(), llama_cpp.llama_model_default_params())
        if not self.model:
            raise Failure("llama.cpp: cannot load " + model)
        settings = llama_cpp.llama_context_default_params()
        settings.n_ctx = sequences * (depth + options.gen + 8)
        settings.n_batch = settings.n_ubatch = CHUNK
        settings.n_seq_max = sequences
        settings.n_threads = settings.n_threads_batch = options.threads
        settings.flash_attn_type = 1  # on
        self.context = llama_cpp.llama_init_from_model(self.model, settings)
        if not self.context:
            raise Failure("llama.cpp: no context of %d tokens" %
                          settings.n_ctx)
        for sequence in range(sequences):
            for first in range(0, depth, CHUNK):
                self.decode([(sequence, position) for position in
                             range(first, min(first + CHUNK, depth))])
        self.run(options.gen)  # warms up

    def decode(self, places):
        """One step of the tokens at these (sequence, position)."""
        batch = self.cpp.llama_batch_init(len(places), 0, 1)
        batch.n_tokens = len(places)
        for i, (sequence, position) in enumerate(places):
            batch.token[i] = (7919 * position + 17 * sequence) % 1000
            batch.pos[i] = position
            batch.n_seq_id[i] = 1
            batch.seq_id[i][0] = sequence
            batch.logits[i] = True
        result = self.cpp.llama_decode(self.context, batch)
        self.cpp.llama_synchronize(self.context)
        self.cpp.llama_batch_free(batch)
        if result != 0:
            raise Failure("llama_decode returned %d" % result)

    def run(self, tokens):
        """Seconds for so many tokens of each sequence."""
        begin = time.monotonic()
        for i in range(tokens):
            self.decode([(sequence, self.depth + i)
                         for sequence in range(self.sequences)])
        seconds = time.monotonic() - begin
        memory = self.cpp.llama_get_memory(self.context)
        for sequence in range(self.sequences):
            self.cpp.llama_memory_seq_rm(memory, sequence, self.depth, -1)
        return seconds

    def close(self):
        self.cpp.llama_free(self.context)
        self.cpp.llama_model_free(self.model)


def our_sequences(options, model, sequences, depth):
    """Seconds of ours for options.gen tokens of each sequence."""
    output = finish(
        [options.bench, "--model", model, "-p", "0", "-n", str(options.gen),
         "-d", str(depth), "-b", str(sequences), "--fill", "synthetic",
         "--policies", "exact", "-r", "1", "-o", "csv", *settings(options)],
        "launch/build.sh builds it", "our program")
    row = next(csv.DictReader(io.StringIO(output)))
    return sequences * options.gen / float(row["speed_tg"])


def llama_load(llama_cpp, options, model):
    """Seconds from nothing to the logits after one token."""
    begin = time.monotonic()
    llama = Llama(llama_cpp, options, model, CHUNK)
    llama.decode(1, 1)
    seconds = time.monotonic() - begin
    llama.close()
    return seconds


def run_ik(options, model, test):
    """Seconds of one repetition by the llama-bench of ik_llama.cpp. It starts
    anew each time; loading, repacking and a warm-up are not in its seconds."""
    what = {"pp": ["-p", str(test.tokens), "-n", "0"],
            "tg": ["-p", "0", "-n", "0", "-gp",
                   "%d,%d" % (test.depth, test.tokens)]}[test.kind]
    command = [options.ik, "-m", model, *what, "-r", "1", "-rtr", "1",
               "-t", str(options.threads), "-b", str(CHUNK), "-ub", str(CHUNK),
               "-fa", str(options.ik_flash_attention), "-o", "json"]
    output = finish(command, "--ik is the path of its llama-bench", "ik")
    try:
        rows = json.loads(output[output.index("["):])
        return test.tokens / rows[0]["avg_ts"]
    except (ValueError, LookupError, ZeroDivisionError) as error:
        raise Failure("%s gave no figures (%s)" % (options.ik,
                                                   error)) from error


def warn(model, failure):
    print("compare_llama_cpp: %s: %s" % (model, failure), file=sys.stderr)
