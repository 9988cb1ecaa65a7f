// Ranks are threads of one process: for tests, and for sharding on one host
// without a launcher.
#pragma once

#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "comm/communicator.h"

namespace subgen {

// This is what one rank does, in its own thread, with its rank of the group.
using RankBody = std::function<absl::Status(std::unique_ptr<Communicator>)>;

// Runs `body` on ranks 0..ranks-1 at once and returns when all are done: OK, or
// the error that came first. Waiting ranks sleep. Sums are taken in rank order,
// so every run and every rank gets the same bits. Ranks that make different
// calls are a bug (Fatal).
//
// A rank that returns, with or without an error, takes part in nothing more. If
// a peer waits (or comes to wait) for it, in this group or in any Split of it,
// the peer's body is unwound at that call and its rank fails too, so nothing
// hangs. The unwinding is a C++ exception that is private to this library and
// not derived from std::exception. A body must let it pass, and must not enter
// a collective from a noexcept function or a destructor. The communicator works
// only while the body runs.
absl::Status RunThreadRanks(int ranks, const RankBody& body);

}  // namespace subgen
