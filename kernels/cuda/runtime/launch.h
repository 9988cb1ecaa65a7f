// Kernels become commands of a queue here.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "kernels/base/check.h"
#include "kernels/cuda/runtime/queue.h"

namespace subgen::cuda {

// The blocks of a grid (0: nothing is started) and the threads of a block.
struct LaunchShape {
  int64_t blocks = 0;
  int threads = 0;
};

inline int64_t CeilDivide(int64_t a, int64_t b) { return (a + b - 1) / b; }

// The command of a launch has the kernel, blocks, threads and arguments.
template <class... Parameters>
std::string PutKernel(const std::byte* at, cudaStream_t stream) {
  const auto kernel = TakeValue<void (*)(Parameters...)>(&at);
  cudaLaunchConfig_t config = {};
  config.gridDim = dim3(TakeValue<unsigned>(&at));
  config.blockDim = dim3(TakeValue<unsigned>(&at));
  config.stream = stream;
  // Arguments are in braces, which evaluate them from the first to the last.
  const std::tuple<Parameters...> arguments{TakeValue<Parameters>(&at)...};
  const cudaError_t error = std::apply(
      [&](const Parameters&... each) {
        return cudaLaunchKernelEx(&config, kernel, each...);
      },
      arguments);
  if (error == cudaSuccess) return "";
  return absl::StrCat("a kernel: ", cudaGetErrorString(error));
}

template <class... Parameters, class... Arguments>
void Launch(Queue* queue, LaunchShape shape, void (*kernel)(Parameters...),
            const Arguments&... arguments) {
  if (shape.blocks == 0) return;
  SUBGEN_CHECK(shape.blocks > 0 && shape.blocks <= 0x7fffffff, shape.blocks);
  queue->Append(PutKernel<Parameters...>, kernel,
                static_cast<unsigned>(shape.blocks),
                static_cast<unsigned>(shape.threads),
                static_cast<Parameters>(arguments)...);
}

}  // namespace subgen::cuda
