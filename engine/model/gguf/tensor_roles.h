// This says which tensors a GGUF model consists of, and the role of each.
#pragma once

#include "absl/status/status.h"
#include "engine/model/model_file.h"

namespace subgen {

// Sets the roles of `model`, whose path, config and tensors are set.
// InvalidArgumentError names the first tensor that is missing, has another
// shape than the hyperparameters say, is a vector in a quantized format, or
// does not belong to the architecture.
absl::Status AssignTensors(ModelFile* model);

}  // namespace subgen
