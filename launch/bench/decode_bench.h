// Times prompts and generated tokens at depths of context, in llama-bench's
// habits: random tokens, no tokenization, of the logits the largest. Many
// sequences at once are timed as llama-batched-bench does.
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

// What fills the context up to its depth.
enum class ContextFill {
  kAuto,       // the model, where a test ends within the context that it knows
  kModel,      // random tokens through the model
  kSynthetic,  // random keys and values through the policies (filled_cache.h)
};
absl::StatusOr<ContextFill> ParseContextFill(const std::string& name);

// A cache policy as it is measured.
struct BenchPolicy {
  std::string label;
  EngineConfig config;
};

struct DecodeBenchOptions {
  std::vector<BenchPolicy> policies;
  std::vector<int64_t> prompts;      // tokens of a prompt test; 0: none
  std::vector<int64_t> generations;  // the same of a generation test
  std::vector<int64_t> depths;       // tokens before the test
  // Sequences at once, each at most prefill_chunk; every prompt is then
  // followed by every generation. Empty: one sequence, and tests of their own.
  std::vector<int64_t> batches;
  int repetitions = 3;
  ContextFill fill = ContextFill::kAuto;
  int threads = 1;  // of this rank
  int device = 0;   // of this rank, for cuda

  // On rank 0; none may be empty. So many layers of a synthetic context are
  // full, none at first; around each repetition that is measured, which starts
  // when the first returns.
  std::function<void(int64_t done, int64_t total)> on_fill;
  std::function<void(const std::string& policy, const std::string& test)>
      before_repetition;
  std::function<void(double seconds)> after_repetition;
};

// One test of one policy at one depth.
struct TestResult {
  std::string policy;
  BenchTest test;
  int64_t depth = 0;
  bool synthetic = false;              // what the context is filled with
  std::vector<double> seconds;         // of each repetition
  std::vector<double> prompt_seconds;  // of these, until all prompts are read
  double longest_step_seconds = 0.0;   // of all repetitions
  // Of the repetitions that were timed in parts, means over ranks: of all, or
  // of one more where a device has a queue, which parts disturb.
  std::vector<LapTimes> laps;
  std::vector<double> lap_seconds;  // of these
  // Of all ranks: read by a step that generates, held at the end of the test.
  int64_t weight_bytes = 0, cache_bytes_read = 0, cache_bytes = 0;
  // Of one process, the largest of all: of everything that it holds.
  int64_t resident_bytes = 0, highest_resident_bytes = 0;
  std::string note;  // Engine::note of rank 0

  // "tg64 @ d4096 synthetic", "b8 pp512+tg64"
  std::string Test() const;
};

// Bytes of `rows` rows of keys and values, as one step reads them. Where a
// policy holds rows of several formats this is what it has allocated.
int64_t CacheBytesRead(const CacheConfig& cache, int64_t head_dim,
                       const RankTotals& totals);
// Bytes of the matrices that a step with one token reads: `sharded` (all of
// layers and unembedding) and a row of the embedding.
int64_t WeightBytesRead(const Model& model, int64_t sharded);

// Measures every test, policy by policy and depth by depth. on_row is called on
// rank 0. The same status on all ranks. Collective.
absl::Status RunDecodeBench(
    const DecodeBenchOptions& options, const Model& model, Communicator& world,
    const std::function<void(const TestResult&)>& on_row);

}  // namespace subgen
