// Keys and values come out of nothing, for contexts that no model was trained
// for.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/cache/cache_policy.h"

namespace subgen {

// These are standard normals by counter: the same row for the same place,
// whatever was asked for before and on any rank. They are cheap: a row is the
// sum of two windows of a table, scaled to variance 1.
class SyntheticRows {
 public:
  explicit SyntheticRows(uint64_t seed);

  enum class Kind : uint32_t { kKey, kValue };
  void Fill(Kind kind, int layer, int head, int64_t position,
            Vector<float> row) const;

 private:
  static constexpr int64_t kTable = int64_t{1} << 18;
  uint64_t seed_;
  std::vector<float> table_;
};

// Streams positions [0, tokens) through Observe and Append of a policy, `chunk`
// at a time, as a prompt does, but without attention: log-partitions are what
// queries of norm 1 would find in such keys. Only positions that the policy's
// token shard owns are appended.
class SyntheticStream {
 public:
  SyntheticStream(const SyntheticRows& rows, int64_t chunk)
      : rows_(rows), chunk_(chunk) {}

  void Run(const CacheShape& shape, int64_t tokens, CachePolicy* policy);

 private:
  // Fills step_ and what it views with positions [first, first + count).
  void Arrange(const CacheShape& shape, int64_t first, int64_t count);

  const SyntheticRows& rows_;
  const int64_t chunk_;
  LayerStep step_;
  std::vector<Chunk> chunks_;
  std::vector<int64_t> positions_;
  std::vector<int> tokens_;
  std::vector<float> queries_, keys_, values_, log_partition_;
};

}  // namespace subgen
