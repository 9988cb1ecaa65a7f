// The cuda backend: on a device, or on the emulation of one.
#include "kernels/cuda/dense.h"
#include "tests/kernels/backend_case.h"

namespace subgen {

std::vector<BackendCase> BackendCases() {
  BackendCase made;
  made.name = "cuda";
  made.make = []() -> std::unique_ptr<Backend> {
    auto backend = MakeCudaBackend(0);
    return backend.ok() ? *std::move(backend) : nullptr;
  };
  made.attention_rounding = [](RowFormat, int64_t) {
    return AttentionRounding::kNone;
  };
  made.linear_rounding = [](const WeightMatrix&, int64_t tokens) {
    return tokens > cuda::kFewTokens ? LinearRounding::kBothToBF16
                                     : LinearRounding::kNone;
  };
  return {made};
}

}  // namespace subgen
