#!/bin/bash
# Makes a tarball that runs on a node of a cluster without root and without a
# package manager: the programs, every library that they load but glibc's, Open
# MPI with its plugins and its parameter file, configs/ and the licenses.
#
# Usage: launch/package.sh [BUILD_FOLDER [OUTPUT]]
#   BUILD_FOLDER   default build/
#   OUTPUT         default build/subgen.tar.gz
#
# The node needs a glibc that is not older than this machine's. NVIDIA's driver
# and libnccl.so.2 are not packed: they belong to the node. Unpacked anywhere:
#   bin/subgen_generate ...           one rank
#   bin/mpirun -n 4 bin/subgen_...    the package's own Open MPI
#   source environment.sh             before srun, which does not start mpirun
#
# Example: launch/package.sh build /tmp/subgen.tar.gz
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck source=launch/checkout.sh
source "$root/launch/checkout.sh"
help_if_asked "$@"
for argument in "$@"; do
  case "$argument" in
    -*) refuse "$argument" "--help, a build folder and a file to write" ;;
  esac
done
if (($# > 2)); then refuse "$3" "a build folder and a file to write"; fi
build=$(realpath -m "${1:-$root/build}")
output=$(realpath -m "${2:-$build/subgen.tar.gz}")
if ! command -v patchelf > /dev/null; then
  die "patchelf is missing; launch/install_packages.sh --tests installs it"
fi
# A build folder elsewhere is nothing that scripts of this checkout change.
if [[ $build == "$root"/* ]]; then lock_checkout "$root"; fi
programs=("$build"/subgen_*)
if [[ ! -x ${programs[0]} ]]; then
  die "$build has no programs; launch/build.sh builds them"
fi

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
package=$stage/subgen
mkdir -p "$package"/{bin,lib}
for program in "${programs[@]}"; do
  if [[ -f $program && -x $program ]]; then cp "$program" "$package/bin"; fi
done

# Open MPI finds its plugins and help texts by its own prefix, of which mpi/
# takes the place.
mpi=$package/mpi
# path KEY: a folder as Open MPI was built with it.
path() { ompi_info --parsable --path "$1" | cut -d: -f3; }
prefix=$(path prefix)
copy_under_prefix() { # what lies under Open MPI's prefix, to the same place
  local to=$mpi/${1#"$prefix"/}
  mkdir -p "$(dirname "$to")"
  cp -rL "$1" "$to"
}
mkdir -p "$mpi/bin"
cp -L "$(path bindir)/orterun" "$(path bindir)/orted" "$mpi/bin"
copy_under_prefix "$(path pkglibdir)"
copy_under_prefix "$(path pkgdatadir)"
pmix=$(dirname "$(realpath "$(ldconfig -p | awk '/libpmix.so.2/ { print $NF; exit }')")")
pmix_prefix=$(dirname "$pmix")
if [[ -d $pmix/pmix ]]; then copy_under_prefix "$pmix/pmix"; fi
if [[ -d $pmix_prefix/share ]]; then copy_under_prefix "$pmix_prefix/share"; fi
# Which transports are off, as this machine's mpirun knows it.
parameters=$(path sysconfdir)/openmpi-mca-params.conf
mkdir -p "$mpi/etc"
if [[ -f $parameters ]]; then cp -L "$parameters" "$mpi/etc"; fi

# Lines of `sources` are the files whose licenses are to be packed.
sources=$stage/sources
realpath "$(path bindir)/orterun" "$(path bindir)/orted" > "$sources"
find "$(path pkglibdir)/" "$pmix/" -name '*.so*' -exec realpath {} + >> "$sources"

# glibc's libraries come from the node, as its kernel does.
from_glibc() {
  case "$1" in
    linux-vdso.so* | ld-linux* | libc.so* | libm.so* | libdl.so* | librt.so* | \
      libpthread.so* | libresolv.so* | libutil.so* | libanl.so* | libnsl.so*) ;;
    *) return 1 ;;
  esac
}
# A plugin with a library that this machine lacks could not be loaded anyhow.
while IFS= read -r -d '' file; do
  if ldd "$file" 2> /dev/null | grep -q 'not found'; then rm "$file"; fi
done < <(find "$mpi" -name '*.so' -print0)
elf_files() {
  find "$package" -type f \( -path '*/bin/*' -o -name '*.so*' \) -print0
}
while IFS= read -r -d '' file; do
  while read -r name _ library _; do
    if from_glibc "$name" || [[ $library != /* ]]; then continue; fi
    if [[ ! -e $package/lib/$name ]]; then
      cp -L "$library" "$package/lib/$name"
      realpath "$library" >> "$sources"
    fi
  done < <(ldd "$file")
done < <(elf_files)

# Each looks for libraries in lib/, wherever the package lies. An rpath, not a
# runpath: it holds for what is loaded later too.
while IFS= read -r -d '' file; do
  up=$(realpath --relative-to="$(dirname "$file")" "$package/lib")
  chmod u+w "$file"
  patchelf --force-rpath --set-rpath "\$ORIGIN/$up" "$file"
done < <(elf_files)

cp -r "$root/configs" "$root/README.md" "$package"
if [[ -f $root/LICENSE ]]; then cp "$root/LICENSE" "$package"; fi
"$root/launch/pack_licenses.sh" "$package/licenses" < "$sources"
cat > "$package/environment.sh" << ENVIRONMENT
# Sourced by bash: where the package's Open MPI lies.
subgen=\$(cd "\$(dirname "\${BASH_SOURCE[0]}")" && pwd)
export OPAL_PREFIX=\$subgen/mpi
export PMIX_LIBDIR=\$subgen/mpi/${pmix#"$prefix"/}
export PMIX_DATADIR=\$subgen/mpi/${pmix_prefix#"$prefix"/}/share
export HWLOC_PLUGINS_PATH=\$subgen/lib # none there: not the node's either
# The package's parameters stand in for those of /etc; the user's come first,
# as they do without a package.
if [[ -z \${OMPI_MCA_mca_base_param_files:-} ]]; then
  OMPI_MCA_mca_base_param_files=\${HOME:-}/.openmpi/mca-params.conf
  OMPI_MCA_mca_base_param_files+=,\$subgen/mpi/etc/openmpi-mca-params.conf
  export OMPI_MCA_mca_base_param_files
fi
export PATH=\$subgen/bin:\$PATH
ENVIRONMENT
cat > "$package/bin/mpirun" << 'MPIRUN'
#!/bin/bash
# The package's own mpirun.
source "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/../environment.sh"
exec "$subgen/mpi/bin/orterun" "$@"
MPIRUN
chmod +x "$package/bin/mpirun"

tar -C "$stage" -czf "$output" subgen
echo "$output: $(du -h "$output" | cut -f1)"
