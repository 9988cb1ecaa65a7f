#!/usr/bin/env python3
"""Measures what busy neighbors cost: one rank on all cores, and two ranks by
how they wait and how they are bound, beside programs that only compute.

usage: bench_neighbors.py MODEL [--build BUILD] [--neighbors 0,1,2]

Prints a Markdown table of decoded tokens per second (medians of repetitions
taken in turns) with the ratio to one rank under the same load. On two cores the
quick start's ranks are those named "bound".
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

YIELD = "OMPI_MCA_mpi_yield_when_idle"
SHARES = ["--use-hwthread-cpus", "--map-by", "slot:PE=1", "--bind-to",
          "hwthread"]
# Of each way: mpirun's arguments, none for one rank, and its environment.
WAYS = {
    "one rank": (None, {}),
    "two, bound": (["-n", "2", *SHARES], {}),
    "two, not bound": (["-n", "2", "--bind-to", "none"], {}),
    "two, bound, yielding": (["-n", "2", *SHARES], {YIELD: "1"}),
    "two, not bound, yielding": (["-n", "2", "--bind-to", "none"],
                                 {YIELD: "1"}),
}
ENVIRONMENT = {"OMPI_MCA_rmaps_base_oversubscribe": "1",
               "OMPI_MCA_btl_vader_single_copy_mechanism": "none"}
if os.geteuid() == 0:
    ENVIRONMENT.update(OMPI_ALLOW_RUN_AS_ROOT="1",
                       OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")


def speed(arguments, way):
    """Decoded tokens per second of one run."""
    ranks, environment = WAYS[way]
    with tempfile.NamedTemporaryFile(suffix=".json") as report:
        command = [os.path.join(arguments.build, "subgen_generate"), "--model",
                   arguments.model, "--prompt", "Count to thirty.",
                   "--max_tokens", str(arguments.tokens), "--report",
                   report.name]
        if ranks is not None:
            command = ["mpirun", *ranks, *command]
        subprocess.run(command, check=True, capture_output=True,
                       env=dict(os.environ, **ENVIRONMENT, **environment))
        with open(report.name) as file:
            return json.load(file)["decode"]["tokens_per_second"]


def measure(arguments, neighbors):
    """Of each way its speeds, beside so many busy programs."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"])
            for _ in range(neighbors)]
    try:
        speeds = {way: [] for way in WAYS}
        for _ in range(arguments.repetitions):
            for way, taken in speeds.items():
                taken.append(speed(arguments, way))
        return speeds
    finally:
        for program in busy:
            program.kill()
            program.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", help="GGUF file")
    parser.add_argument("--build", default="build", help="folder of programs")
    parser.add_argument("--neighbors", default="0,1,2", help="busy programs")
    parser.add_argument("--tokens", type=int, default=48, help="of an answer")
    parser.add_argument("--repetitions", type=int, default=5)
    arguments = parser.parse_args()
    print("| busy programs | " + " | ".join(WAYS) + " |")
    print("|" + "---|" * (1 + len(WAYS)))
    for neighbors in map(int, arguments.neighbors.split(",")):
        speeds = measure(arguments, neighbors)
        medians = {way: statistics.median(s) for way, s in speeds.items()}
        one = medians["one rank"]
        cells = [f"{median:.1f}" if way == "one rank" else
                 f"{median:.1f} ({median / one:.2f} x)"
                 for way, median in medians.items()]
        print(f"| {neighbors} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
