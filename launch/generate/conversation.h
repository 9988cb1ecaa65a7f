// A conversation goes on line by line: subgen_generate --chat.
#pragma once

#include "absl/status/status.h"
#include "engine/decode/engine.h"
#include "launch/generate/generation.h"
#include "launch/ranks/report_file.h"

namespace subgen {

// Reads lines from standard input and answers each, until they end or one of
// them is /exit. If something is wrong with a line, standard error says so and
// the conversation goes on; an error ends it.
absl::Status Converse(const GenerationOptions& options, const Model& model,
                      const ChatTemplate& chat, const ReportFile& report_file,
                      Engine& engine);

}  // namespace subgen
