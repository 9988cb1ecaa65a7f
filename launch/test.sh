#!/bin/bash
# Sets up as quickstart.sh does, then builds and runs the tests.
#
# Usage: launch/test.sh [OPTION]
#   (none)    what a laptop runs: all tests, and AddressSanitizer on what reads
#             foreign bytes; at most 20 minutes on two cores once it is built
#   --quick   the same without the sanitizer
#   --asan    only what reads foreign bytes, AddressSanitizer
#   --tsan    only what shares memory, ThreadSanitizer
#   --cuda    only what needs a GPU; skipped where there is no nvcc or no GPU
#   --ci      only what needs root, a root file system of its own, a fuzzer, or an
#             emulated Arm
#   --all     what no option runs, and --ci
#
# A line for each folder of tests; then what was skipped and why, failures with
# their output, and as the last line "N passed, N failed, N skipped". The whole
# output is in build/test.log. Ends with 0 where nothing failed.
#
# Environment:
#   CI=true        device code for compute capability 9.0 only
#   FUZZ_SECONDS   of each fuzz target, default 60
#
# Example: launch/test.sh --quick
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck source=launch/checkout.sh
source "$root/launch/checkout.sh"
help_if_asked "$@"
mode=${1:-}
legal="--quick, --asan, --tsan, --cuda, --ci, --all, --help"
case "$mode" in
  "" | --quick | --asan | --tsan | --cuda | --ci | --all) ;;
  *) refuse "$mode" "$legal" ;;
esac
if (($# > 1)); then refuse "$2" "one of $legal"; fi
if [[ $mode == --cuda ]] && ! command -v nvcc > /dev/null; then
  printf 'skipped: cuda: nvcc is not on PATH\n\n0 passed, 0 failed, 1 skipped\n'
  exit 0
fi

lock_checkout "$root"
log=$root/build/test.log
failures=$root/build/failures.log
: > "$log"
: > "$failures"
echo "log: $log"

passed=0
failed=0
skipped=0

# Results that are no test program's count as one test: name, output.
pass() { passed=$((passed + 1)); }
fail() {
  failed=$((failed + 1))
  printf '\n--- %s\n%s\n' "$1" "$2" >> "$failures"
}
skip() {
  skipped=$((skipped + 1))
  echo "skipped: $1: $2"
}

# The part of a build's output that says what went wrong.
errors_of() { awk '/^FAILED: / { found = 1 } found' <<< "$1" | head -n 80; }

# run_logged NAME COMMAND...: a line with the time it took. Its output goes to
# the log and into `output`; the result is the command's.
output=''
run_logged() {
  local name=$1 start=$SECONDS from status=0 word='done'
  shift
  printf '%-32s ' "$name"
  printf '\n== %s\n' "$name" >> "$log"
  from=$(wc -c < "$log")
  "$@" >> "$log" 2>&1 || status=$?
  output=$(tail -c +"$((from + 1))" "$log" | tr -d '\0')
  if ((status == 77)); then word=skipped; elif ((status)); then word=FAILED; fi
  printf '%s, %d s\n' "$word" $((SECONDS - start))
  return "$status"
}

# check NAME COMMAND...: passes with 0, is skipped with 77 and a last line
# "skipped: REASON".
check() {
  local status=0 reason
  run_logged "$@" || status=$?
  case "$status" in
    0) pass ;;
    77)
      reason=$(sed -n 's/^skipped: //p' <<< "$output" | tail -n 1)
      skip "$1" "${reason:-no reason given}"
      ;;
    *) fail "$1" "$(tail -n 100 <<< "$output")" ;;
  esac
}

# build PRESET [TARGETS]: with tests and CUDA, which the quick start may have
# switched off in this folder.
build() {
  local errors
  if ! PRESET=$1 TARGETS=${2:-all} run_logged "build, $1" \
    "$root/launch/build.sh" -DSUBGEN_TESTS=ON -DSUBGEN_CUDA=AUTO; then
    errors=$(errors_of "$output")
    fail "build, $1" "${errors:-$(tail -n 40 <<< "$output")}"
    return 1
  fi
}

# Hands ctest's output on; on a terminal a line says how far it is.
watch_ctest() {
  awk -v terminal="$([[ -t 2 ]] && echo 1 || echo 0)" '
    { print; fflush() }
    terminal && $1 ~ /^[0-9]+\/[0-9]+$/ && $2 == "Test" {
      printf "\r%s", $1 > "/dev/stderr"
    }
    END { if (terminal) printf "\r\033[K" > "/dev/stderr" }'
}

