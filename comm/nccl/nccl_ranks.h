// Ranks on GPUs: all-reduces and all-gathers over NCCL, one rank a device.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "comm/communicator.h"

namespace subgen {

struct NcclOptions {
  int device = 0;             // of this host: the rank's number on it
  bool share_device = false;  // two ranks on one device are legal (for tests)
  // How long bring-up and a collective may take; 0: as long as they like.
  double deadline_seconds = 300.0;
  std::string library = "libnccl.so.2";  // found as dlopen does
};

// The ranks of `bootstrap`, which carries what is no arithmetic: the unique id,
// what ranks must know of one another, Broadcast (ranks wait long there) and
// Split. Collective.
//
// The same error on all ranks where one has no driver or no such device, where
// NCCL is not found or of another version than elsewhere, and where two ranks
// would share a device. Later a lost peer, an error that NCCL reports or a
// collective over its deadline is Fatal on the rank that notices, after its
// communicator was aborted.
//
// Collectives on memory that a backend of the same device mirrors are commands
// of its queue. That backend, with the graphs that it captured, goes before the
// ranks do.
//
// NCCL is opened when this is called, and not needed to start a program.
absl::StatusOr<std::unique_ptr<Communicator>> MakeNcclRanks(
    std::unique_ptr<Communicator> bootstrap, const NcclOptions& options);

}  // namespace subgen
