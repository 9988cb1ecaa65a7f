#!/bin/bash
# Configures and builds the programs and the tests.
#
# Usage: launch/build.sh [--configure] [-DNAME=VALUE | -UNAME | --fresh]...
#   --configure   ends before anything is compiled
#   -D, -U, --fresh go to cmake. -DSUBGEN_TESTS=OFF leaves out the tests; without
#   it they are switched on where TARGETS are all and what tests need is installed
#   (launch/install_packages.sh --tests), or have a test among them.
#
# Environment:
#   PRESET    cpu (in build/, the default), asan (build-asan/), tsan (build-tsan/),
#             arm64 (build-arm64/; kernels only, after tests/arm64/root.sh)
#   TARGETS   what to build, names with spaces between; default: all
#
# It uses ccache where that is installed, and as many compilers as there are
# cores and memory for.
#
# Example: PRESET=asan TARGETS="subgen_generate kernels_test" launch/build.sh
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck source=launch/checkout.sh
source "$root/launch/checkout.sh"
help_if_asked "$@"

configure_only=''
arguments=()
for argument in "$@"; do
  case "$argument" in
    --configure) configure_only=yes ;;
    -D?*=* | -U?* | --fresh) arguments+=("$argument") ;;
    *) refuse "$argument" "--configure, -DNAME=VALUE, -UNAME, --fresh, --help" ;;
  esac
done
preset=${PRESET:-cpu}
case "$preset" in
  cpu) build=$root/build ;;
  asan | tsan | arm64) build=$root/build-$preset ;;
  *) refuse "PRESET=$preset" "cpu, asan, tsan, arm64" ;;
esac

# A compiler takes up to 572 MB, measured over all files; with room for more.
jobs() {
  local cores kilobytes limit
  cores=$(nproc)
  kilobytes=$(awk '/^MemAvailable:/ { print $2 }' /proc/meminfo)
  limit=$(cat /sys/fs/cgroup/memory.max 2> /dev/null || echo max)
  if [[ $limit != max && $((limit / 1024)) -lt $kilobytes ]]; then
    kilobytes=$((limit / 1024))
  fi
  local most=$((kilobytes / 700000))
  ((most >= 1)) || most=1
  echo $((cores < most ? cores : most))
}

use_ccache() {
  arguments+=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
  # Precompiled headers are cached only if times of files do not count.
  local ignored=pch_defines,time_macros,include_file_mtime,include_file_ctime
  export CCACHE_SLOPPINESS=${CCACHE_SLOPPINESS:-$ignored}
  # A copy of the checkout finds what the first has compiled.
  export CCACHE_BASEDIR=${CCACHE_BASEDIR:-$root}
}

# Whether what tests need beside programs is there; without dpkg, who knows.
has_test_packages() {
  local states
  command -v dpkg-query > /dev/null || return 0
  # shellcheck disable=SC2016  # a format of dpkg-query, not of the shell
  states=$(dpkg-query -W -f '${db:Status-Status}\n' libgtest-dev libgmock-dev \
    libboost-context-dev 2> /dev/null) || return 1
  ! grep -qvx installed <<< "$states"
}

# Tests may be off in this folder, which is how the quick start makes it, or on
# where their packages have gone.
choose_tests() {
  local wanted=${TARGETS:-all}
  if [[ " $wanted " =~ _test[[:space:]] ]] || has_test_packages; then
    if [[ " $wanted " =~ (_test| all)[[:space:]] ]]; then
      arguments+=(-DSUBGEN_TESTS=ON)
    fi
    return
  fi
  arguments+=(-DSUBGEN_TESTS=OFF)
  if [[ " $wanted " == *" all "* ]]; then
    echo "build: no tests: launch/install_packages.sh --tests installs what" \
      "they need" >&2
  fi
}
command -v cmake > /dev/null ||
  die "cmake is missing; launch/install_packages.sh installs it"
if [[ " $* " != *" -DSUBGEN_TESTS="* ]]; then choose_tests; fi
lock_checkout "$root"
if ! mkdir -p "$build" 2> /dev/null || [[ ! -w $build ]]; then
  die "cannot write to $build; is it another user's, or read-only?"
fi
cache=$build/CMakeCache.txt
if [[ -f $cache ]] && ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$root" "$cache"
then
  # The checkout was moved or copied: nothing of the old place is looked at.
  arguments+=(--fresh)
  rm -f "$build/.ninja_deps" "$build/.ninja_log"
fi
if command -v nvcc > /dev/null &&
  grep -q '^CMAKE_CUDA_COMPILER:.*NOTFOUND' "$cache" 2> /dev/null; then
  arguments+=(-UCMAKE_CUDA_COMPILER) # it was installed after the folder was made
fi
if command -v ccache > /dev/null; then use_ccache; fi

cd "$root"
cmake --preset "$preset" --log-level=WARNING ${arguments[@]+"${arguments[@]}"} ||
  die "cmake failed; launch/install_packages.sh installs what is missing" \
    "(with --tests what tests need), -DSUBGEN_TESTS=OFF does without tests"
if [[ -n $configure_only ]]; then exit 0; fi
read -ra targets <<< "${TARGETS:-all}"
cmake --build "$build" --parallel "$(jobs)" --target "${targets[@]}"