# run_tests PRESET [ctest argument]...
run_tests() {
  local preset=$1
  local folder=$root/build name="tests, $preset${QEMU_CPU:+, $QEMU_CPU}"
  [[ $preset == cpu ]] || folder=$root/build-$preset
  shift
  printf '\n== %s\n' "$name" >> "$log"
  printf '%-32s %6s %7s %8s %8s\n' "$name" passed failed skipped seconds
  local before=$failed report=$folder/tests.xml result=0 numbers
  rm -f "$report"
  # A process that a test leaves behind does not keep the lock.
  ctest --test-dir "$folder" -j 2 --output-on-failure --no-tests=error \
    --output-junit "$report" "$@" 2>&1 9>&- | watch_ctest >> "$log" ||
    result=$?
  if ! numbers=$("$root/launch/test_summary.py" "$folder" "$report" \
    "$failures"); then
    fail "$name" "$(tail -n 40 "$log")"
    return
  fi
  local more_passed more_failed more_skipped
  read -r more_passed more_failed more_skipped <<< "$numbers"
  passed=$((passed + more_passed))
  failed=$((failed + more_failed))
  skipped=$((skipped + more_skipped))
  if ((result != 0 && failed == before)); then
    fail "$name" "ctest ended with $result; see $log"
  fi
}

test_cpu() { build cpu && run_tests cpu; }

test_cuda() {
  build cpu "kernels_cuda_test engine_cuda_test" || return 0
  nvidia-smi -L 2> /dev/null || echo "no GPU: nvidia-smi finds none"
  run_tests cpu -L '^cuda$'
}

# What reads model files, settings, text and prompts.
test_asan() {
  build asan "kernels_test engine_config_test engine_text_test \
    engine_model_test engine_cache_test write_toy_model subgen_generate \
    subgen_inspect subgen_evaluate subgen_bench_decode subgen_bench_comm \
    subgen_bench_kernels" \
    || return 0
  run_tests asan -L '^(kernels|engine_(config|text|model|cache)|programs)$'
}

# What runs in several threads. Open MPI itself is not clean.
test_tsan() {
  build tsan "kernels_test comm_test engine_decode_test" || return 0
  run_tests tsan -L '^(kernels|comm|engine_decode)$' -E Mpi
}

format() {
  local clang_format
  clang_format=$(command -v clang-format-14 || command -v clang-format)
  find "$root" -name 'build*' -prune -o -name '.?*' -prune -o \
    \( -name '*.cc' -o -name '*.h' -o -name '*.cu' \) -print0 |
    xargs -0 "$clang_format" --dry-run -Werror
}

test_laptop() {
  test_cpu || true
  check "clang-format" format
  [[ $mode == --quick ]] || test_asan
}

# Kernels in NEON, emulated: with the dot product, and without, where products
# of matrices take another path.
test_arm64() {
  local before=$passed
  check "root for arm64" "$root/tests/arm64/root.sh"
  if ((passed == before)) || ! build arm64 kernels_test; then return 0; fi
  echo "Left out, as emulation takes ten times as long: backends of one and of" \
    "three threads (the same kernels as two), without the dot product all but" \
    "products of matrices, and engine/ (compiled for no Arm here)" >> "$log"
  QEMU_CPU=max run_tests arm64 -E '/neon_(dot_)?[13]_threads'
  QEMU_CPU=cortex-a72 run_tests arm64 -R 'Dense|ElementWise|Fused|TileProducts' \
    -E '/neon_(dot_)?[13]_threads'
}

test_ci() {
  local seconds=${FUZZ_SECONDS:-60}
  if build cpu write_toy_model; then
    check "includes" python3 "$root/tests/includes_test.py" "$root/build"
    check "fuzz, gguf" "$root/tests/fuzz/run.sh" --seconds "$seconds"
  fi
  test_arm64
  check "fresh machine" "$root/tests/fresh_machine.sh"
}

packages=--tests
case "$mode" in --ci | --all) packages=--ci ;; esac
"$root/launch/install_packages.sh" "$packages"
SMOLLM2_GGUF=$("$root/launch/fetch_model.sh")
export SMOLLM2_GGUF
# shellcheck source=launch/mpi_environment.sh
source "$root/launch/mpi_environment.sh"
# In CI one compute capability of the three: nothing in the sources depends on
# it, and kernels are compiled once for each. What users test is what they run.
if [[ ${CI:-} == true ]]; then export CUDAARCHS=${CUDAARCHS:-90}; fi
case "$mode" in
  --asan) test_asan ;;
  --tsan) test_tsan ;;
  --cuda) test_cuda ;;
  --ci) test_ci ;;
  --all) test_laptop; test_ci ;;
  *) test_laptop ;;
esac

cat "$failures"
printf '\nlog: %s\n%d passed, %d failed, %d skipped\n' \
  "$log" "$passed" "$failed" "$skipped"
((failed == 0))
