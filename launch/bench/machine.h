// What this machine and this process have.
#pragma once

#include <cstdint>

#include "comm/communicator.h"

namespace subgen {

// Bytes a second that all threads of all ranks read at once, each its own
// memory: the sum over ranks of the best of several passes, on every rank.
// bytes: of a rank; more than the caches hold. Collective.
double ReadBandwidth(Communicator& world, int threads, int64_t bytes);

// More than the caches of this host hold, shared out over its ranks.
int64_t BandwidthBytes(int ranks_on_host);

// Resident memory of this process in bytes, now and at its highest; 0 where the
// system does not say.
struct ResidentMemory {
  int64_t now = 0;
  int64_t highest = 0;
};
ResidentMemory MeasureResidentMemory();
// Starts `highest` again from now; does nothing where the system refuses.
void ForgetHighestMemory();

}  // namespace subgen
