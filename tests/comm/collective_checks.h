// These are collectives whose results are formulas, for any transport.
#pragma once

#include "absl/status/status.h"
#include "comm/communicator.h"

namespace subgen {

// Calls every collective in several sizes and compares without tolerance: all
// numbers are small integers. The error says what differs. The call is
// collective.
absl::Status CheckCollectives(Communicator& ranks);

// Does the same on groups made by Split: one color, each rank alone, odd and
// even, halves, and a split of a split.
absl::Status CheckSplits(Communicator& ranks);

}  // namespace subgen
