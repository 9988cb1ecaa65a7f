#include "engine/cache/layer_step.h"

namespace subgen {

Matrix<const float> LayerStep::Queries(const Chunk& chunk, int kv_head) const {
  return queries.Rows((kv_head * tokens + chunk.first) * group,
                      static_cast<int64_t>(chunk.count) * group);
}

Matrix<const float> LayerStep::SinkQueries(const Chunk& chunk,
                                           int kv_head) const {
  return sink_queries.Rows((kv_head * tokens + chunk.first) * group,
                           static_cast<int64_t>(chunk.count) * group);
}

Matrix<const float> LayerStep::Keys(const Chunk& chunk, int kv_head) const {
  return keys.Rows(kv_head * owned + chunk.first_owned, chunk.owned_count);
}

Matrix<const float> LayerStep::Values(const Chunk& chunk, int kv_head) const {
  return values.Rows(kv_head * owned + chunk.first_owned, chunk.owned_count);
}

Vector<const int64_t> LayerStep::Positions(const Chunk& chunk) const {
  return owned_positions.subspan(chunk.first_owned, chunk.owned_count);
}

Vector<const int> LayerStep::Tokens(const Chunk& chunk) const {
  return owned_tokens.subspan(chunk.first_owned, chunk.owned_count);
}

SoftmaxPartials LayerStep::Partials(const SoftmaxPartials& all,
                                    const Chunk& chunk, int kv_head) const {
  return all.Rows((kv_head * tokens + chunk.first) * group,
                  static_cast<int64_t>(chunk.count) * group);
}

Vector<const float> LayerStep::PerQuery(Vector<const float> all,
                                        const Chunk& chunk, int kv_head) const {
  return all.subspan((kv_head * tokens + chunk.first) * group,
                     static_cast<int64_t>(chunk.count) * group);
}

AttentionTask LayerStep::TaskInside(const Chunk& chunk, int kv_head,
                                    const SoftmaxPartials& all) const {
  AttentionTask task;
  task.queries = Queries(chunk, kv_head);
  task.rows.keys = FloatRows(Keys(chunk, kv_head));
  task.rows.values = FloatRows(Values(chunk, kv_head));
  task.row_token = Tokens(chunk);
  task.group = group;
  task.out = Partials(all, chunk, kv_head);
  return task;
}

}  // namespace subgen
