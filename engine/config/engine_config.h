// This is every setting of the engine, as plain structs.
// engine/config/config_file.h fills them from YAML, environment and command
// line.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace subgen {

struct RanksConfig {
  int count = 1;         // ranks as threads, with comm = threads only
  int head_shards = 0;   // 0: as many as KV heads allow
  int token_shards = 0;  // 0: the rest
  int64_t token_block = 16;
  std::string merge = "all_gather";  // or all_reduce; comm/README.md
  // With GPUs, `own` gives one to each rank, and `shared` puts all ranks of a
  // host on its first one, for tests.
  std::string device = "own";
};

struct SubgenConfig {
  std::string mode = "k_center";  // or streaming
  // In k_center, distances between rows are of keys (as in the paper), values
  // or both: key, value, key_value. They are weighed by (1 - cos(key, mean
  // key)) to this power; it is 0 in the paper.
  std::string metric = "key_value";
  int distinctiveness_exponent = 3;
  // In k_center, this is the part of its cluster's size that a center's weight
  // has: log-weight = count_exponent * log(n). It is 0 in the paper's
  // experiments.
  double count_exponent = 0.25;
  // These are of streaming (Algorithm 1). Radius 0 lets the bound on clusters
  // choose it.
  double radius = 0.0;          // delta, in units of key distance
  int samples_per_cluster = 4;  // t
  double value_share = 0.5;     // of the budget's bytes for value samples (s)
};

// Keeps every token, whatever the budget; recent_tokens is exact_tokens.
struct KiviConfig {
  int bits = 4;                // or 2
  int64_t exact_tokens = 128;  // last tokens, not quantized
};

struct CacheConfig {
  std::string policy = "subgen";
  std::string row_format = "bf16";
  std::string rotate = "auto";  // rows by a Hadamard matrix: true, false
  std::string when = "stream";  // or once: compress after the prompt
  // These are the budget of a KV head over all its token shards, of which one
  // at most is given; where all are 0 it is the one of WithBudget
  // (engine/cache/budget.h).
  int64_t budget_tokens = 0;     // rows
  int64_t budget_bytes = 0;      // bytes
  double budget_fraction = 0.0;  // of the context, in (0, 1]
  // This says how budgets are shared over KV heads: equal, or spread: by how
  // much their keys vary (engine/model/head_shares.h). With auto it is spread
  // for subgen's k_center.
  std::string head_budgets = "auto";
  int64_t sink_tokens = 4;     // first tokens, always exact
  int64_t recent_tokens = 64;  // last tokens, always exact, not quantized
  // At least this part of the budget is for the last tokens, unless
  // row_format is of few bits.
  double recent_fraction = 0.33;
  uint64_t seed = 1;
  KiviConfig kivi;
  SubgenConfig subgen;
};

struct SamplingConfig {
  double temperature = 0.0;  // 0: greedy
  int top_k = 0;             // 0: all
  double top_p = 1.0;
  double min_p = 0.0;
  double repetition_penalty = 1.0;
  int repetition_window = 64;  // last tokens that the penalty looks at
  uint64_t seed = 1;
};

// Empty or 0 stands for what the model file says.
struct RopeConfig {
  std::string scaling;  // none, linear, llama3, yarn
  double factor = 0.0;
  double frequency_base = 0.0;
  int64_t original_context = 0;
};

// These are prefixes and suffixes that override the template of the model file.
struct ChatConfig {
  std::string template_name;  // auto (empty), chatml, llama2, llama3, ...
  std::string system;         // the system message; empty: the template's own
  std::string begin;          // before everything
  std::string system_prefix, system_suffix;
  std::string user_prefix, user_suffix;
  std::string assistant_prefix, assistant_suffix;
};

struct CpuConfig {
  std::string instruction_set = "auto";  // the best of the machine
};

struct EngineConfig {
  std::string model;            // path of a GGUF file
  std::string backend = "cpu";  // or cuda, reference
  std::string comm = "auto";    // none, threads, mpi, nccl
  int threads = 0;              // per rank; 0: cores of host over ranks
  int64_t context_tokens = 0;   // longest sequence; 0: what the request needs
  int64_t prefill_chunk = 256;  // tokens of a prompt in one step
  int max_sequences = 1;        // slots
  double step_deadline_seconds = 300.0;
  int max_tokens = 256;
  std::vector<std::string> stop;  // stop strings
  CpuConfig cpu;
  RanksConfig ranks;
  CacheConfig cache;
  SamplingConfig sampling;
  RopeConfig rope;
  ChatConfig chat;
};

}  // namespace subgen
