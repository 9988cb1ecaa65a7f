# Tests of device code: on a GPU where there is one, and everywhere on the
# emulation of the CUDA runtime (support/cuda_emulation).

# These are the sources of the cuda libraries, as plain C++. Fibers and
# sanitizers do not go together.
if(NOT SUBGEN_SANITIZE)
  find_package(Boost REQUIRED COMPONENTS context)
  set(emulation ${CMAKE_CURRENT_SOURCE_DIR}/support/cuda_emulation)
  add_library(cuda_emulation OBJECT ${emulation}/runtime.cc
                                    ${emulation}/streams.cc
                                    ${emulation}/fibers.cc)
  target_precompile_headers(cuda_emulation REUSE_FROM precompiled)
  target_include_directories(cuda_emulation BEFORE PUBLIC ${emulation})
  target_link_libraries(cuda_emulation PUBLIC kernels_base Boost::context)

  set(cuda ${PROJECT_SOURCE_DIR}/kernels/cuda)
  file(GLOB sources CONFIGURE_DEPENDS ${cuda}/*.cc ${cuda}/*/*.cc)
  file(GLOB device CONFIGURE_DEPENDS ${cuda}/*/*.cu)
  list(REMOVE_ITEM sources ${PROJECT_SOURCE_DIR}/kernels/cuda/unavailable.cc)
  # Each is a file of its own name, so it is C++ here and CUDA elsewhere.
  foreach(source ${device})
    get_filename_component(name ${source} NAME_WE)
    set(wrapped ${CMAKE_CURRENT_BINARY_DIR}/cuda_emulated/${name}_emulated.cc)
    file(CONFIGURE OUTPUT ${wrapped} CONTENT "#include \"${source}\"\n")
    list(APPEND sources ${wrapped})
  endforeach()
  # They are objects, so they come before any library's kernels_cuda.
  add_library(kernels_cuda_emulated OBJECT ${sources})
  target_precompile_headers(kernels_cuda_emulated REUSE_FROM precompiled)
  target_link_libraries(kernels_cuda_emulated PUBLIC cuda_emulation kernels)
  # Kernels and fibers run long here.
  foreach(library cuda_emulation kernels_cuda_emulated)
    target_compile_options(${library} PRIVATE $<$<CONFIG:Release>:-O2>)
  endforeach()
  # Quoted headers there are found before those of the project, as
  # kernels/cuda/device/tensor_cores.h. The pragma is "unroll", nvcc's.
  target_compile_options(kernels_cuda_emulated PRIVATE -iquote ${emulation}
                         -Wno-unknown-pragmas)
endif()

# These run over the libraries named, once emulated and once on a GPU:
# kernels as the backends of hosts are tested, and the engine.
function(subgen_cuda_test name label prefix)
  add_executable(${name} ${tests})
  target_precompile_headers(${name} REUSE_FROM tests_precompiled)
  target_link_libraries(${name} PRIVATE ${ARGN} engine_decode tests_support
                        GTest::gmock_main)
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST NO_PRETTY_VALUES TEST_PREFIX ${prefix}
                       PROPERTIES TIMEOUT 600 LABELS ${label})
endfunction()
# `kind` names a folder's tests for the one or the other.
function(subgen_cuda_tests name label prefix kind)
  file(GLOB tests CONFIGURE_DEPENDS kernels/cuda/*.cc kernels/${kind}/*.cc)
  subgen_cuda_test(kernels_${name}_test ${label} ${prefix} ${ARGN}
                   kernels_backends)
  file(GLOB tests CONFIGURE_DEPENDS engine/decode/${kind}/*.cc)
  subgen_cuda_test(engine_${name}_test ${label} ${prefix} ${ARGN}
                   engine_decode_cuda engine_decode_backends)
endfunction()
if(cuda_is_on OR TARGET kernels_cuda_emulated)
  file(GLOB sources CONFIGURE_DEPENDS engine/decode/cuda/*.cc)
  add_library(engine_decode_cuda OBJECT ${sources})
  target_precompile_headers(engine_decode_cuda REUSE_FROM tests_precompiled)
  target_link_libraries(engine_decode_cuda PUBLIC engine_decode tests_support)
endif()

if(TARGET kernels_cuda_emulated)
  subgen_cuda_tests(cuda_emulated emulated Emulated. cuda_emulated
                    kernels_cuda_emulated cuda_emulation)
  file(GLOB tests CONFIGURE_DEPENDS launch/bench/cuda_emulated/*.cc)
  subgen_cuda_test(launch_bench_cuda_emulated_test emulated Emulated.
                   kernels_cuda_emulated cuda_emulation launch_bench)
endif()
if(cuda_is_on)
  subgen_cuda_tests(cuda cuda Device. cuda_device kernels_cuda)
endif()

# These test the NCCL communicator over an emulated NCCL.
if(nccl_is_on)
  set(fake ${CMAKE_CURRENT_SOURCE_DIR}/support/nccl_emulation)
  add_library(fake_nccl SHARED ${fake}/nccl.cc)
  # Its CUDA functions are those of the program that opens it.
  target_include_directories(fake_nccl BEFORE PRIVATE ${emulation})
  target_include_directories(fake_nccl SYSTEM PRIVATE ${NCCL_INCLUDE_DIR})
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/comm/nccl/nccl_*.cc)
  # A test program with these sources, over the libraries named.
  function(subgen_nccl_test name)
    add_executable(${name} ${tests} ${sources})
    set_target_properties(${name} PROPERTIES ENABLE_EXPORTS ON)
    target_precompile_headers(${name} REUSE_FROM tests_precompiled)
    target_include_directories(${name} SYSTEM PRIVATE ${NCCL_INCLUDE_DIR})
    target_link_libraries(${name} PRIVATE
      kernels_cuda_emulated cuda_emulation ${ARGN} tests_support
      ${CMAKE_DL_LIBS} GTest::gmock_main)
    target_compile_definitions(${name} PRIVATE
      SUBGEN_FAKE_NCCL="$<TARGET_FILE:fake_nccl>")
    add_dependencies(${name} fake_nccl)
    gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST NO_PRETTY_VALUES
                         TEST_PREFIX Emulated. PROPERTIES TIMEOUT 600 LABELS emulated)
  endfunction()
  file(GLOB tests CONFIGURE_DEPENDS comm/nccl/*.cc)
  list(APPEND tests comm/collective_checks.cc)
  subgen_nccl_test(comm_nccl_emulated_test comm)
  file(GLOB tests CONFIGURE_DEPENDS engine/decode/nccl_emulated/*.cc)
  list(APPEND tests engine/decode/cuda_emulated/toy_steps.cc)
  subgen_nccl_test(engine_nccl_emulated_test engine_decode)
  file(GLOB tests CONFIGURE_DEPENDS launch/bench/nccl_emulated/*.cc)
  subgen_nccl_test(launch_bench_nccl_emulated_test launch_bench)
endif()
