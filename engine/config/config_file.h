// This reads an EngineConfig from its four sources, and writes it back to YAML.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/config/engine_config.h"
#include "engine/config/text.h"

namespace subgen {

// The sources are in rising precedence, above the defaults of EngineConfig.
struct ConfigSources {
  std::string yaml_path = {};  // empty: none
  // These are "NAME=value", ended by nullptr, as `environ`; nullptr stands for
  // none. Only names that begin with SUBGEN_ are looked at, and HOME.
  const char* const* environment = nullptr;
  std::vector<std::string> settings = {};  // "key=value", the last one wins
};

// Values outside YAML are written as in YAML, but that a string may stand there
// as it is, unquoted. An error is one line: its place, the value, what is
// legal.
absl::StatusOr<EngineConfig> LoadConfig(const ConfigSources& sources);

// Writes every setting as YAML with what it means; it loads to the same config.
std::string DumpConfig(const EngineConfig& config);

}  // namespace subgen
