// This reads the hyperparameters in the metadata of a GGUF file.
#pragma once

#include "absl/status/statusor.h"
#include "engine/config/engine_config.h"
#include "engine/model/gguf/gguf_file.h"
#include "engine/model/model_config.h"

namespace subgen {

// Refuses by name: an unknown architecture, a setting that changes the
// arithmetic and that the engine does not know, a value out of range.
absl::StatusOr<ModelConfig> ReadGgufConfig(const GgufFile& file,
                                           const RopeConfig& rope);

}  // namespace subgen
