#!/bin/bash
# Installs the Debian packages that SubGen is built from, those that are
# missing; does nothing where all are there. Without root or sudo it prints the
# command and ends with 1.
#
# Usage: launch/install_packages.sh [--tests] [--ci] [--list]
#   --tests   also those of launch/test.sh
#   --ci      also those of launch/test.sh and launch/test.sh --ci
#   --list    only prints the names, one a line
#
# Example: launch/install_packages.sh --tests --list
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck source=launch/checkout.sh
source "$root/launch/checkout.sh"
help_if_asked "$@"

packages=(
  ca-certificates ccache cmake g++ libabsl-dev libcli11-dev libedit-dev
  libhwy-dev libicu-dev libopenmpi-dev libyaml-cpp-dev ninja-build
  nlohmann-json3-dev openmpi-bin pkg-config python3 python3-pip
)
for_tests=(
  clang-format gnuplot-nox libboost-context-dev libgmock-dev libgtest-dev patchelf
)
for_ci=(
  clang debootstrap g++-12-aarch64-linux-gnu iproute2 libclang-rt-14-dev
  qemu-user-static
)
with_tests=''
with_ci=''
list_only=''
for argument in "$@"; do
  case "$argument" in
    --tests) with_tests=yes ;;
    --ci) with_tests=yes with_ci=yes ;;
    --list) list_only=yes ;;
    *) refuse "$argument" "--tests, --ci, --list, --help" ;;
  esac
done
if [[ -n $with_tests ]]; then packages+=("${for_tests[@]}"); fi
if [[ -n $with_ci ]]; then packages+=("${for_ci[@]}"); fi
if [[ -n $list_only ]]; then
  printf '%s\n' "${packages[@]}"
  exit 0
fi

if ! command -v dpkg-query > /dev/null; then
  echo "install_packages: not a Debian system; I go on and hope to find" \
    "what these packages hold: ${packages[*]}" >&2
  exit 0
fi

is_installed() {
  # shellcheck disable=SC2016  # a format of dpkg-query, not of the shell
  dpkg-query -W -f '${db:Status-Status}\n' "$1" 2> /dev/null |
    grep -qx installed
}
missing=()
for package in "${packages[@]}"; do
  is_installed "$package" || missing+=("$package")
done
if ((${#missing[@]} == 0)); then exit 0; fi

# Lists of packages may be empty, as in every container image.
by_hand="apt-get update && apt-get install --no-install-recommends ${missing[*]}"
as_root=()
if ((EUID != 0)); then
  if ! command -v sudo > /dev/null; then
    by_hand="su -c '$by_hand'"
  elif ! sudo -n true 2> /dev/null; then
    by_hand="sudo sh -c '$by_hand'"
  else
    as_root=(sudo -n)
  fi
  if ((${#as_root[@]} == 0)); then
    printf 'install_packages: packages are missing; this installs them:\n  %s\n' \
      "$by_hand" >&2
    exit 1
  fi
fi
echo "Installing Debian packages: ${missing[*]}" >&2
apt=(${as_root[@]+"${as_root[@]}"} env DEBIAN_FRONTEND=noninteractive
  apt-get -q -o DPkg::Lock::Timeout=300)
{
  "${apt[@]}" update &&
    "${apt[@]}" install -y --no-install-recommends "${missing[@]}"
} >&2 || die "apt-get failed; by hand: $by_hand"
