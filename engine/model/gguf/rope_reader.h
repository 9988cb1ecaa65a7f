// This reads the rotary embedding that a model file and the user ask for.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "engine/config/engine_config.h"
#include "engine/model/gguf/gguf_file.h"
#include "engine/model/gguf/hyperparameters.h"
#include "engine/model/rope_scaling.h"

namespace subgen {

// Reads the keys rope.* of the architecture, the tensor rope_freqs.weight and
// what the user overrides. A scaling that the user names replaces the file's
// whole, rope_freqs.weight included. The caller sets `interleaved`.
absl::StatusOr<RopeParameters> ReadRope(const GgufFile& file,
                                        Hyperparameters& keys, int64_t head_dim,
                                        const RopeConfig& config);

}  // namespace subgen
