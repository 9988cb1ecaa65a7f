// These functions say what this machine and this process have.
#pragma once

#include <cstdint>

#include "comm/communicator.h"

namespace subgen {

// Returns the bytes per second that all threads of all ranks read at once, each
// its own memory: the sum over ranks of the best of several passes, on every
// rank. `bytes` are those of one rank, more than the caches hold. Collective.
double ReadBandwidth(Communicator& world, int threads, int64_t bytes);

// Returns more bytes than the caches of this host hold, shared out over its
// ranks.
int64_t BandwidthBytes(int ranks_on_host);

// This is the resident memory of this process in bytes, now and at its highest,
// and 0 if the system does not say.
struct ResidentMemory {
  int64_t now = 0;
  int64_t highest = 0;
};
ResidentMemory MeasureResidentMemory();
// Starts `highest` again from now; does nothing if the system refuses.
void ForgetHighestMemory();

}  // namespace subgen
