// Whether the caches will find room, said before anything is read.
#pragma once

#include "absl/status/status.h"
#include "engine/decode/engine.h"

namespace subgen {

// Bytes that processes of this host may still take: what the kernel calls
// available, or what a limit of the control group leaves; -1: unknown.
int64_t FreeMemory();

// An error where rows lie in this host's memory, and all slots of this rank at
// their longest, times the ranks of this host, take more of it than is free. A
// budget is never lowered to fit.
absl::Status CheckMemory(const Engine& engine, int ranks_on_host);

}  // namespace subgen
