// The check says whether the caches will find room, before anything is read.
#pragma once

#include "absl/status/status.h"
#include "engine/decode/engine.h"

namespace subgen {

// Returns the bytes that processes of this host may still take: what the kernel
// calls available, or what a limit of the control group leaves. -1 means
// unknown.
int64_t FreeMemory();

// Returns an error if rows lie in this host's memory and all slots of this rank
// at their longest, times the ranks of this host, take more of it than is free.
// A budget is never lowered to fit.
absl::Status CheckMemory(const Engine& engine, int ranks_on_host);

}  // namespace subgen
