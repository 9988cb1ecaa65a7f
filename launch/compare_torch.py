#!/usr/bin/env python3
"""Our kernels beside PyTorch's, on the same device, in turns: the attention of
one decoded token (scaled_dot_product_attention), and products with a weight
(linear, by cuBLASLt on a GPU).

Ours are timed by subgen_bench_kernels: attention exact over all rows, and over
as many as a SubGen sketch keeps; products with a weight in Q4_0, theirs in
bf16. Needs the Python package torch, which nothing else here needs:

    python3 -m venv torch && torch/bin/pip install torch
    torch/bin/python launch/compare_torch.py --backend cuda
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")


def parse():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--build", default=os.path.join(ROOT, "build"))
    parser.add_argument("--backend", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--tokens", default="8192,131072,1048576",
                        help="context lengths")
    parser.add_argument("--sketch_rows", type=int, default=2048)
    parser.add_argument("--kv_heads", type=int, default=8)
    parser.add_argument("--group", type=int, default=4)
    parser.add_argument("--head_dim", type=int, default=128)
    parser.add_argument("--embedding", type=int, default=4096,
                        help="columns of the weight")
    parser.add_argument("--feed_forward", type=int, default=11008,
                        help="its rows")
    parser.add_argument("--prompt_tokens", type=int, default=512)
    parser.add_argument("--threads", type=int, default=0,
                        help="on cpu; 0: all cores")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.1,
                        help="of a repetition")
    return parser.parse_args()


def ours(options, kernel, *arguments):
    """Rows of our kernel, of which `microseconds` is the median."""
    command = [
        os.path.join(options.build, "subgen_bench_kernels"), "-o", "json",
        "--repetitions", str(options.repetitions),
        "--seconds", str(options.seconds), "--kernels", kernel,
        "--set", f"backend={options.backend}",
        "--set", f"threads={options.threads}", *map(str, arguments)]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode != 0:
        sys.exit(run.stderr.strip() or f"compare_torch: {command[0]} failed")
    return [row for row in json.loads(run.stdout) if row["kernel"] == kernel]


def our_attention(options, rows):
    return ours(options, "attention", "--rows", rows, "--kv_heads",
                options.kv_heads, "--group", options.group, "--head_dim",
                options.head_dim)[0]["microseconds"]


def theirs(torch, options, call):
    """Microseconds of a call, the median."""
    def timed(calls):
        if options.backend == "cuda":
            torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(calls):
            call()
        if options.backend == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start

    timed(1)
    calls = max(1, int(options.seconds / max(timed(1), 1e-7)))
    return statistics.median(
        timed(calls) / calls * 1e6 for _ in range(options.repetitions))


def numbers(torch, options, *sizes):
    return torch.randn(*sizes, device=options.backend, dtype=torch.bfloat16)


def their_attention(torch, options, rows):
    heads, dim = options.kv_heads, options.head_dim
    query = numbers(torch, options, 1, heads * options.group, 1, dim)
    key = numbers(torch, options, 1, heads, rows, dim)
    value = numbers(torch, options, 1, heads, rows, dim)
    return theirs(
        torch, options,
        lambda: torch.nn.functional.scaled_dot_product_attention(
            query, key, value, enable_gqa=True))


def their_linear(torch, options, tokens):
    weight = numbers(torch, options, options.feed_forward, options.embedding)
    rows = numbers(torch, options, tokens, options.embedding)
    return theirs(torch, options,
                  lambda: torch.nn.functional.linear(rows, weight))


def compare_attention(torch, options):
    print(f"Attention, {options.kv_heads} KV heads x {options.group}, bf16 "
          f"rows of {options.head_dim}\n")
    print(f"| tokens | torch exact | ours exact | torch / ours | "
          f"ours, {options.sketch_rows} rows | torch / ours |")
    print("|---:|---:|---:|---:|---:|---:|")
    for tokens in (int(count) for count in options.tokens.split(",")):
        torch_time = their_attention(torch, options, tokens)
        exact = our_attention(options, tokens)
        sketch = our_attention(options, min(tokens, options.sketch_rows))
        print(f"| {tokens} | {torch_time:.1f} | {exact:.1f} | "
              f"{torch_time / exact:.2f} x | {sketch:.1f} | "
              f"{torch_time / sketch:.2f} x |", flush=True)


def compare_products(torch, options):
    print(f"\nProducts, {options.feed_forward} x {options.embedding}\n")
    print("| tokens | torch bf16 | ours Q4_0 | torch / ours |")
    print("|---:|---:|---:|---:|")
    rows = ours(options, "linear", "--embedding", options.embedding,
                "--feed_forward", options.feed_forward, "--prompt_tokens",
                options.prompt_tokens)
    for tokens, row in zip((1, 16, options.prompt_tokens), rows):
        torch_time, time_of_ours = (their_linear(torch, options, tokens),
                                    row["microseconds"])
        print(f"| {tokens} | {torch_time:.1f} | {time_of_ours:.1f} | "
              f"{torch_time / time_of_ours:.2f} x |", flush=True)


def main():
    options = parse()
    try:
        import torch
    except ImportError:
        sys.exit("compare_torch: the Python package torch is missing; "
                 "--help says how to install it")
    if options.backend == "cuda" and not torch.cuda.is_available():
        sys.exit("compare_torch: torch finds no GPU; --backend cpu compares "
                 "on the CPU")
    if options.threads > 0:
        torch.set_num_threads(options.threads)
    print(f"torch {torch.__version__}, {options.backend}; microseconds, "
          "medians\n")
    compare_attention(torch, options)
    compare_products(torch, options)


if __name__ == "__main__":
    main()
