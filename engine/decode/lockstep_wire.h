// Rank 0 sends commands to the others, each with its arguments, in bytes.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "engine/cache/rows/serial.h"
#include "engine/model/batch.h"

namespace subgen {

// These are the arguments of the commands. Encode writes them behind one
// another; Decode takes them off the front of what is left to read.
// DataLossError is returned where the bytes cannot be those of Encode.
void Encode(const Batch& batch, ByteWriter& out);
void Encode(const TopRequest& request, ByteWriter& out);
absl::StatusOr<Batch> DecodeBatch(ByteReader& in);
absl::StatusOr<TopRequest> DecodeTopRequest(ByteReader& in);

}  // namespace subgen
