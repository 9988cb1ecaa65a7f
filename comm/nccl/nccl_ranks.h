// Ranks on GPUs do all-reduces and all-gathers over NCCL, one rank per device.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "comm/communicator.h"

namespace subgen {

struct NcclOptions {
  int device = 0;             // of this host: the rank's number on it
  bool share_device = false;  // two ranks on one device are legal (for tests)
  // Bring-up and each collective may take so long; with 0, as long as they
  // like.
  double deadline_seconds = 300.0;
  std::string library = "libnccl.so.2";  // found as dlopen does
};

// Makes ranks on GPUs of the ranks of `bootstrap`, which carries what is no
// arithmetic: the unique id, what ranks must know of one another, Broadcast
// (ranks may wait long there) and Split. Collective.
//
// All ranks return the same error if one has no driver or no such device, if
// NCCL is not found or is another version than elsewhere, or if two ranks would
// share a device. Later a lost peer, an error that NCCL reports or a collective
// over its deadline is Fatal on the rank that notices, after its communicator
// was aborted.
//
// Collectives on memory that a backend of the same device mirrors are commands
// of its queue. That backend, with the graphs that it captured, goes before the
// ranks do.
//
// NCCL is opened when this is called; a program starts without it.
absl::StatusOr<std::unique_ptr<Communicator>> MakeNcclRanks(
    std::unique_ptr<Communicator> bootstrap, const NcclOptions& options);

}  // namespace subgen
