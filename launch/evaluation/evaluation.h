// An evaluation measures what cache policies lose, by a plan, on one model.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "launch/evaluation/engine_series.h"
#include "launch/evaluation/plan.h"
#include "launch/evaluation/result_table.h"

namespace subgen {

struct EvaluationOptions {
  EvaluationPlan plan;
  std::vector<EngineConfig> policies;  // one for each of the plan's
  int threads = 1;                     // of this rank
  int device = 0;                      // of this rank, for cuda
  // Rank 0 calls this before the first sequence, after each, and when `what`
  // changes: `done` of `total` sequences are measured, and `what` is being
  // done.
  std::function<void(int64_t done, int64_t total, const std::string& what)>
      on_progress;
};

// Returns all rows on rank 0, none on the others, and the same status on all. A
// policy that is exact is measured once, without mode and budget. Collective.
absl::StatusOr<std::vector<ResultRow>> Evaluate(
    const EvaluationOptions& options, const Model& model, Communicator& world);

}  // namespace subgen
