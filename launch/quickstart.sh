#!/bin/bash
# From a fresh checkout to an answer: installs the Debian packages that are
# missing, builds subgen_generate and subgen_inspect, fetches
# SmolLM2-135M-Instruct and asks it a question.
#
# Usage: launch/quickstart.sh [--print_command] [OPTION OF subgen_generate]...
#   --print_command   only prints the command that would ask the question
#
# Options of subgen_generate take the place of the quick start's own:
#   --prompt TEXT, --prompt_file FILE, --chat   instead of its question
#   --model FILE      instead of SmolLM2-135M-Instruct, which is not fetched then
#   --config FILE     instead of configs/smollm2_135m.yaml
#   --max_tokens N, --set KEY=VALUE and all others beside them; the whole list:
#   build/subgen_generate --help, once it has been built
#
# The answer comes from two MPI ranks where two cores are free, else from one.
#
# Environment:
#   RANKS            number of ranks, whatever is free
#   XDG_CACHE_HOME   the model is kept in its folder subgen; default: ~/.cache
#
# Example: launch/quickstart.sh --max_tokens 40 --prompt "Why is the sky blue?"
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck source=launch/checkout.sh
source "$root/launch/checkout.sh"
help_if_asked "$@"

# What the caller's arguments bring along, so that it is not given twice.
has_question=''
has_model=''
has_config=''
one_process=''
print_only=''
arguments=()
read_arguments() {
  local argument previous=''
  if [[ -n ${RANKS:-} && ! $RANKS =~ ^[1-9][0-9]{0,3}$ ]]; then
    refuse "RANKS=$RANKS" "1 to 9999"
  fi
  if [[ -n ${SUBGEN_MODEL:-} ]]; then has_model=yes; fi
  for argument in "$@"; do
    case "$argument" in
      --print_command) print_only=yes; continue ;;
      --chat | --chat=*)
        has_question=yes one_process="a line editor needs the terminal" ;;
      --dump_config | --dump_config=* | --version)
        has_question=yes one_process="no text is asked for" ;;
      --prompt | --prompt=* | --prompt_file | --prompt_file=* | --chunks | \
        --chunks=*) has_question=yes ;;
      --model | --model=* | model=* | --set=model=*) has_model=yes ;;
      --config=*) has_config=${argument#*=} ;;
      comm=* | --set=comm=*) one_process="its ranks are those of comm" ;;
    esac
    if [[ $previous == --config ]]; then has_config=$argument; fi
    previous=$argument
    arguments+=("$argument")
  done
  # A file of settings may name its model.
  if [[ -f $has_config ]] && grep -q '^model:' "$has_config"; then
    has_model=yes
  fi
}

# Sets `ranks` and says why.
ranks=1
choose_ranks() {
  local free cores reason
  read -r free _ cores < <("$root/launch/free_cores.sh")
  if [[ -n ${RANKS:-} ]]; then
    ranks=$RANKS reason="as RANKS says"
  elif [[ -n $one_process ]]; then
    reason=$one_process
  elif ! command -v mpirun > /dev/null; then
    reason="mpirun is not installed"
  elif ((free < 2)); then
    reason="of $cores cores $free are free, and ranks wait for one another"
  else
    ranks=2 reason="of $cores cores $free are free"
  fi
  if ((ranks == 1)); then reason="one rank: $reason"; else
    reason="$ranks MPI ranks: $reason"
  fi
  echo "quickstart: $reason" >&2
}

# How ranks lie on cores: each on its own share, where the scheduler cannot put
# two on one core while another is busy with something else. A process that may
# not use all cores leaves that to the scheduler.
binding() {
  local cores
  cores=$(nproc)
  if ((cores != $(nproc --all) || cores % ranks != 0)); then
    echo --bind-to none
  else
    echo "--use-hwthread-cpus --map-by slot:PE=$((cores / ranks))" \
      "--bind-to hwthread"
  fi
}

# Sets `command`, once it is known where the model lies.
command=()
make_command() {
  command=("$root/build/subgen_generate")
  if ((ranks > 1)); then
    local binding
    read -ra binding <<< "$(binding)"
    command=(mpirun -n "$ranks" "${binding[@]}" "${command[@]}")
  fi
  if [[ -z $has_config ]]; then
    command+=(--config "$root/configs/smollm2_135m.yaml")
  fi
  if [[ -z $has_model ]]; then command+=(--model "$model"); fi
  command+=(${arguments[@]+"${arguments[@]}"})
  if [[ -z $has_question ]]; then
    command+=(--prompt "What is the capital of France? Answer in one sentence.")
  fi
}

# What a build folder begins with: no tests, which need more packages; device
# code for the GPUs of this machine alone, and for none where it has none.
new_folder_arguments() {
  local capabilities
  capabilities=$({
    nvidia-smi --query-gpu=compute_cap --format=csv,noheader || true
  } 2> /dev/null | tr -d '. ' | sort -un | awk '$1 >= 80' | paste -sd ';')
  echo -DSUBGEN_TESTS=OFF
  if [[ -z $capabilities ]]; then
    echo -DSUBGEN_CUDA=OFF
  else
    echo "-DCMAKE_CUDA_ARCHITECTURES=$capabilities"
  fi
}

set_up() {
  local new=()
  lock_checkout "$root"
  if [[ ! -x $root/build/subgen_generate ]]; then
    echo "quickstart: the first time it installs packages, builds and fetches a" \
      "model: 2 to 5 minutes on two cores, about 0.9 GB of disk" >&2
  fi
  "$root/launch/install_packages.sh"
  if [[ ! -f $root/build/CMakeCache.txt ]]; then
    mapfile -t new < <(new_folder_arguments)
  fi
  TARGETS="subgen_generate subgen_inspect" "$root/launch/build.sh" \
    ${new[@]+"${new[@]}"} >&2
  if [[ -z $has_model ]]; then model=$("$root/launch/fetch_model.sh"); fi
  unlock_checkout
}

read_arguments "$@"
model=$("$root/launch/fetch_model.sh" --path)
if [[ -z $print_only ]]; then set_up; fi
choose_ranks
make_command
if [[ -n $print_only ]]; then
  printf '%q ' "${command[@]}"
  echo
  exit 0
fi
# shellcheck source=launch/mpi_environment.sh
source "$root/launch/mpi_environment.sh"
printf '$' >&2
printf ' %q' "${command[@]}" >&2
printf '\n' >&2
exec "${command[@]}"
