// This reads the tensor table of a GGUF file.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/model/gguf/gguf_cursor.h"
#include "engine/model/gguf/gguf_file.h"

namespace subgen {

// Reads `count` entries; the data section begins at the next multiple of
// `alignment`. `file` is the whole mapping. Every tensor lies inside the file,
// aligned, and none overlaps another.
absl::StatusOr<std::vector<ModelTensor>> ReadGgufTensors(
    GgufCursor& cursor, uint64_t count, uint64_t alignment,
    Vector<const std::byte> file);

}  // namespace subgen
