# Whether this build is for GPUs (SUBGEN_CUDA), and the libraries that depend on
# it. Callers are the same either way: where there is no toolkit a folder's
# unavailable.cc takes the place of its other sources.
include(CheckLanguage)

if(NOT SUBGEN_CUDA MATCHES "^(ON|OFF|AUTO)$")
  message(FATAL_ERROR "SUBGEN_CUDA=${SUBGEN_CUDA}: legal are ON, OFF, AUTO")
endif()
set(cuda_is_on OFF)
if(SUBGEN_CUDA STREQUAL "ON" OR
   (SUBGEN_CUDA STREQUAL "AUTO" AND NOT SUBGEN_SANITIZE
    AND NOT CMAKE_CROSSCOMPILING))
  if(NOT CMAKE_CUDA_ARCHITECTURES AND NOT DEFINED ENV{CUDAARCHS})
    set(CMAKE_CUDA_ARCHITECTURES 80 90 100 CACHE STRING "Compute capabilities")
  endif()
  set(CMAKE_CUDA_RUNTIME_LIBRARY Static)
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    enable_language(CUDA)
    # CMake 3.25 sets a property of this library, which CUDA 13 has no more.
    if(NOT TARGET CUDA::nvToolsExt)
      add_library(CUDA::nvToolsExt INTERFACE IMPORTED)
    endif()
    find_package(CUDAToolkit 13 REQUIRED)
    # CMake 3.25 does not know that nvcc has C++20.
    set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
    set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
    set(cuda_is_on ON)
    # No contraction, so that numbers are those of the reference; kernels say
    # fmaf where they mean it.
    add_compile_options("$<$<COMPILE_LANGUAGE:CUDA>:--fmad=false;-Werror;\
all-warnings;-Xcompiler=-Wall,-Wextra>")
  elseif(SUBGEN_CUDA STREQUAL "ON")
    message(FATAL_ERROR "SUBGEN_CUDA=ON: nvcc is not on PATH")
  endif()
endif()
set(nccl_is_on OFF)
if(cuda_is_on)
  find_path(NCCL_INCLUDE_DIR nccl.h HINTS ${CUDAToolkit_INCLUDE_DIRS})
  if(NCCL_INCLUDE_DIR)
    set(nccl_is_on ON)
  endif()
endif()
message(STATUS "CUDA: ${cuda_is_on}, NCCL: ${nccl_is_on}")

# As subgen_library, of a folder that needs the CUDA toolkit.
function(subgen_cuda_library folder)
  string(REPLACE "/" "_" target ${folder})
  if(cuda_is_on)
    file(GLOB sources CONFIGURE_DEPENDS ${folder}/*.cc ${folder}/*.cu)
    foreach(room ${rooms_of_${target}})
      file(GLOB more CONFIGURE_DEPENDS ${folder}/${room}/*.cc
           ${folder}/${room}/*.cu)
      list(APPEND sources ${more})
    endforeach()
    list(REMOVE_ITEM sources ${PROJECT_SOURCE_DIR}/${folder}/unavailable.cc)
    add_library(${target} STATIC ${sources})
    target_link_libraries(${target} PUBLIC CUDA::cudart_static)
  else()
    add_library(${target} STATIC ${folder}/unavailable.cc)
  endif()
  target_link_libraries(${target} PUBLIC ${ARGN})
  target_precompile_headers(${target} REUSE_FROM precompiled)
endfunction()

# The same of a folder that needs nccl.h too; the library itself is opened when
# it is asked for.
function(subgen_nccl_library folder)
  string(REPLACE "/" "_" target ${folder})
  if(nccl_is_on)
    subgen_cuda_library(${folder} ${ARGN})
    target_include_directories(${target} SYSTEM PRIVATE ${NCCL_INCLUDE_DIR})
  else()
    add_library(${target} STATIC ${folder}/unavailable.cc)
    target_link_libraries(${target} PUBLIC ${ARGN})
  endif()
endfunction()
