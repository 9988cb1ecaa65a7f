// This is the arithmetic of one device. `reference` is the specification in
// plain loops with double sums; every other backend equals it within a bound
// that its tests derive. A backend knows no model and no rank.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "kernels/attention_ops.h"
#include "kernels/dense_ops.h"
#include "kernels/device.h"
#include "kernels/row_ops.h"

namespace subgen {

class Backend : public DenseOps,
                public AttentionOps,
                public RowOps,
                public Device {};

// These make the backends of kernels/reference and kernels/cpu. threads >= 1,
// the calling one included.
std::unique_ptr<Backend> MakeReferenceBackend();
std::unique_ptr<Backend> MakeCpuBackend(int threads);
// Makes the backend of kernels/cuda on one device of this host. The error says
// what is missing: the toolkit when this was built, the driver, a GPU, or that
// device.
absl::StatusOr<std::unique_ptr<Backend>> MakeCudaBackend(int device);

}  // namespace subgen
