// The benchmark times prompts and generated tokens at depths of context, in
// llama-bench's habits: tokens are random, nothing is tokenized, and the
// largest logits are read. Many sequences at once are timed as
// llama-batched-bench does.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/decode/engine.h"
#include "launch/bench/bench_steps.h"
#include "launch/bench/step_clock.h"

namespace subgen {

// This fills the context up to its depth.
enum class ContextFill {
  kAuto,       // the model, where a test ends within the context that it knows
  kModel,      // random tokens through the model
  kSynthetic,  // random keys and values through the policies (filled_cache.h)
};
absl::StatusOr<ContextFill> ParseContextFill(const std::string& name);

// This is a cache policy as it is measured.
struct BenchPolicy {
  std::string label;
  EngineConfig config;
};

struct DecodeBenchOptions {
  std::vector<BenchPolicy> policies;
  std::vector<int64_t> prompts;      // tokens of a prompt test; 0: none
  std::vector<int64_t> generations;  // the same of a generation test
  std::vector<int64_t> depths;       // tokens before the test
  // So many sequences run at once, each number at most prefill_chunk, and every
  // prompt is followed by every generation. If this is empty there is one
  // sequence, and prompts and generations are tests of their own.
  std::vector<int64_t> batches;
  int repetitions = 3;
  ContextFill fill = ContextFill::kAuto;
  int threads = 1;  // of this rank
  int device = 0;   // of this rank, for cuda

  // Rank 0 calls these, and neither may be empty. on_fill says how many layers
  // of a synthetic context are full, none at first. before_repetition comes
  // before each repetition that is measured, which starts when it returns.
  std::function<void(int64_t done, int64_t total)> on_fill;
  std::function<void(const std::string& policy, const std::string& test)>
      before_repetition;
  std::function<void(double seconds)> after_repetition;
};

// This is one test of one policy at one depth.
struct TestResult {
  std::string policy;
  BenchTest test;
  int64_t depth = 0;
  bool synthetic = false;              // what the context is filled with
  std::vector<double> seconds;         // of each repetition
  std::vector<double> prompt_seconds;  // of these, until all prompts are read
  double longest_step_seconds = 0.0;   // of all repetitions
  // These are the parts of the repetitions that were timed in parts, means over
  // ranks: of all repetitions, or of one more if a device has a queue, which
  // parts disturb.
  std::vector<LapTimes> laps;
  std::vector<double> lap_seconds;  // of these
  // All ranks together read so many bytes in a step that generates, and hold so
  // many at the end of the test.
  int64_t weight_bytes = 0, cache_bytes_read = 0, cache_bytes = 0;
  // This is the resident memory of one process, the largest of all ranks, with
  // everything that it holds.
  int64_t resident_bytes = 0, highest_resident_bytes = 0;
  std::string note;  // Engine::note of rank 0

  // Names the test: "tg64 @ d4096 synthetic", "b8 pp512+tg64".
  std::string Test() const;
};

// Returns the bytes of `rows` rows of keys and values, as one step reads them.
// If a policy holds rows of several formats, this is what it has allocated.
int64_t CacheBytesRead(const CacheConfig& cache, int64_t head_dim,
                       const RankTotals& totals);
// Returns the bytes of the matrices that a step with one token reads: `sharded`
// (all of layers and unembedding) and a row of the embedding.
int64_t WeightBytesRead(const Model& model, int64_t sharded);

// Measures every test, policy by policy and depth by depth. Rank 0 calls
// on_row. The same status on all ranks. Collective.
absl::Status RunDecodeBench(
    const DecodeBenchOptions& options, const Model& model, Communicator& world,
    const std::function<void(const TestResult&)>& on_row);

}  // namespace subgen
