// The texts that subgen_inspect prints.
#pragma once

#include <istream>
#include <string>

#include "absl/status/status.h"
#include "engine/decode/engine.h"
#include "engine/model/gguf/gguf_file.h"

namespace subgen {

// One line a key; long strings and arrays are cut.
std::string DescribeMetadata(const GgufFile& file);

// One line a tensor: name, format, shape, bytes.
std::string DescribeTensors(const GgufFile& file);

// One line a rank: its heads, features, vocabulary and bytes.
std::string DescribePlan(const Model& model, const GridShape& shape);

// Reads JSON strings, one a line, and prints one JSON list of ids a line. An
// error names the line.
absl::Status TokenizeLines(const Tokenizer& tokenizer, std::istream& in);

}  // namespace subgen
