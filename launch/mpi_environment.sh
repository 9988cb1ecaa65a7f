# shellcheck shell=bash
# Sourced: lets Open MPI run as root, in containers and on few cores.
if ((EUID == 0)); then
  export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi
export OMPI_MCA_rmaps_base_oversubscribe=1
# Containers forbid ranks to read one another's memory.
export OMPI_MCA_btl_vader_single_copy_mechanism=none
# Not mpi_yield_when_idle: since Linux 6.6 a rank that yields gives away a whole
# time slice, and beside busy neighbors two ranks then decode at a fifteenth of
# one's speed (launch/MEASURED.md). Where there are more ranks than cores Open
# MPI yields by itself, as it must.
