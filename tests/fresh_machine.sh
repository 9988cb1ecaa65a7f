#!/bin/bash
# README's first command on a fresh machine: makes a minimal Debian 12 root with
# debootstrap, copies the tracked files of this checkout in, and there, by chroot,
#   1. as root, launch/quickstart.sh from nothing to the answer;
#   2. once more: takes seconds and compiles nothing;
#   3. as an ordinary user without sudo;
#   4. with nvcc and no GPU, where this host has the CUDA toolkit;
#   5. the packages and the configure step of launch/test.sh.
# Steps 3 and 4 take over what step 1 has compiled, at the same path and given to
# the user: they configure from nothing, compile and link one changed program,
# and have a home with no model. Who compiles makes no difference to the rest.
#
# Usage: tests/fresh_machine.sh [--keep]
#   --keep   leaves the root in the cache folder, to look at (chroot FOLDER)
#
# Environment:
#   XDG_CACHE_HOME   packages stay in its subgen/fresh_machine between runs, and
#                    the root is made there; default: ~/.cache
#
# Packages come from this host's own sources, pip's settings and certificates
# are this host's too. Ends with 77 and "skipped: REASON" where root, debootstrap
# or namespaces are not to be had.
#
# Example: sudo tests/fresh_machine.sh
set -euo pipefail

checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck source=launch/checkout.sh
source "$checkout/launch/checkout.sh"
# shellcheck source=tests/support/fresh_root.sh
source "$checkout/tests/support/fresh_root.sh"
help_if_asked "$@"

keep=''
case "${1:-}" in
  "") ;;
  --keep) keep=yes ;;
  --inside) ;; # not for people: this script, in namespaces of its own
  *) refuse "$1" "--keep, --help" ;;
esac

release=bookworm
place=/srv/subgen # of the copy, inside
most_seconds_again=60

skip() {
  echo "skipped: $*"
  exit 77
}

check_host() {
  local command
  ((EUID == 0)) || skip "it needs root"
  for command in debootstrap chroot unshare git apt-get; do
    command -v "$command" > /dev/null || skip "$command is not installed"
  done
  unshare --mount --pid --fork --mount-proc true 2> /dev/null ||
    skip "namespaces for mounts and processes are not allowed here"
  [[ -n $(package_sources "$release") ]] ||
    skip "this host has no package source of Debian 12 ($release)"
}

# Ends the processes of `child` and takes `folder` away, in which nothing is
# mounted for this process: those mounts were the child's and are gone with it.
clean_up() {
  kill -KILL "$child" 2> /dev/null || true
  wait "$child" 2> /dev/null || true
  if grep -qF " $folder" /proc/self/mounts; then
    echo "$script_name: $folder is still mounted on and left as it is" >&2
  elif [[ -n $keep ]]; then
    echo "the root is left in $folder"
  else
    rm -rf --one-file-system "$folder" "$folder.work"
  fi
}

# Runs this script again in namespaces of its own: mounts and processes that it
# makes are gone when it ends, however it ends.
run_inside() {
  folder=$cache/root.$$
  mkdir -p "$folder" "$folder.work"
  unshare --mount --propagation private --pid --fork --kill-child \
    "${BASH_SOURCE[0]}" --inside "$folder" "$cache" &
  child=$!
  trap clean_up EXIT
  trap 'exit 130' INT TERM HUP
  wait "$child"
}

# step NAME COMMAND...: a line with the time; what a command writes is shown
# where it fails.
step() {
  local name=$1 start=$SECONDS
  shift
  if ! "$@" > "$work/step.log" 2>&1; then
    tail -n 60 "$work/step.log"
    die "failed: $name"
  fi
  printf '%-64s %4d s\n' "$name" $((SECONDS - start))
}

# ask USER [VARIABLE=VALUE]...: README's first command; the answer is right.
ask() {
  enter "$@" "cd $place && ./launch/quickstart.sh" > "$work/answer"
  cat "$work/answer"
  grep -q Paris "$work/answer"
}

# What was compiled or linked since the file `stamp` was made.
compiled() {
  find "$root$place/build" \( -name '*.o' -o -name 'subgen_*' -type f -perm -u+x \) \
    -newer "$work/stamp"
}

ask_again() {
  touch "$work/stamp"
  # README's next command switches no test on whose packages are not there.
  enter root "cd $place && ./launch/build.sh --configure" || return 1
  local start=$SECONDS
  ask root
  if ((SECONDS - start >= most_seconds_again)); then
    echo "it took $((SECONDS - start)) s, at most $most_seconds_again are right"
    return 1
  fi
  if [[ -n $(compiled) ]]; then
    echo "the second run compiled: $(compiled)"
    return 1
  fi
}

# ask_new_folder USER [VARIABLE=VALUE]...: as ask, but configures from nothing
# and compiles one program.
ask_new_folder() {
  local objects
  rm -r "$root$place"/build/{CMakeCache.txt,CMakeFiles/3.*}
  sleep 1
  touch "$work/stamp" "$root$place/launch/generate/generate.cc"
  ask "$@" || return 1
  objects=$(compiled | wc -l)
  if ((objects < 2 || objects > 12)); then
    echo "one program was changed and $objects files were made: $(compiled)"
    return 1
  fi
}

ask_as_user() {
  enter root "useradd --create-home visitor && chown -R visitor: $place /var/cache/pip"
  if enter visitor "sudo -n true" 2> /dev/null; then
    echo "the user may do everything"
    return 1
  fi
  ask_new_folder visitor || return 1
  [[ -f $root/home/visitor/.cache/subgen/SmolLM2-135M-Instruct.Q4_1.gguf ]]
}

cached() { grep -qE "^$1\$" "$root$place/build/CMakeCache.txt"; }

ask_with_nvcc() {
  mount_toolkit "$1"
  enter visitor "$toolkit_path" "nvcc --version" || return 1
  ask_new_folder visitor "$toolkit_path" || return 1
  cached 'SUBGEN_CUDA:[A-Z]*=OFF'
}

# configure_tests [VARIABLE=VALUE]...
configure_tests() {
  enter root "cd $place && launch/install_packages.sh --tests" || return 1
  enter visitor "$@" "cd $place && launch/build.sh --configure -DSUBGEN_TESTS=ON \
    -DSUBGEN_CUDA=AUTO && ninja -C build -t query kernels_test" || return 1
  cached 'SUBGEN_TESTS:BOOL=ON'
}

configure_tests_with_nvcc() {
  configure_tests "$toolkit_path" && cached 'CMAKE_CUDA_COMPILER:.*nvcc'
}

test_fresh_machine() {
  local toolkit
  step "minimal root" make_root
  step "copy of the checkout" copy_checkout
  step "quick start from nothing, as root" ask root
  step "quick start again" ask_again
  step "quick start as an ordinary user" ask_as_user
  toolkit=$(cuda_toolkit)
  if [[ -n $toolkit ]]; then
    step "quick start with nvcc and no GPU" ask_with_nvcc "$toolkit"
  else
    echo "without the step of nvcc: this host has no CUDA toolkit"
  fi
  step "configure step of the tests" configure_tests
  if [[ -n $toolkit ]]; then
    step "configure step of the tests, with nvcc" configure_tests_with_nvcc
  fi
  echo "from nothing to the end: $SECONDS s"
}

if [[ ${1:-} == --inside ]]; then
  root=$2
  cache=$3
  work=$root.work
  test_fresh_machine
else
  cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/subgen/fresh_machine
  check_host
  mkdir -p "$cache"
  exec 8>> "$cache/.lock"
  flock 8 # one run at a time has the cached packages
  run_inside
fi
