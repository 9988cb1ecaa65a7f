#!/bin/bash
# Installs the Debian packages that SubGen is built from, those that are missing.
#   launch/install_packages.sh [--tests]
# Does nothing where all are there. Without root or sudo it prints the command
# and ends with 1.
set -euo pipefail

packages=(
  ca-certificates cmake g++ libabsl-dev libcli11-dev libgmock-dev libgtest-dev
  libhwy-dev libicu-dev libopenmpi-dev libyaml-cpp-dev ninja-build
  nlohmann-json3-dev openmpi-bin pkg-config python3 python3-pip
)
case "${1:-}" in
  "") ;;
  --tests) packages+=(clang-format gnuplot-nox libboost-context-dev patchelf) ;;
  *) echo "install_packages: $1: the only option is --tests" >&2; exit 2 ;;
esac

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

root=()
if ((EUID != 0)); then
  if ! command -v sudo > /dev/null || ! sudo -n true 2> /dev/null; then
    echo "install_packages: missing packages; install them as root by" >&2
    echo "  apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 1
  fi
  root=(sudo -n)
fi
echo "Installing Debian packages: ${missing[*]}" >&2
apt=(env DEBIAN_FRONTEND=noninteractive apt-get -q
  -o DPkg::Lock::Timeout=300)
{
  "${root[@]}" "${apt[@]}" update &&
    "${root[@]}" "${apt[@]}" install -y --no-install-recommends "${missing[@]}"
} >&2 || {
  echo "install_packages: apt-get failed; missing: ${missing[*]}" >&2
  exit 1
}
