#include "launch/bench/synthetic_rows.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "comm/rank_grid.h"
#include "kernels/base/check.h"
#include "kernels/base/random.h"

namespace subgen {

// Draws a normal number as Box and Muller (1958) do.
SyntheticRows::SyntheticRows(uint64_t seed) : seed_(seed), table_(kTable) {
  const CounterRandom random(seed, 0, 0, 0);
  for (int64_t i = 0; i < kTable; i += 2) {
    const double u = 1.0 - random.Uniform(i), v = random.Uniform(i + 1);
    const double radius = std::sqrt(-2.0 * std::log(u));
    table_[i] = radius * std::cos(2.0 * std::numbers::pi * v);
    table_[i + 1] = radius * std::sin(2.0 * std::numbers::pi * v);
  }
}

void SyntheticRows::Fill(Kind kind, int layer, int head, int64_t position,
                         Vector<float> row) const {
  const auto words = Philox(
      {static_cast<uint32_t>(position), static_cast<uint32_t>(position >> 32),
       static_cast<uint32_t>(layer) << 16 | static_cast<uint32_t>(head),
       static_cast<uint32_t>(kind)},
      {static_cast<uint32_t>(seed_), static_cast<uint32_t>(seed_ >> 32)});
  const int64_t windows = kTable - static_cast<int64_t>(row.size());
  SUBGEN_CHECK(windows > 0);
  const float* a = table_.data() + words[0] % windows;
  const float* b = table_.data() + words[1] % windows;
  constexpr float kScale = static_cast<float>(1.0 / std::numbers::sqrt2);
  for (size_t i = 0; i < row.size(); ++i) row[i] = kScale * (a[i] + b[i]);
}

void SyntheticStream::Run(const CacheShape& shape, int64_t tokens,
                          CachePolicy* policy) {
  for (int64_t first = 0; first < tokens; first += chunk_) {
    const int64_t count = std::min(chunk_, tokens - first);
    Arrange(shape, first, count);
    chunks_[0].ends_prompt = first + count == tokens;
    policy->Observe(step_, log_partition_);
    policy->Append(step_);
    policy->EndStep();
  }
}

void SyntheticStream::Arrange(const CacheShape& shape, int64_t first,
                              int64_t count) {
  const GridShape dealing{1, shape.token_shards, shape.token_block};
  positions_.clear();
  tokens_.clear();
  for (int64_t i = 0; i < count; ++i) {
    if (dealing.Owner(first + i) != shape.token_shard) continue;
    positions_.push_back(first + i);
    tokens_.push_back(static_cast<int>(i));
  }
  const int owned = static_cast<int>(positions_.size());
  const int64_t dim = shape.head_dim, heads = shape.kv_heads;
  keys_.resize(heads * owned * dim);
  values_.resize(keys_.size());
  queries_.assign(heads * count * shape.group * dim,
                  1.0f / std::sqrt(static_cast<float>(dim)));
  // E exp(q . k) = exp(1/2) for |q| = 1.
  log_partition_.assign(heads * count * shape.group,
                        0.5f + std::log(static_cast<float>(first + count)));
  step_.keys = {keys_.data(), heads * owned, dim};
  step_.values = {values_.data(), heads * owned, dim};
  for (int64_t row = 0; row < heads * owned; ++row) {
    const int head = shape.first_kv_head + static_cast<int>(row / owned);
    const int64_t position = positions_[row % owned];
    rows_.Fill(SyntheticRows::Kind::kKey, shape.layer, head, position,
               {&keys_[row * dim], static_cast<size_t>(dim)});
    rows_.Fill(SyntheticRows::Kind::kValue, shape.layer, head, position,
               {&values_[row * dim], static_cast<size_t>(dim)});
  }
  chunks_ = {{0, first, 0, static_cast<int>(count), 0, owned, false}};
  step_.chunks = chunks_;
  step_.tokens = count;
  step_.owned = owned;
  step_.group = shape.group;
  step_.queries = {queries_.data(), heads * count * shape.group, dim};
  step_.owned_positions = positions_;
  step_.owned_tokens = tokens_;
}

}  // namespace subgen
