#!/usr/bin/env python3
"""The attention of one decoded token beside PyTorch's own
(scaled_dot_product_attention), on the same device, in turns.

Ours is timed by subgen_bench_kernels: exact over all rows, and over as many as
a SubGen sketch keeps. Needs the Python package torch, which nothing else here
needs:

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
    parser.add_argument("--threads", type=int, default=0,
                        help="on cpu; 0: all cores")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.1,
                        help="of a repetition")
    return parser.parse_args()


def ours(options, rows):
    """Microseconds of our attention over so many rows of each KV head."""
    command = [
        os.path.join(options.build, "subgen_bench_kernels"), "-o", "json",
        "--rows", str(rows), "--kv_heads", str(options.kv_heads),
        "--group", str(options.group), "--head_dim", str(options.head_dim),
        "--repetitions", str(options.repetitions),
        "--seconds", str(options.seconds), "--kernels", "attention",
        "--set", f"backend={options.backend}",
        "--set", f"threads={options.threads}"]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode != 0:
        sys.exit(run.stderr.strip() or f"compare_torch: {command[0]} failed")
    return next(row["microseconds"] for row in json.loads(run.stdout)
                if row["kernel"] == "attention")


def theirs(torch, options, rows):
    device = "cuda" if options.backend == "cuda" else "cpu"
    shape = dict(device=device, dtype=torch.bfloat16)
    heads = options.kv_heads * options.group
    query = torch.randn(1, heads, 1, options.head_dim, **shape)
    key = torch.randn(1, options.kv_heads, rows, options.head_dim, **shape)
    value = torch.randn(1, options.kv_heads, rows, options.head_dim, **shape)

    def timed(calls):
        if device == "cuda":
            torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(calls):
            torch.nn.functional.scaled_dot_product_attention(
                query, key, value, enable_gqa=True)
        if device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start

    timed(1)
    calls = max(1, int(options.seconds / max(timed(1), 1e-7)))
    return statistics.median(
        timed(calls) / calls * 1e6 for _ in range(options.repetitions))


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
    print(f"torch {torch.__version__}, {options.backend}, "
          f"{options.kv_heads} KV heads x {options.group}, bf16 rows of "
          f"{options.head_dim}; microseconds, medians")
    print(f"| tokens | torch exact | ours exact | torch / ours | "
          f"ours, {options.sketch_rows} rows | torch / ours |")
    print("|---:|---:|---:|---:|---:|---:|")
    for tokens in (int(count) for count in options.tokens.split(",")):
        torch_time = theirs(torch, options, tokens)
        exact = ours(options, tokens)
        sketch = ours(options, min(tokens, options.sketch_rows))
        print(f"| {tokens} | {torch_time:.1f} | {exact:.1f} | "
              f"{torch_time / exact:.2f} x | {sketch:.1f} | "
              f"{torch_time / sketch:.2f} x |", flush=True)


if __name__ == "__main__":
    main()
