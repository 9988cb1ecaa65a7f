// These are rules that hold between settings.
#pragma once

#include <map>
#include <string>

#include "absl/status/status.h"
#include "engine/config/engine_config.h"

namespace subgen {

// This says where each setting was given, by key; a key that is absent has its
// default.
using SettingPlaces = std::map<std::string, std::string>;

absl::Status CheckConfig(const EngineConfig& config,
                         const SettingPlaces& places);

}  // namespace subgen
