#!/bin/bash
# Runs a program for 64-bit Arm by qemu in the root that root.sh has made, where
# the checkout is at the same place as here. Needs root. Mounts are in a
# namespace of this process and gone with it.
#
# Usage: tests/arm64/run.sh PROGRAM [ARGUMENT]...
#
# Environment:
#   QEMU_CPU   the processor, default max; cortex-a72 has no dot products
#
# Example: tests/arm64/run.sh build-arm64/tests/kernels_test --gtest_list_tests
set -euo pipefail

checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
# shellcheck source=launch/checkout.sh
source "$checkout/launch/checkout.sh"
help_if_asked "${1:-}"
root=$checkout/build-arm64/root
(($# > 0)) || refuse "no program" "PROGRAM [ARGUMENT]..."
[[ -d $root ]] || die "no $root; tests/arm64/root.sh makes it"

# Signed pointers of the architecture's own cipher would take a third of the time.
QEMU_CPU=${QEMU_CPU:-max}
[[ $QEMU_CPU != max ]] || QEMU_CPU=max,pauth-impdef=on
export QEMU_CPU

program=$(realpath "$1")
shift
mkdir -p "$root$checkout"
# shellcheck disable=SC2016  # expanded by the shell that it is for
exec unshare --mount --propagation private /bin/bash -euc '
  root=$1 checkout=$2
  shift 2
  mount -t proc proc "$root/proc"
  mount --bind "$checkout" "$root$checkout"
  exec env TMPDIR=/tmp chroot "$root" /usr/bin/qemu-aarch64-static "$@"
' bash "$root" "$checkout" "$program" "$@"
