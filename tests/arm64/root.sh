#!/bin/bash
# Makes build-arm64/root: Debian 12 for 64-bit Arm by debootstrap, with the
# packages that kernels and their tests are compiled against. Packages are
# unpacked and not configured: their scripts would run for minutes under qemu,
# and neither a compiler nor a test program needs what they do. Does nothing
# where the root is there already.
#
# Usage: tests/arm64/root.sh
#
# Environment:
#   XDG_CACHE_HOME   packages stay in its subgen/arm64 between runs; default:
#                    ~/.cache
#
# Packages come from this host's own sources. Ends with 77 and "skipped: REASON"
# where root, debootstrap, namespaces, qemu, the compiler or packages for Arm are
# not to be had.
#
# Example: sudo tests/arm64/root.sh
set -euo pipefail

checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
# shellcheck source=launch/checkout.sh
source "$checkout/launch/checkout.sh"
# shellcheck source=tests/support/fresh_root.sh
source "$checkout/tests/support/fresh_root.sh"
help_if_asked "$@"
if (($# > 0)); then refuse "$1" "--help"; fi

release=bookworm
packages=libabsl-dev,libc6-dev,libgmock-dev,libgtest-dev,libhwy-dev,nlohmann-json3-dev
root=$checkout/build-arm64/root
cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/subgen/arm64

skip() {
  echo "skipped: $*"
  exit 77
}

check_host() {
  local command
  [[ $(uname -m) != aarch64 ]] ||
    skip "this machine is an Arm: the tests that it runs anyway are those"
  ((EUID == 0)) || skip "it needs root"
  for command in debootstrap chroot unshare apt-get qemu-aarch64-static \
    aarch64-linux-gnu-g++-12; do
    command -v "$command" > /dev/null || skip "$command is not installed"
  done
  unshare --mount --propagation private chroot / true 2> /dev/null ||
    skip "namespaces for mounts, or chroot, are not allowed here"
  [[ -n $(package_sources "$release") ]] ||
    skip "this host has no package source of Debian 12 ($release)"
}

# What debootstrap has left for its second stage, which does not run.
unpack_packages() {
  local names name path
  read -ra names < "$1/debootstrap/base"
  while read -r name path; do
    if [[ " ${names[*]} " == *" $name "* ]]; then
      dpkg-deb --fsys-tarfile "$1/$path" |
        tar -C "$1" --extract --keep-directory-symlink
    fi
  done < "$1/debootstrap/debpaths"
}

# make_root FOLDER
make_root() {
  local log=$1.log status=0
  debootstrap --arch=arm64 --foreign --variant=minbase --include="$packages" \
    --cache-dir="$cache" "$release" "$1" "$(package_mirror "$release")" \
    > "$log" 2>&1 || status=$?
  if ((status != 0)); then
    if grep -q 'no entry for .*binary-arm64' "$log"; then
      skip "this host's package source has no packages for arm64"
    fi
    tail -n 40 "$log"
    die "debootstrap ended with $status"
  fi
  unpack_packages "$1"
  rm -rf "$1/proc" # a link to this machine's, in some containers
  mkdir "$1/proc"
  cp "$(command -v qemu-aarch64-static)" "$1/usr/bin/"
  echo "$release $packages" > "$1/.made_of"
}

check_host
if [[ $(cat "$root/.made_of" 2> /dev/null) == "$release $packages" ]]; then
  echo "there already: $root"
  exit 0
fi
mkdir -p "$cache" "$checkout/build-arm64"
exec 8>> "$cache/.lock"
flock 8 # one run at a time has the cached packages
rm -rf --one-file-system "$root" "$root.new"
make_root "$root.new"
mv "$root.new" "$root"
echo "made: $root"
