# shellcheck shell=bash
# Sourced by the scripts of this folder: their help, how they refuse, and the
# lock of a checkout, in which one script works at a time.

script_name=$(basename "$0")
script_name=${script_name%.*}

# The comment at the head of a script is its help.
print_help() {
  awk 'NR > 1 { if (!/^#/) exit; sub(/^# ?/, ""); print }' "$0"
}

# Ends with the help where an argument asks for it.
help_if_asked() {
  local argument
  for argument in "$@"; do
    if [[ $argument == --help || $argument == -h ]]; then
      print_help
      exit 0
    fi
  done
}

die() {
  echo "$script_name: $*" >&2
  exit 1
}

# refuse ARGUMENT LEGAL: ends with the code of a wrong command line.
refuse() {
  echo "$script_name: $1: legal are $2" >&2
  exit 2
}

# lock_checkout ROOT: waits until no other script works in the checkout ROOT.
# The lock is held until this process and those that it starts have ended, or
# until unlock_checkout; scripts that this one calls have it already.
lock_checkout() {
  local lock=$1/build/.lock status=0
  if [[ ${LAUNCH_LOCKED_CHECKOUT:-} == "$1" ]]; then return 0; fi
  if ! mkdir -p "$1/build" 2> /dev/null || ! { exec 9>> "$lock"; } 2> /dev/null
  then
    die "cannot write to $1/build; is it another user's, or read-only?"
  fi
  if command -v flock > /dev/null; then
    flock --nonblock --conflict-exit-code 75 9 2> /dev/null || status=$?
    if ((status == 75)); then
      echo "$script_name: waiting for another script of this checkout" \
        "($(head -n 1 "$lock"))" >&2
      flock 9
    elif ((status != 0)); then
      echo "$script_name: no locks on the file system of $lock; do not start" \
        "another script of this checkout" >&2
    fi
  fi
  echo "$script_name, process $$" > "$lock"
  export LAUNCH_LOCKED_CHECKOUT=$1
}

unlock_checkout() {
  exec 9>&-
  unset LAUNCH_LOCKED_CHECKOUT
}
