#!/bin/bash
# Configures and builds one preset of CMakePresets.json.
#   launch/build.sh [argument for cmake]...
# Environment: PRESET (cpu, asan, tsan), TARGETS (names; all of them if unset).
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
preset=${PRESET:-cpu}
build=$root/build
[[ $preset == cpu ]] || build=$root/build-$preset

# A compiler takes up to 1.5 GB: as many jobs as cores, or as memory allows.
jobs() {
  local cores kilobytes limit
  cores=$(nproc)
  kilobytes=$(awk '/^MemAvailable:/ { print $2 }' /proc/meminfo)
  limit=$(cat /sys/fs/cgroup/memory.max 2> /dev/null || echo max)
  if [[ $limit != max && $((limit / 1024)) -lt $kilobytes ]]; then
    kilobytes=$((limit / 1024))
  fi
  local most=$((kilobytes / 1500000))
  ((most >= 1)) || most=1
  echo $((cores < most ? cores : most))
}

if ! mkdir -p "$build" 2> /dev/null || [[ ! -w $build ]]; then
  echo "build: cannot write to $build; is it another user's?" >&2
  exit 1
fi
arguments=("$@")
cache=$build/CMakeCache.txt
if [[ -f $cache ]] && ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$root" "$cache"
then
  arguments+=(--fresh) # the checkout was moved or copied
fi
if command -v ccache > /dev/null; then
  arguments+=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
fi

cd "$root"
cmake --preset "$preset" --log-level=WARNING ${arguments[@]+"${arguments[@]}"}
read -ra targets <<< "${TARGETS:-all}"
cmake --build "$build" --parallel "$(jobs)" --target "${targets[@]}"
