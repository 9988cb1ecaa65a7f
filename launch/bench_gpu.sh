#!/bin/bash
# One report of what this host's GPUs do: kernels beside the bandwidth of a
# copy, decode against depth with the time that goes into updating the sketch,
# collectives over NCCL, attention beside PyTorch where that is installed.
#
# Usage: launch/bench_gpu.sh [MODEL]
#   MODEL   a GGUF file; default: SmolLM2-135M-Instruct, which is fetched
#
# Environment:
#   BUILD    the build folder, default build/
#   PYTHON   the interpreter that has PyTorch, default python3
#
# Example: launch/bench_gpu.sh > report.md
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck source=launch/checkout.sh
source "$root/launch/checkout.sh"
help_if_asked "$@"
case "${1:-}" in -*) refuse "$1" "--help and a GGUF file" ;; esac
if (($# > 1)); then refuse "$2" "one GGUF file"; fi
build=${BUILD:-$root/build}
if ! gpus=$(nvidia-smi --query-gpu=name,memory.total,driver_version \
  --format=csv,noheader 2> /dev/null) || [[ -z $gpus ]]; then
  die "nvidia-smi finds no GPU on this host"
fi
if [[ ! -x $build/subgen_bench_kernels ]]; then
  die "$build has no programs; launch/build.sh builds them"
fi
model=${1:-$("$root/launch/fetch_model.sh")}
# shellcheck source=launch/mpi_environment.sh
source "$root/launch/mpi_environment.sh"
count=$(wc -l <<< "$gpus")

section() { printf '\n## %s\n\n' "$*"; }

printf '# GPUs\n\n%s\n' "$gpus"
git -C "$root" log -1 --format='Commit %h of %cs.' 2> /dev/null || true

section "Kernels, 7B shapes"
"$build/subgen_bench_kernels" --set backend=cuda --rows 8192,131072,1048576

section "Decode against depth, SubGen at 2,048 rows"
"$build/subgen_bench_decode" --model "$model" --set backend=cuda -p 512 -n 64 \
  -d 0,8192,131072,1048576 --policies subgen --set cache.budget_tokens=2048

section "Decode against depth, exact"
"$build/subgen_bench_decode" --model "$model" --set backend=cuda -p 512 -n 64 \
  -d 0,7900 --policies exact

section "Collectives"
if ((count > 1)); then
  mpirun -n "$count" "$build/subgen_bench_comm" --model "$model" \
    --set comm=nccl --set backend=cuda
else
  echo "One GPU: two ranks share it."
  mpirun -n 2 "$build/subgen_bench_comm" --model "$model" --set comm=nccl \
    --set backend=cuda --set ranks.device=shared ||
    echo "NCCL refuses two ranks on one GPU here."
fi

section "Attention and products beside PyTorch"
"${PYTHON:-python3}" "$root/launch/compare_torch.py" --build "$build" || true
