// EngineConfig from its four sources, and back to YAML.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/config/engine_config.h"
#include "engine/config/text.h"

namespace subgen {

// In rising precedence, above the defaults of EngineConfig.
struct ConfigSources {
  std::string yaml_path = {};  // empty: none
  // "NAME=value", ended by nullptr, as `environ`; nullptr: none. Only names
  // that begin with SUBGEN_ are looked at, and HOME.
  const char* const* environment = nullptr;
  std::vector<std::string> settings = {};  // "key=value", the last one wins
};

// Values outside YAML are written as in YAML, but that a string may stand
// there as it is, unquoted. One line an error: its place, the value, what is
// legal.
absl::StatusOr<EngineConfig> LoadConfig(const ConfigSources& sources);

// Every setting as YAML with what it means; loads to the same config.
std::string DumpConfig(const EngineConfig& config);

}  // namespace subgen
