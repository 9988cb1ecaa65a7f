// Rules that hold between settings.
#pragma once

#include <map>
#include <string>

#include "absl/status/status.h"
#include "engine/config/engine_config.h"

namespace subgen {

// Where each setting was given, by key; absent: the default.
using SettingPlaces = std::map<std::string, std::string>;

absl::Status CheckConfig(const EngineConfig& config,
                         const SettingPlaces& places);

}  // namespace subgen
