#!/bin/bash
# Prints how many of the cores that this process may use are free, and of how
# many: "1 of 2". It looks for half a second at what they do, and obeys the
# affinity of the process and the processor limits of its control group.
#
# Usage: launch/free_cores.sh
#
# Example: read -r free _ cores < <(launch/free_cores.sh)
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck source=launch/checkout.sh
source "$root/launch/checkout.sh"
help_if_asked "$@"
if (($# > 0)); then refuse "$1" "--help"; fi

# Numbers of the cores that this process may use, one a line.
allowed_cores() {
  awk '/^Cpus_allowed_list:/ {
    count = split($2, ranges, ",")
    for (i = 1; i <= count; i++) {
      split(ranges[i], ends, "-")
      last = ends[2] == "" ? ends[1] : ends[2]
      for (core = ends[1] + 0; core <= last + 0; core++) print core
    }
  }' /proc/self/status
}

# The lowest limit of the control groups above this process, in cores; 0 where
# there is none.
core_limit() {
  local group files=() file
  group=$(sed -n 's/^0:://p' /proc/self/cgroup 2> /dev/null || true)
  while :; do
    files+=("/sys/fs/cgroup${group%/}/cpu.max")
    if [[ -z ${group%/} ]]; then break; fi
    group=${group%/*}
  done
  for file in "${files[@]}"; do
    if [[ -r $file ]]; then cat "$file"; fi
  done
  # Version 1 of control groups: -1 is no limit.
  group=/sys/fs/cgroup/cpu
  if [[ -r $group/cpu.cfs_quota_us && -r $group/cpu.cfs_period_us ]]; then
    paste "$group/cpu.cfs_quota_us" "$group/cpu.cfs_period_us"
  fi
}

# A core counts by the share of the time in which it had nothing to do: two
# that idle 90 % are two, two that idle half are one.
{
  allowed_cores | sed 's/^/core /'
  core_limit | sed 's/^/limit /'
  sed -n 's/^cpu\([0-9]\)/before \1/p' /proc/stat
  sleep 0.5
  sed -n 's/^cpu\([0-9]\)/after \1/p' /proc/stat
} | awk '
  $1 == "core" { allowed[$2] = 1; cores++ }
  $1 == "limit" && $2 + 0 > 0 && $3 + 0 > 0 { # not "max"
    if (limit == 0 || $2 / $3 < limit) limit = $2 / $3
  }
  $1 == "before" || $1 == "after" {
    total = 0
    for (i = 3; i <= 10; i++) total += $i
    sign = $1 == "after" ? 1 : -1
    time[$2] += sign * total
    idle[$2] += sign * ($6 + $7)
  }
  END {
    for (core in allowed) {
      if (time[core] > 0) free += idle[core] / time[core]
    }
    free = int(free + 0.25)
    if (limit > 0 && free > limit) free = int(limit)
    if (limit > 0 && cores > limit) cores = limit < 1 ? 1 : int(limit)
    print free, "of", cores
  }'
