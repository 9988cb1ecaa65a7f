// This reads YAML to a flat list of settings. The text is hostile: its size,
// depth, bytes and keys are checked, anchors, aliases and tags are refused.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/config/fields.h"

namespace subgen {

// Reads the text of a YAML file, bounded, in UTF-8, without control characters
// and without a quote that is never closed. `kind` begins the error of a file
// that cannot be read, as "settings file"; other errors begin with
// "path:line:column: ".
absl::StatusOr<std::string> ReadYamlText(const std::string& kind,
                                         const std::string& path);

// Makes the same checks of a text that is here; `path` is for the errors.
absl::Status CheckYamlText(const std::string& text, const std::string& path);

// Returns the settings in file order; every key is a legal one and stands there
// once. Errors begin with "path:line:column: ".
absl::StatusOr<std::vector<Setting>> ReadYamlFile(const std::string& path);

// Reads one value, written outside a file: `place` is where.
absl::StatusOr<Setting> ReadYamlValue(const std::string& key,
                                      const std::string& place,
                                      const std::string& text);

}  // namespace subgen
