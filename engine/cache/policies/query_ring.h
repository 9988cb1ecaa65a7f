// The ring holds the queries of the last tokens of a sequence, for one KV head:
// SnapKV's observation window. They are stored in f16, with the log-partition
// of each.
#pragma once

#include "engine/cache/rows/row_store.h"
#include "kernels/attention_ops.h"

namespace subgen {

class QueryRing {
 public:
  // Returns the tokens that a ring holds: 32, or fewer where the window of
  // recent tokens is shorter, so that every row behind the window is older than
  // every query.
  static int64_t Tokens(int64_t recent_tokens);
  static int64_t Bytes(int64_t tokens, int group, int64_t head_dim);

  QueryRing(int64_t tokens, int group, int64_t head_dim);

  // Takes in queries and log-partitions of the next tokens: [tokens * group,
  // head_dim] and [tokens * group].
  void Push(Matrix<const float> queries, Vector<const float> log_partition);
  // Adds the probability that the queries give to each key, [keys.count].
  void AccumulateMass(const Rows& keys, Vector<float> mass,
                      AttentionOps& ops) const;

  ByteUse bytes() const { return queries_.bytes() + log_partition_.bytes(); }
  void Save(ByteWriter* out) const;
  absl::Status Load(ByteReader* in);

 private:
  int64_t limit_;     // tokens * group
  int64_t next_ = 0;  // row that the next query takes
  RowLayout layout_;
  RowStore queries_;
  Column<float> log_partition_;
};

}  // namespace subgen
