#!/bin/bash
# From a fresh checkout to an answer: installs, builds, fetches the model and
# asks it a question on two MPI ranks.
#   launch/quickstart.sh [argument for subgen_generate]...
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
"$root/launch/install_packages.sh"
TARGETS="subgen_generate subgen_inspect" "$root/launch/build.sh" >&2
model=$("$root/launch/fetch_model.sh")
# shellcheck source=launch/mpi_environment.sh
source "$root/launch/mpi_environment.sh"

arguments=("$@")
if (($# == 0)); then
  arguments=(--prompt
    "What is the capital of France? Answer in one sentence.")
fi
command=(mpirun -n 2 --bind-to none "$root/build/subgen_generate"
  --config "$root/configs/smollm2_135m.yaml" --model "$model" "${arguments[@]}")
printf '$' >&2
printf ' %q' "${command[@]}" >&2
printf '\n' >&2
exec "${command[@]}"
