// This leads from a GGUF file that is open to what the engine sees of it.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "engine/config/engine_config.h"
#include "engine/model/gguf/gguf_file.h"
#include "engine/model/model_file.h"

namespace subgen {

// Does as ReadGgufModel. What is missing in the file is an
// InvalidArgumentError.
absl::StatusOr<ModelFile> MakeGgufModel(std::unique_ptr<GgufFile> file,
                                        const RopeConfig& rope);

}  // namespace subgen
