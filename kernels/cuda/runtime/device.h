// Finds out which device there is.
#pragma once

#include "absl/status/statusor.h"

namespace subgen::cuda {

// Makes it the calling thread's device and returns how many multiprocessors it
// has. An error says what is missing: the driver, a newer one, a GPU, this one.
absl::StatusOr<int> OpenDevice(int device);

}  // namespace subgen::cuda
