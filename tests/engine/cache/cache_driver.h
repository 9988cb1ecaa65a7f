// This streams made-up tokens through cache policies as the transformer does:
// attend, attend inside the chunk, merge over token shards, observe, append.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "comm/token_dealing.h"
#include "engine/cache/budget.h"
#include "engine/cache/cache_policy.h"
#include "engine/cache/step_work.h"
#include "gtest/gtest.h"
#include "kernels/memory/hadamard.h"
#include "tests/engine/cache/recording_backend.h"
#include "tests/engine/cache/token_stream.h"
#include "tests/support/ring_policy.h"

namespace subgen::testing {

inline CacheConfig Config(const std::string& policy, int64_t budget_tokens) {
  CacheConfig config;
  config.policy = policy;
  config.row_format = "f32";
  config.budget_tokens = budget_tokens;
  config.sink_tokens = 2;
  config.recent_tokens = 8;
  config.recent_fraction = 0.0;
  return config;
}

inline void AddYardsticks(int64_t budget_tokens,
                          std::vector<CacheConfig>* all) {
  for (const char* policy : {"key_diff", "snap_kv"}) {
    all->push_back(Config(policy, budget_tokens));
  }
  for (const int bits : {2, 4}) {
    all->push_back(Config("kivi", budget_tokens));
    all->back().kivi.bits = bits;
    all->back().kivi.exact_tokens = 16;
  }
}

// Returns the policies at test, each with a name, in the stream and once after
// the prompt.
inline std::vector<CacheConfig> AllPolicies(int64_t budget_tokens) {
  std::vector<CacheConfig> all;
  AddRing();
  for (const char* policy :
       {"exact", "window", "heavy_hitter", "uniform", "subgen", "ring"}) {
    all.push_back(Config(policy, budget_tokens));
  }
  CacheConfig streaming = Config("subgen", budget_tokens);
  streaming.subgen.mode = "streaming";
  streaming.subgen.samples_per_cluster = 2;
  all.push_back(streaming);
  AddYardsticks(budget_tokens, &all);
  const size_t streams = all.size();
  for (size_t i = 0; i < streams; ++i) {
    CacheConfig once = all[i];
    once.when = "once";
    if (once.subgen.mode == "k_center") once.subgen.count_exponent = 0.5;
    all.push_back(once);
  }
  return all;
}

inline std::string Name(const CacheConfig& config) {
  return absl::StrCat(config.policy, " ", config.when, " ", config.subgen.mode,
                      " ", config.kivi.bits);
}

// Tells whether what a policy keeps depends on attention.
inline bool Observes(const CacheConfig& config) {
  return config.policy == "heavy_hitter" || config.policy == "snap_kv";
}
// Is false where every token is kept, or is until the prompt ends.
inline bool IsBounded(const CacheConfig& config) {
  return config.policy != "exact" && config.policy != "kivi" &&
         config.when != "once";
}

inline CacheShape Shape(int64_t dim, int64_t context) {
  CacheShape shape;
  shape.layer = 3;
  shape.kv_heads = 2;
  shape.first_kv_head = 1;
  shape.head_dim = dim;
  shape.group = 2;
  shape.slots = 2;
  shape.token_block = 4;
  shape.context_tokens = context;
  return shape;
}

// This is one sequence's part of a step.
struct Part {
  int slot = 0;
  int count = 1;
  bool ends_prompt = false;
};

// This drives one layer of one head shard, with all its token shards.
class CacheDriver {
 public:
  // With work that layers share, their EndStep is up to the caller.
  CacheDriver(const CacheConfig& config, CacheShape shape, Stream stream,
              StepWork* shared = nullptr)
      : shape_(shape),
        stream_(std::move(stream)),
        transforms_(TransformsRows(config)),
        ends_steps_(shared == nullptr),
        next_(shape.slots) {
    for (int shard = 0; shard < shape.token_shards; ++shard) {
      shape.token_shard = shard;
      auto policy =
          MakeCachePolicy(config, shape, shared ? *shared : own_work_);
      EXPECT_TRUE(policy.ok()) << policy.status();
      policies_.push_back(std::move(*policy));
    }
  }

