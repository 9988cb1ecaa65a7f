// Which tensors a model consists of.
#pragma once

#include "absl/status/status.h"
#include "engine/model/gguf_file.h"
#include "engine/model/model_config.h"

namespace subgen {

// InvalidArgumentError naming the first tensor that is missing, has another
// shape than the hyperparameters say, is a vector in a quantized format, or
// does not belong to the architecture.
absl::Status CheckTensors(const GgufFile& file, const ModelConfig& config);

}  // namespace subgen
