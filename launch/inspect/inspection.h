// subgen_inspect prints these texts.
#pragma once

#include <istream>
#include <string>

#include "absl/status/status.h"
#include "engine/decode/engine.h"
#include "engine/model/gguf/gguf_file.h"

namespace subgen {

// Writes one line per key; long strings and arrays are cut.
std::string DescribeMetadata(const GgufFile& file);

// Writes one line per tensor: name, format, shape, bytes.
std::string DescribeTensors(const GgufFile& file);

// Writes one line per rank: its heads, features, vocabulary and bytes.
std::string DescribePlan(const Model& model, const GridShape& shape);

// Reads JSON strings, one per line, and prints one JSON list of ids per line.
// An error names the line.
absl::Status TokenizeLines(const Tokenizer& tokenizer, std::istream& in);

}  // namespace subgen