  // Returns the attention of each new token: [kv_heads * tokens * group] rows.
  std::vector<Floats> Step(const std::vector<Part>& parts);
  // Appends without attending: for policies that do not observe.
  void Feed(int slot, int count, bool ends_prompt = false);
  // Streams `total` tokens into slot 0, `chunk` at a time.
  void FeedAll(int64_t total, int chunk, bool ends_prompt = false) {
    while (next_[0] < total) {
      const int count =
          static_cast<int>(std::min<int64_t>(chunk, total - next_[0]));
      Feed(0, count, ends_prompt && next_[0] + count == total);
    }
  }

  // Returns the rows of a KV head that a token shard would attend to now.
  std::vector<SeenRow> Seen(int slot, int kv_head, int token_shard = 0);
  // Returns the first numbers of their values, ascending (TaggedStream).
  std::vector<int64_t> Kept(int slot, int kv_head, int token_shard = 0);

  CachePolicy& policy(int token_shard = 0) { return *policies_[token_shard]; }
  RecordingBackend& backend() { return backend_; }
  int64_t next(int slot) const { return next_[slot]; }
  void set_next(int slot, int64_t next) { next_[slot] = next; }

 private:
  struct Data {
    std::vector<Chunk> chunks;
    std::vector<int64_t> positions;
    std::vector<int> tokens;
    Floats queries, sink_queries, keys, values;
    LayerStep step;
  };
  void FillQueries(Data* data);
  // Rotates copies of the queries back by what each sequence has dropped.
  void FillSinkQueries(Data* data);
  Data Arrange(const std::vector<Part>& parts, int token_shard);
  SoftmaxPartials AttendShard(const Data& data, int token_shard,
                              PartialsBuffer* buffer);

