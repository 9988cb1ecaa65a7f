// This is the cuda backend, on a device or on the emulation of one.
#include "kernels/cuda/attention/attention_many.h"
#include "kernels/cuda/dense/dense.h"
#include "tests/kernels/backends/backend_case.h"

namespace subgen {

std::vector<BackendCase> BackendCases() {
  BackendCase made;
  made.name = "cuda";
  made.make = []() -> std::unique_ptr<Backend> {
    auto backend = MakeCudaBackend(0);
    return backend.ok() ? *std::move(backend) : nullptr;
  };
  made.linear_rounding = [](const WeightMatrix&, int64_t tokens) {
    return tokens > cuda::kFewTokens ? LinearRounding::kBothToBF16
                                     : LinearRounding::kNone;
  };
  made.attention_rounding = [](const AttentionTask& task) {
    return cuda::TakesManyQueries(task.queries.rows / task.group,
                                  task.queries.cols, task.queries.cols)
               ? AttentionRounding::kToBF16
               : AttentionRounding::kNone;
  };
  return {made};
}

}  // namespace subgen
