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

# The backend's tests over a library: the same as those of cpu.
function(subgen_cuda_test target library)
  file(GLOB tests CONFIGURE_DEPENDS kernels/backend_*_test.cc
       kernels/cuda_*_test.cc)
  add_executable(${target} ${tests} kernels/cuda_cases.cc)
  target_link_libraries(${target} PRIVATE ${library} tests_support
                        GTest::gmock_main)
  gtest_discover_tests(${target} DISCOVERY_MODE PRE_TEST
                       TEST_PREFIX ${ARGV2} PROPERTIES TIMEOUT 600
                       LABELS ${ARGV3})
endfunction()

if(TARGET kernels_cuda_emulated)
  subgen_cuda_test(kernels_cuda_emulated_test kernels_cuda_emulated
                   Emulated. kernels)
  target_link_libraries(kernels_cuda_emulated_test PRIVATE cuda_emulation)
  # The engine on it, beside numpy.
  add_executable(engine_cuda_emulated_test
                 engine/decode/cuda_policies_test.cc
                 engine/decode/toy_golden_test.cc
                 engine/decode/cuda_golden_cases.cc)
  target_link_libraries(engine_cuda_emulated_test PRIVATE
    kernels_cuda_emulated cuda_emulation engine_decode tests_support
    GTest::gmock_main)
  gtest_discover_tests(engine_cuda_emulated_test DISCOVERY_MODE PRE_TEST
                       TEST_PREFIX Emulated. PROPERTIES TIMEOUT 600
                       LABELS engine_decode)
endif()
if(cuda_is_on)
  subgen_cuda_test(kernels_cuda_test kernels_cuda Device. cuda)
endif()
