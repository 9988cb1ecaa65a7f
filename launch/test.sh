#!/bin/bash
# Sets up as quickstart.sh does, then builds and runs the tests.
#   launch/test.sh           everything
#   launch/test.sh --quick   no sanitizers
#   launch/test.sh --asan    only what reads foreign bytes, AddressSanitizer
#   launch/test.sh --tsan    only what shares memory, ThreadSanitizer
#   launch/test.sh --cuda    only what needs a GPU; skipped where there is none
# The last line is "N passed, N failed, N skipped".
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
mode=${1:-all}
case "$mode" in
  all | --quick | --asan | --tsan | --cuda) ;;
  *) echo "test: $mode: legal are --quick, --asan, --tsan, --cuda" >&2; exit 2 ;;
esac

"$root/launch/install_packages.sh" --tests
SMOLLM2_GGUF=$("$root/launch/fetch_model.sh")
export SMOLLM2_GGUF
# shellcheck source=launch/mpi_environment.sh
source "$root/launch/mpi_environment.sh"
# In CI one compute capability of the three: nothing in the sources depends on
# it, and kernels are compiled once for each. What users test is what they run.
if [[ ${CI:-} == true ]]; then export CUDAARCHS=${CUDAARCHS:-90}; fi
passed=0
failed=0
skipped=0

say() { printf '\n== %s\n' "$*"; }

# A step that is no test program: counts as one test.
check() {
  local name=$1
  shift
  say "$name"
  if "$@"; then passed=$((passed + 1)); else
    failed=$((failed + 1))
    echo "FAILED: $name"
  fi
}

# count FILE: adds up one JUnit report, prints what was skipped.
count() {
  local numbers
  numbers=$(python3 - "$1" << 'PYTHON'
import sys
import xml.etree.ElementTree

suite = xml.etree.ElementTree.parse(sys.argv[1]).getroot()
cases = suite.findall("testcase")
skips = [case for case in cases if case.find("skipped") is not None]
failures = [case for case in cases if case.find("failure") is not None]
for case in skips:
    print("skipped:", case.get("name"), file=sys.stderr)
print(len(cases) - len(skips) - len(failures), len(failures), len(skips))
PYTHON
  ) || return 1
  local more_passed more_failed more_skipped
  read -r more_passed more_failed more_skipped <<< "$numbers"
  passed=$((passed + more_passed))
  failed=$((failed + more_failed))
  skipped=$((skipped + more_skipped))
}

# run_tests PRESET [ctest argument]...
run_tests() {
  local preset=$1
  local build=$root/build
  [[ $preset == cpu ]] || build=$root/build-$preset
  shift
  say "tests, $preset"
  local before=$failed report=$build/tests.xml result=0
  rm -f "$report"
  ctest --test-dir "$build" -j 2 --progress --output-on-failure \
    --no-tests=error --output-junit "$report" "$@" || result=$?
  count "$report" || failed=$((failed + 1))
  # A test that could not start is no failure of the report's.
  if ((result != 0 && failed == before)); then failed=$((failed + 1)); fi
}

build() {
  say "build, $1"
  if ! PRESET=$1 TARGETS=${2:-all} "$root/launch/build.sh"; then
    failed=$((failed + 1))
    echo "FAILED: build, $1"
    return 1
  fi
}

test_cpu() { build cpu && run_tests cpu; }

# On a GPU, or skipped with a reason.
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

case "$mode" in
  --asan) test_asan ;;
  --tsan) test_tsan ;;
  --cuda) test_cuda ;;
  *)
    test_cpu || true
    check "clang-format" format
    [[ $mode == --quick ]] || test_asan
    ;;
esac

printf '\n%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
((failed == 0))
