# Tests of device code: on a GPU where there is one, and everywhere on the
# emulation of the CUDA runtime (support/cuda_emulation).

# The sources of the cuda libraries once more, as plain C++. Fibers and
# sanitizers do not go together.
if(NOT SUBGEN_SANITIZE)
  find_package(Boost REQUIRED COMPONENTS context)
  set(emulation ${CMAKE_CURRENT_SOURCE_DIR}/support/cuda_emulation)
  add_library(cuda_emulation OBJECT ${emulation}/runtime.cc
                                    ${emulation}/fibers.cc)
  target_include_directories(cuda_emulation BEFORE PUBLIC ${emulation})
  target_link_libraries(cuda_emulation PUBLIC kernels_base Boost::context)

  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/kernels/cuda/*.cc)
  file(GLOB device CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/kernels/cuda/*.cu)
  list(REMOVE_ITEM sources ${PROJECT_SOURCE_DIR}/kernels/cuda/unavailable.cc)
  # A file of its own name each, so that it is C++ here and CUDA elsewhere.
  foreach(source ${device})
    get_filename_component(name ${source} NAME_WE)
    set(wrapped ${CMAKE_CURRENT_BINARY_DIR}/cuda_emulated/${name}_emulated.cc)
    file(CONFIGURE OUTPUT ${wrapped} CONTENT "#include \"${source}\"\n")
    list(APPEND sources ${wrapped})
  endforeach()
  # Objects, so that they come before any library's kernels_cuda.
  add_library(kernels_cuda_emulated OBJECT ${sources})
  target_link_libraries(kernels_cuda_emulated PUBLIC cuda_emulation kernels)
endif()

# What runs over the libraries named, once emulated and once on a GPU:
# kernels as the backends of hosts are tested, and the engine.
function(subgen_cuda_test name label prefix)
  add_executable(${name} ${tests})
  target_link_libraries(${name} PRIVATE ${ARGN} engine_decode tests_support
                        GTest::gmock_main)
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST TEST_PREFIX ${prefix}
                       PROPERTIES TIMEOUT 600 LABELS ${label})
endfunction()
function(subgen_cuda_tests name label prefix)
  file(GLOB tests CONFIGURE_DEPENDS kernels/backend_*_test.cc kernels/cuda/*.cc)
  subgen_cuda_test(kernels_${name}_test ${label} ${prefix} ${ARGN})
  file(GLOB tests CONFIGURE_DEPENDS engine/decode/toy_golden_test.cc
       engine/decode/cuda/*.cc)
  subgen_cuda_test(engine_${name}_test ${label} ${prefix} ${ARGN})
endfunction()

if(TARGET kernels_cuda_emulated)
  subgen_cuda_tests(cuda_emulated emulated Emulated.
                    kernels_cuda_emulated cuda_emulation)
endif()
if(cuda_is_on)
  subgen_cuda_tests(cuda cuda Device. kernels_cuda)
endif()

# The NCCL communicator over an emulated NCCL.
if(nccl_is_on)
  set(fake ${CMAKE_CURRENT_SOURCE_DIR}/support/nccl_emulation)
  add_library(fake_nccl SHARED ${fake}/nccl.cc)
  # Its CUDA functions are those of the program that opens it.
  target_include_directories(fake_nccl BEFORE PRIVATE ${emulation})
  target_include_directories(fake_nccl SYSTEM PRIVATE ${NCCL_INCLUDE_DIR})
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/comm/nccl/nccl_*.cc)
  add_executable(comm_nccl_emulated_test comm/nccl/nccl_ranks_test.cc
                 comm/collective_checks.cc ${sources})
  set_target_properties(comm_nccl_emulated_test PROPERTIES ENABLE_EXPORTS ON)
  target_include_directories(comm_nccl_emulated_test SYSTEM PRIVATE
                             ${NCCL_INCLUDE_DIR})
  target_link_libraries(comm_nccl_emulated_test PRIVATE
    kernels_cuda_emulated cuda_emulation comm tests_support ${CMAKE_DL_LIBS}
    GTest::gmock_main)
  target_compile_definitions(comm_nccl_emulated_test PRIVATE
    SUBGEN_FAKE_NCCL="$<TARGET_FILE:fake_nccl>")
  add_dependencies(comm_nccl_emulated_test fake_nccl)
  gtest_discover_tests(comm_nccl_emulated_test DISCOVERY_MODE PRE_TEST
                       TEST_PREFIX Emulated. PROPERTIES TIMEOUT 600 LABELS emulated)
endif()
