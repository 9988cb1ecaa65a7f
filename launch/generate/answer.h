// One answer of a model is printed as it comes.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "engine/decode/engine.h"
#include "launch/generate/report.h"

namespace subgen {

struct GenerationOptions;

// Answers the tokens in a slot of the engine. Ctrl-C, if it is caught, ends the
// answer and no more (finish_reason "cancelled"). An error is the scheduler's,
// or that of an output that cannot be written.
absl::StatusOr<GenerationReport> Answer(const GenerationOptions& options,
                                        Engine& engine, int slot,
                                        std::vector<int> prompt);

}  // namespace subgen
