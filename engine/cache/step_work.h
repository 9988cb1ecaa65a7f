// This is the work of a step that sketches of all layers leave for its end. Few
// operations of the backend do it for all heads, which are not alike, but even
// out over threads.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "kernels/backend.h"

namespace subgen {

class Sketch;

class StepWork {
 public:
  explicit StepWork(Backend& backend) : backend_(backend) {}

  Backend& backend() const { return backend_; }

  // A call is what a sketch asks of the backend. It may ask for each operation
  // several times; those of one call are independent of one another.
  using Call = std::function<void(RowOps& ops)>;
  // Adds a call. Calls of one sketch are run one after another; the n-th calls
  // of all sketches are run together, with one backend operation for each kind.
  // What a call refers to stays until Run.
  void Add(const Sketch* sketch, Call call);
  void Run();
  bool empty() const { return rounds_.empty(); }
  // Runs one call now; others wait on.
  void RunNow(const Call& call);

  // Tells whether the work of a step with so many tokens of so many sequences
  // gains by waiting. Where each sequence has few tokens most work is to read
  // its rows, which attention has just left in the caches of a CPU; a device
  // has none, and wants few operations.
  bool GainsByWaiting(int64_t tokens, int64_t sequences) const;

 private:
  Backend& backend_;
  std::vector<std::vector<Call>> rounds_;
  absl::flat_hash_map<const Sketch*, size_t> next_round_;
};

}  // namespace subgen
