#!/bin/bash
# Compiles the fuzz target of the model reader and runs it on small valid files.
#
# Usage: tests/fuzz/run.sh [--seconds N]
#   --seconds N   how long it runs, default 60
#
# Environment:
#   BUILD   the build folder, default build/: its tests/write_toy_model writes
#           the first of the files
#
# What it finds is left in BUILD/fuzz/findings. Skips with 77 where clang++ or
# its fuzzer library is not installed (launch/install_packages.sh --ci).
#
# Example: tests/fuzz/run.sh --seconds 600
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
# shellcheck source=launch/checkout.sh
source "$root/launch/checkout.sh"
help_if_asked "$@"

seconds=60
case "${1:-}" in
  "") ;;
  --seconds) seconds=${2:-} ;;
  *) refuse "$1" "--seconds N, --help" ;;
esac
[[ $seconds =~ ^[1-9][0-9]{0,5}$ ]] || refuse "--seconds $seconds" "1 to 999999"
build=${BUILD:-$root/build}
work=$build/fuzz
[[ -x $build/tests/write_toy_model ]] ||
  die "$build/tests/write_toy_model is missing; launch/build.sh builds it"
mkdir -p "$work/corpus" "$work/findings"

sanitizers=-fsanitize=fuzzer,address,undefined
probe='extern "C" int LLVMFuzzerTestOneInput(const char*, unsigned long) { return 0; }'
if ! clang++ -x c++ "$sanitizers" - -o "$work/probe" <<< "$probe" 2> /dev/null; then
  echo "skipped: clang++ with its fuzzer library is not installed"
  exit 77
fi

cd "$root"
read -ra libraries < <(pkg-config --libs absl_statusor absl_strings \
  absl_str_format absl_flat_hash_map absl_flat_hash_set icu-uc icu-i18n)
clang++ -std=c++20 -g -O1 "$sanitizers" -fno-sanitize-recover=all -I. \
  tests/fuzz/gguf_fuzz.cc kernels/{base,memory,quant}/*.cc engine/text/*.cc \
  engine/model/{mapped,rope}*.cc engine/model/gguf/*.cc "${libraries[@]}" \
  -o "$work/gguf_fuzz"
"$build/tests/write_toy_model" "$work/corpus/toy.gguf"
head -c 12000 "$work/corpus/toy.gguf" > "$work/corpus/head.gguf"
"$work/gguf_fuzz" -max_total_time="$seconds" -max_len=262144 -rss_limit_mb=4096 \
  -artifact_prefix="$work/findings/" -print_final_stats=1 "$work/corpus"
