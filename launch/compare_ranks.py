#!/usr/bin/env python3
"""Says where texts stay the same over ranks, threads and prompt chunks.

usage: compare_ranks.py MODEL [--build BUILD] [--tokens 48] [--policy exact]

Answers twelve prompts greedily, once on one rank and then in every other way,
with ranks as threads of one process. Sums in another order differ in their
last digits, so a text may change where the two best logits are nearly equal:
the table counts the texts that stay, and gives the largest gap between the two
best logits at a token where one changed.
"""
import argparse
import json
import os
import subprocess
import tempfile

PROMPTS = [
    "What is the capital of France?", "Count to thirty.",
    "Write a poem about the sea.", "Explain what a compiler does.",
    "List five fruits and their colors.", "Who wrote Hamlet?",
    "Tell me a story about a fox and a crow.", "What is 12 times 12?",
    "Translate 'good morning' into Spanish and German.",
    "How does a bicycle stay upright?", "Name three planets and describe them.",
    "Write a function in Python that reverses a list.",
]
WAYS = [("2 ranks", ["comm=threads", "ranks.count=2", "threads=1"]),
        ("3 ranks", ["comm=threads", "ranks.count=3", "threads=1"]),
        ("4 ranks", ["comm=threads", "ranks.count=4", "threads=1"]),
        ("6 ranks", ["comm=threads", "ranks.count=6", "threads=1"]),
        ("2 threads", ["threads=2"]),
        ("chunks of 16 tokens", ["threads=1", "prefill_chunk=16"])]


def answer(arguments, prompt, settings):
    with tempfile.NamedTemporaryFile(suffix=".json") as report:
        command = [os.path.join(arguments.build, "subgen_generate"), "--model",
                   arguments.model, "--prompt", prompt, "--max_tokens",
                   str(arguments.tokens), "--logprobs", "2", "--report",
                   report.name, "--set", "cache.policy=" + arguments.policy]
        for setting in settings:
            command += ["--set", setting]
        subprocess.run(command, check=True, capture_output=True)
        with open(report.name) as file:
            return json.load(file)


def gap(one, other):
    """Between the two best logits of the first token that differs, or None."""
    for i, (a, b) in enumerate(zip(one["tokens"], other["tokens"])):
        if a != b:
            best, second = one["top_logits"][i]
            return best[1] - second[1]
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", help="GGUF file")
    parser.add_argument("--build", default="build", help="folder of programs")
    parser.add_argument("--tokens", type=int, default=48, help="of an answer")
    parser.add_argument("--prompts", type=int, default=len(PROMPTS),
                        help="the first so many")
    parser.add_argument("--policy", default="exact", help="cache policy")
    arguments = parser.parse_args()
    prompts = PROMPTS[:arguments.prompts]
    ones = [answer(arguments, prompt, ["threads=1"]) for prompt in prompts]
    print(f"| beside 1 rank of 1 thread | texts the same, of {len(prompts)} | "
          "largest gap where one changed |")
    print("|---|---|---|")
    for name, settings in WAYS:
        gaps = [gap(one, answer(arguments, prompt, settings))
                for one, prompt in zip(ones, prompts)]
        changed = [each for each in gaps if each is not None]
        largest = f"{max(changed):.3f}" if changed else ""
        print(f"| {name} | {len(gaps) - len(changed)} | {largest} |",
              flush=True)


if __name__ == "__main__":
    main()
