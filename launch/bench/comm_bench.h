// The benchmark times collectives and merges at given message sizes, and checks
// what they give, in the manner of nccl-tests.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "kernels/backend.h"

namespace subgen {

enum class CommOperation {
  kAllReduceSum,
  kAllReduceMax,
  kAllGather,
  kMergeByAllReduce,  // comm/partial_merge.h, either way
  kMergeByAllGather,
};
inline constexpr CommOperation kCommOperations[] = {
    CommOperation::kAllReduceSum, CommOperation::kAllReduceMax,
    CommOperation::kAllGather, CommOperation::kMergeByAllReduce,
    CommOperation::kMergeByAllGather};

// Each operation has another name ("all_reduce", "all_reduce_max", ...). Its
// operation on numbers is "sum", "max", "merge" or "none".
std::string CommOperationName(CommOperation operation);
std::string ReductionName(CommOperation operation);

struct CommBenchOptions {
  int64_t head_dim = 64;  // of merged partials
  int warm_up = 5;        // calls
  int calls = 20;         // timed, in a row
  // Memory of this backend is exchanged, as the engine does it: on the queue of
  // its device, if ranks can. If it is null, memory of the host is.
  Backend* backend = nullptr;
};

struct CommRow {
  CommOperation operation = CommOperation::kAllReduceSum;
  int64_t count = 0;          // floats; of an all-gather: of all ranks together
  double microseconds = 0.0;  // of a call, the slowest rank's mean
  int64_t wrong = 0;          // floats, over all ranks
  int ranks = 1;
  std::string step;  // of the engine, that has such a message; may be empty

  int64_t bytes() const { return 4 * count; }
  // These are GB/s. Bus bandwidth is that of nccl-tests (all-reduce 2 (n-1) /
  // n, all-gather (n-1) / n). A merge counts as the collective that it is made
  // of, with the partials of one rank as its size.
  double algorithm_bandwidth() const;
  double bus_bandwidth() const;
};

// Times the nearest size to `count` floats that the operation can have. The
// same row on all ranks. Collective.
CommRow MeasureComm(CommOperation operation, int64_t count,
                    const CommBenchOptions& options, Communicator& world);

}  // namespace subgen
