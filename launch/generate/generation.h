// subgen_generate does this once ranks are up.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "engine/config/engine_config.h"
#include "launch/ranks/bring_up.h"

namespace subgen {

struct GenerationOptions {
  EngineConfig config;
  std::string prompt;
  std::string prompt_file;  // "-" is standard input
  std::string output;       // path of the text, instead of standard output
  std::string report;       // path of a JSON file, may be empty
  int logprobs = 0;
  bool chat = false;
  bool raw = false;
};

// Does one rank's part, from model file to text on standard output. All ranks
// return the same status.
absl::Status Generate(const GenerationOptions& options, RankContext rank);

}  // namespace subgen
