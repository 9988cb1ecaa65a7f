# shellcheck shell=bash
# Sourced by the scripts of this folder: a temporary folder that goes when the
# script ends, pinned packages of PyPI in it, and one way to state a behavior.
set -euo pipefail

case "${1:-}" in
  "") ;;
  --help | -h)
    # The comment at the head of the script that sources this file.
    awk '/^# shellcheck/ { exit } NR > 1 && sub(/^# ?/, "")' "$0"
    exit 0
    ;;
  *) echo "$(basename "$0"): $1: there are no options but --help" >&2; exit 2 ;;
esac

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
changed=0

# install NAME REQUIREMENT...: a virtual environment $work/NAME with these.
install() {
  local name=$1
  shift
  python3 -m venv "$work/$name"
  "$work/$name/bin/python" -m pip install --quiet --disable-pip-version-check "$@"
  printf 'Installed: %s\n' "$*"
}

# install_cc1: Debian 12's C compiler, without the C library; cc1 runs it on a
# file. Prints its version.
install_cc1() {
  (cd "$work" && apt-get -q download cpp-12=12.2.0-14+deb12u1 \
    libgcc-12-dev=12.2.0-14+deb12u1 libisl23=0.25-1.1 libmpc3=1.3.1-1 \
    libmpfr6=4.2.0-1 libgmp10=2:6.2.1+dfsg1-1.1 > /dev/null 2>&1)
  for package in "$work"/*.deb; do dpkg -x "$package" "$work/debian"; done
  cc1 -version -o /dev/null < /dev/null 2>&1 | sed -n 1p
}
cc1() {
  local folder=$work/debian/usr/lib/gcc/x86_64-linux-gnu/12
  LD_LIBRARY_PATH=$work/debian/usr/lib/x86_64-linux-gnu "$folder/cc1" -quiet \
    -isystem "$folder/include" "$@"
}

# expect WHAT SEEN WANTED: prints both; another behavior than WANTED, which is
# what was found, makes the script end with 1.
expect() {
  printf '%s: %s\n' "$1" "$2"
  if [[ $2 != "$3" ]]; then
    printf '  CHANGED: the finding was: %s\n' "$3"
    changed=1
  fi
}

# end: the last line, and the exit code.
end() {
  if ((changed)); then
    echo "The behavior has changed."
  else
    echo "As found."
  fi
  exit "$changed"
}

# Open MPI as root, in containers, with more ranks than cores, on one host.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_mpi_yield_when_idle=1
export OMPI_MCA_pml=ob1 OMPI_MCA_btl=self,vader
export OMPI_MCA_btl_vader_single_copy_mechanism=none
