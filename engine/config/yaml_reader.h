// YAML to a flat list of settings. The text is hostile: its size, depth, bytes
// and keys are checked, anchors, aliases and tags are refused.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/config/fields.h"

namespace subgen {

// In file order; every key is a legal one and stands there once. Errors begin
// with "path:line:column: ".
absl::StatusOr<std::vector<Setting>> ReadYamlFile(const std::string& path);

// One value, written outside a file: `place` is where.
absl::StatusOr<Setting> ReadYamlValue(const std::string& key,
                                      const std::string& place,
                                      const std::string& text);

}  // namespace subgen
