// This reads the key-value part of a GGUF file.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/model/gguf/gguf_cursor.h"
#include "engine/model/gguf/gguf_file.h"

namespace subgen {

using GgufMetadata = std::vector<std::pair<std::string, GgufFile::Value>>;

// Reads `count` keys. Strings are views into the file.
absl::StatusOr<GgufMetadata> ReadGgufMetadata(GgufCursor& cursor,
                                              uint64_t count);

}  // namespace subgen
