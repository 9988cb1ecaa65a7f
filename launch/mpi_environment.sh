# shellcheck shell=bash
# Sourced: lets Open MPI run as root, in containers and on few cores.
if ((EUID == 0)); then
  export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi
export OMPI_MCA_rmaps_base_oversubscribe=1
# Containers forbid ranks to read one another's memory.
export OMPI_MCA_btl_vader_single_copy_mechanism=none
# A waiting rank lets others run, which matters as soon as cores are shared:
# on a loaded two-core machine two ranks decoded five times as fast.
export OMPI_MCA_mpi_yield_when_idle=1
