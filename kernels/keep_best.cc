#include "kernels/keep_best.h"

namespace subgen {

void Check(const KeepBestTask& task) {
  const size_t tokens = task.tokens();
  SUBGEN_CHECK(task.limit >= 1 && task.held >= 0 && task.held <= task.room() &&
               task.HeldAfter() <= task.room() &&
               task.positions.size() == task.scores.size());
  SUBGEN_CHECK(task.token_values.count == task.token_keys.count &&
               task.token_values.format == task.token_keys.format &&
               task.token_values.dim == task.token_keys.dim);
  SUBGEN_CHECK(task.token_scores.size() == tokens &&
               task.token_positions.size() == tokens);
}

}  // namespace subgen
