#include "engine/cache/policies/query_ring.h"

#include <algorithm>

#include "kernels/base/status_macros.h"

namespace subgen {

int64_t QueryRing::Tokens(int64_t recent_tokens) {
  return std::min<int64_t>(32, recent_tokens);
}

int64_t QueryRing::Bytes(int64_t tokens, int group, int64_t head_dim) {
  const int64_t query = RowBytes(RowFormat::kF16, head_dim);
  return tokens * group * (query + static_cast<int64_t>(sizeof(float)));
}

QueryRing::QueryRing(int64_t tokens, int group, int64_t head_dim)
    : limit_(tokens * group),
      layout_{RowFormat::kF16, head_dim},
      queries_(layout_, limit_, RowStore::Holds::kKeys),
      log_partition_(limit_) {}

void QueryRing::Push(Matrix<const float> queries,
                     Vector<const float> log_partition) {
  // Earlier queries of a long chunk would be overwritten by later ones anyway.
  for (int64_t i = std::max<int64_t>(0, queries.rows - limit_);
       i < queries.rows; ++i) {
    if (next_ == log_partition_.size()) log_partition_.Resize(next_ + 1);
    queries_.Encode(next_, queries.row(i), {});
    log_partition_[next_] = log_partition[i];
    next_ = (next_ + 1) % limit_;
  }
}

void QueryRing::AccumulateMass(const Rows& keys, Vector<float> mass,
                               AttentionOps& ops) const {
  std::vector<float> rows(queries_.size() * layout_.head_dim);
  const Matrix<float> queries(rows.data(), queries_.size(), layout_.head_dim);
  for (int64_t i = 0; i < queries.rows; ++i) {
    queries_.DecodeKey(i, queries.row(i));
  }
  AttentionMassTask task;
  task.queries = queries;
  task.keys = keys;
  // With its log-partition a query gives the probability of a key without all
  // the other keys, which are not here.
  task.log_partition = log_partition_.span();
  task.mass = mass;
  if (queries.rows > 0) ops.AccumulateMass({&task, 1});
}

void QueryRing::Save(ByteWriter* out) const {
  out->Put(next_);
  queries_.Save(out);
  log_partition_.Save(out);
}

absl::Status QueryRing::Load(ByteReader* in) {
  RETURN_IF_ERROR(in->Get(&next_));
  RETURN_IF_ERROR(queries_.Load(in));
  RETURN_IF_ERROR(log_partition_.Load(in));
  const int64_t held = queries_.size();
  return CheckSaved(
      log_partition_.size() == held &&
          // A ring that is not full yet is written from the front on.
          (held < limit_ ? next_ == held : next_ >= 0 && next_ < limit_),
      "the ring of queries");
}

}  // namespace subgen