  CacheShape shape_;
  Stream stream_;
  bool transforms_;  // what the stream gives went through a Hadamard transform
  RecordingBackend backend_;
  StepWork own_work_{backend_};
  bool ends_steps_;
  std::vector<std::unique_ptr<CachePolicy>> policies_;
  std::vector<int64_t> next_;
};

inline CacheDriver::Data CacheDriver::Arrange(const std::vector<Part>& parts,
                                              int token_shard) {
  Data data;
  const TokenDealing dealing = {shape_.token_shards, token_shard,
                                shape_.token_block};
  int first = 0;
  for (const Part& part : parts) {
    Chunk chunk;
    chunk.slot = part.slot;
    chunk.position = next_[part.slot];
    chunk.first = first;
    chunk.count = part.count;
    chunk.first_owned = static_cast<int>(data.positions.size());
    chunk.ends_prompt = part.ends_prompt;
    for (int i = 0; i < part.count; ++i) {
      if (!dealing.Owns(chunk.position + i)) continue;
      data.positions.push_back(chunk.position + i);
      data.tokens.push_back(i);
    }
    chunk.owned_count =
        static_cast<int>(data.positions.size()) - chunk.first_owned;
    data.chunks.push_back(chunk);
    first += part.count;
  }
  data.step.tokens = first;
  data.step.owned = data.positions.size();
  data.step.group = shape_.group;
  for (int head = 0; head < shape_.kv_heads; ++head) {
    for (const int64_t position : data.positions) {
      const Floats key = stream_.key(head, position);
      const Floats value = stream_.value(head, position);
      data.keys.insert(data.keys.end(), key.begin(), key.end());
      data.values.insert(data.values.end(), value.begin(), value.end());
    }
  }
  FillQueries(&data);
  return data;
}

inline void CacheDriver::FillQueries(Data* data) {
  for (int head = 0; head < shape_.kv_heads; ++head) {
    for (const Chunk& chunk : data->chunks) {
      for (int i = 0; i < chunk.count * shape_.group; ++i) {
        const Floats query =
            stream_.query(head * shape_.group + i % shape_.group,
                          chunk.position + i / shape_.group);
        data->queries.insert(data->queries.end(), query.begin(), query.end());
      }
    }
  }
  LayerStep& step = data->step;
  const int64_t dim = shape_.head_dim, rows = shape_.kv_heads * step.owned;
  step.queries = {data->queries.data(),
                  shape_.kv_heads * step.tokens * shape_.group, dim};
  FillSinkQueries(data);
  step.keys = {data->keys.data(), rows, dim};
  step.values = {data->values.data(), rows, dim};
  step.chunks = data->chunks;
  step.owned_positions = data->positions;
  step.owned_tokens = data->tokens;
}

inline void CacheDriver::FillSinkQueries(Data* data) {
  const int64_t tokens = data->step.tokens, dim = shape_.head_dim;
  std::vector<int64_t> back(data->step.queries.rows);
  for (size_t row = 0; row < back.size(); ++row) {
    const int64_t token = static_cast<int64_t>(row) / shape_.group % tokens;
    for (const Chunk& chunk : data->chunks) {
      if (token < chunk.first || token >= chunk.first + chunk.count) continue;
      back[row] = -policies_[0]->Dropped(chunk.slot);
    }
  }
  data->sink_queries = data->queries;
  const Matrix<float> rows(data->sink_queries.data(), back.size(), dim);
  const HadamardTransform transform(dim);
  Rotary rotary = shape_.rotary;
  rotary.magnitude = 1.0;  // the stream's queries have it
  if (transforms_) transform.Undo(rows);
  backend_.Rotate(rotary, back, dim, rows);
  if (transforms_) transform.Apply(rows);
  data->step.sink_queries = rows;
}

inline SoftmaxPartials CacheDriver::AttendShard(const Data& data,
                                                int token_shard,
                                                PartialsBuffer* buffer) {
  const LayerStep& step = data.step;
  *buffer = PartialsBuffer(step.queries.rows, shape_.head_dim);
  const SoftmaxPartials out = buffer->Resize(step.queries.rows);
  policies_[token_shard]->Attend(step, out);
  return out;
}

inline std::vector<Floats> CacheDriver::Step(const std::vector<Part>& parts) {
  std::vector<Data> data(shape_.token_shards);
  std::vector<PartialsBuffer> buffers(shape_.token_shards);
  SoftmaxPartials merged;
  for (int shard = 0; shard < shape_.token_shards; ++shard) {
    data[shard] = Arrange(parts, shard);
    const SoftmaxPartials out =
        AttendShard(data[shard], shard, &buffers[shard]);
    if (shard == 0) {
      merged = out;
    } else {
      MergePartials(out, merged);
    }
  }
  Floats log_partition(merged.rows());
  LogPartition(merged, log_partition);
  for (int shard = 0; shard < shape_.token_shards; ++shard) {
    policies_[shard]->Observe(data[shard].step, log_partition);
    policies_[shard]->Append(data[shard].step);
    if (ends_steps_) policies_[shard]->EndStep();
  }
  for (const Part& part : parts) next_[part.slot] += part.count;
  std::vector<Floats> attention;
  for (int64_t i = 0; i < merged.rows(); ++i) {
    Floats row;
    for (const float w : merged.weighted.row(i)) {
      row.push_back(w / merged.partition[i]);
    }
    attention.push_back(row);
  }
  return attention;
}

inline void CacheDriver::Feed(int slot, int count, bool ends_prompt) {
  for (int shard = 0; shard < shape_.token_shards; ++shard) {
    const Data data = Arrange({{slot, count, ends_prompt}}, shard);
    policies_[shard]->Append(data.step);
    if (ends_steps_) policies_[shard]->EndStep();
  }
  next_[slot] += count;
}

inline std::vector<SeenRow> CacheDriver::Seen(int slot, int kv_head,
                                              int token_shard) {
  Data data;
  data.chunks = {{slot, next_[slot], 0, 1, 0, 0, false}};
  data.step.tokens = 1;
  data.step.group = shape_.group;
  FillQueries(&data);
  PartialsBuffer buffer(data.step.queries.rows, shape_.head_dim);
  backend_.recording = true;
  backend_.seen.clear();
  const SoftmaxPartials out = buffer.Resize(data.step.queries.rows);
  policies_[token_shard]->Attend(data.step, out);
  backend_.recording = false;
  const void* partials =
      data.step.Partials(out, data.chunks[0], kv_head).partition.data();
  std::vector<SeenRow> rows;
  for (const SeenRow& row : backend_.seen) {
    if (row.partials == partials) rows.push_back(row);
  }
  return rows;
}

inline std::vector<int64_t> CacheDriver::Kept(int slot, int kv_head,
                                              int token_shard) {
  std::vector<int64_t> kept;
  for (const SeenRow& row : Seen(slot, kv_head, token_shard)) {
    if (!row.value.empty()) kept.push_back(std::llround(row.value[0]));
  }
  std::sort(kept.begin(), kept.end());
  return kept;
}

}  // namespace subgen::testing
