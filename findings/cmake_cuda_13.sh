#!/bin/bash
# Debian 12's CMake cannot look for the CUDA 13 toolkit.
#
# One would expect: find_package(CUDAToolkit) of CMake 3.25 finds a toolkit that
# is newer than itself, or says that it does not know it.
# Seen: the module finds the toolkit, then sets a property of the library
# nvToolsExt, which CUDA 13 has no more, and ends with an error about a target
# that no CMakeLists.txt names. CMake 3.25.2 asks first whether it is there.
# So a project defines CUDA::nvToolsExt itself before it looks for the toolkit.
# shellcheck source=findings/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

install tools cmake==3.25.2 nvidia-cuda-nvcc==13.0.88 nvidia-cuda-runtime==13.0.96
toolkit=$(echo "$work"/tools/lib/python3*/site-packages/nvidia/cu13)
(cd "$work" && apt-get -q download cmake=3.25.1-1 cmake-data=3.25.1-1 > /dev/null)
for package in "$work"/*.deb; do dpkg -x "$package" "$work/debian"; done

mkdir "$work/project"
cat > "$work/project/CMakeLists.txt" << 'CMAKE'
cmake_minimum_required(VERSION 3.25)
project(toolkit LANGUAGES CXX)
if(DEFINE_LIBRARY)
  add_library(CUDA::nvToolsExt INTERFACE IMPORTED)
endif()
find_package(CUDAToolkit 13 REQUIRED)
message(STATUS "toolkit ${CUDAToolkit_VERSION}")
CMAKE

# configure CMAKE [OPTION]...: what it ends with.
configure() {
  local cmake=$1
  shift
  rm -rf "$work/build"
  "$cmake" -S "$work/project" -B "$work/build" "-DCUDAToolkit_ROOT=$toolkit" \
    "$@" > "$work/said" 2>&1 || true
  grep -oE 'could not find TARGET CUDA::nvToolsExt|toolkit 13\.[0-9.]+' \
    "$work/said" | head -n 1
}
export CMAKE_ROOT=$work/debian/usr/share/cmake-3.25
debian=$work/debian/usr/bin/cmake
"$debian" --version | head -n 1

# Debian's own binary reads Debian's own module.
expect "Debian's 3.25.1" "$(configure "$debian")" \
  "could not find TARGET CUDA::nvToolsExt"
expect "the same, the library defined" "$(configure "$debian" -DDEFINE_LIBRARY=ON)" \
  "toolkit 13.0.88"
unset CMAKE_ROOT
expect "3.25.2" "$(configure "$work/tools/bin/cmake")" "toolkit 13.0.88"
end
