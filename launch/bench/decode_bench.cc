#include "launch/bench/decode_bench.h"

#include <algorithm>
#include <chrono>

#include "absl/strings/str_cat.h"
#include "comm/agreement.h"
#include "kernels/base/quoted.h"
#include "kernels/base/random.h"
#include "kernels/base/status_macros.h"
#include "launch/bench/filled_cache.h"
#include "launch/bench/machine.h"

namespace subgen {
namespace {

constexpr uint64_t kSeed = 1;

struct Test {
  bool generates = false;
  int64_t tokens = 0;
};

std::vector<Test> TestsOf(const DecodeBenchOptions& options) {
  std::vector<Test> tests;
  for (const int64_t tokens : options.prompts) {
    if (tokens > 0) tests.push_back({false, tokens});
  }
  for (const int64_t tokens : options.generations) {
    if (tokens > 0) tests.push_back({true, tokens});
  }
  return tests;
}

// All tests of one policy at one depth, on one engine.
class DepthBench {
 public:
  DepthBench(const DecodeBenchOptions& options, const BenchPolicy& policy,
             const Model& model, int64_t depth);

  // Rows on rank 0, none on the others.
  absl::StatusOr<std::vector<TestResult>> Run(Communicator& world);

 private:
  std::vector<TestResult> Lead(Engine& engine);
  void FillByModel(Leader& leader);
  TestResult Measure(const Test& test, Engine& engine);
  // Processes `tokens` tokens after the filled context; seconds.
  struct Times {
    double all = 0.0, longest_step = 0.0;
  };
  Times Repeat(const Test& test, int64_t tokens, Leader& leader);
  // Tokens [first, end) of the sequence, `step` at a time.
  Times Forward(int64_t first, int64_t end, int64_t step, Leader& leader) const;

  const DecodeBenchOptions& options_;
  const BenchPolicy& policy_;
  const Model& model_;
  const int64_t depth_;
  const std::vector<Test> tests_;
  int64_t end_ = 0;  // of the longest test
  bool synthetic_ = false;
  bool parts_apart_ = false;  // in one more repetition of each test
  int64_t laps_ = 0;          // that were begun, on rank 0
  std::vector<std::vector<int64_t>> lap_of_row_;
};

DepthBench::DepthBench(const DecodeBenchOptions& options,
                       const BenchPolicy& policy, const Model& model,
                       int64_t depth)
    : options_(options),
      policy_(policy),
      model_(model),
      depth_(depth),
      tests_(TestsOf(options)) {
  for (const Test& test : tests_) end_ = std::max(end_, depth + test.tokens);
  synthetic_ =
      depth > 0 &&
      (options.fill == ContextFill::kSynthetic ||
       (options.fill == ContextFill::kAuto && end_ > model.config.context));
}

absl::StatusOr<std::vector<TestResult>> DepthBench::Run(Communicator& world) {
  ForgetHighestMemory();
  // Of each test: warm-up, repetitions, perhaps one of parts.
  StepClock clock([this](int64_t lap) {
    const int64_t before = 1 + options_.repetitions;
    return !parts_apart_ || lap % (before + 1) == before;
  });
  FilledCache cache(depth_, clock);
  EngineOptions engine_options;
  engine_options.context_tokens = end_;
  engine_options.threads = options_.threads;
  engine_options.device = options_.device;
  engine_options.make_policy = cache.Factory();
  ASSIGN_OR_RETURN(auto engine,
                   Engine::Make(policy_.config, model_, engine_options,
                                clock.Time(world.Split(0))));
  parts_apart_ = engine->backend().staging() != nullptr;
  if (synthetic_) {
    cache.FillSynthetically(policy_.config.prefill_chunk, kSeed,
                            [&](int64_t done, int64_t total) {
                              if (engine->leads())
                                options_.on_fill(done, total);
                            });
  }
  std::vector<TestResult> rows;
  if (engine->leads()) {
    rows = Lead(*engine);
    engine->leader().Stop();
  } else {
    engine->Follow();
  }
  const std::vector<LapTimes> laps = clock.MeanLaps();
  for (size_t i = 0; i < rows.size(); ++i) {
    for (const int64_t lap : lap_of_row_[i]) {
      rows[i].laps.push_back(laps.at(lap));
    }
  }
  const ResidentMemory mine = MeasureResidentMemory();
  for (const ResidentMemory& rank : GatherFromRanks(world, mine)) {
    for (TestResult& row : rows) {
      row.resident_bytes = std::max(row.resident_bytes, rank.now);
      row.highest_resident_bytes =
          std::max(row.highest_resident_bytes, rank.highest);
    }
  }
  return rows;
}

std::vector<TestResult> DepthBench::Lead(Engine& engine) {
  if (!synthetic_) {
    Forward(0, depth_, policy_.config.prefill_chunk, engine.leader());
  }
  std::vector<TestResult> rows;
  for (const Test& test : tests_) rows.push_back(Measure(test, engine));
  return rows;
}

TestResult DepthBench::Measure(const Test& test, Engine& engine) {
  Leader& leader = engine.leader();
  constexpr int64_t kWarmUp = 4;  // steps
  Repeat(
      test,
      std::min(test.tokens,
               kWarmUp * (test.generates ? 1 : policy_.config.prefill_chunk)),
      leader);
  TestResult row;
  row.policy = policy_.label;
  row.generates = test.generates;
  row.tokens = test.tokens;
  row.depth = depth_;
  row.synthetic = synthetic_;
  lap_of_row_.emplace_back();
  for (int i = 0; i < options_.repetitions; ++i) {
    options_.before_repetition(row.policy, row.Test());
    lap_of_row_.back().push_back(laps_);
    const Times times = Repeat(test, test.tokens, leader);
    row.seconds.push_back(times.all);
    row.longest_step_seconds =
        std::max(row.longest_step_seconds, times.longest_step);
    options_.after_repetition(row.seconds.back());
  }
  row.lap_seconds = row.seconds;
  if (parts_apart_) {
    lap_of_row_.back() = {laps_};
    row.lap_seconds = {Repeat(test, test.tokens, leader).all};
  }
  const RankTotals totals = leader.Totals(0);
  row.weight_bytes = WeightBytesRead(model_, totals.weight_bytes);
  row.cache_bytes_read =
      CacheBytesRead(policy_.config.cache, model_.config.head_dim, totals);
  row.cache_bytes = totals.cache_bytes;
  row.note = engine.note();
  return row;
}

DepthBench::Times DepthBench::Repeat(const Test& test, int64_t tokens,
                                     Leader& leader) {
  leader.Forget(0);
  leader.Totals(0);  // after it all ranks have done so
  ++laps_;
  return Forward(depth_, depth_ + tokens,
                 test.generates ? 1 : policy_.config.prefill_chunk, leader);
}

DepthBench::Times DepthBench::Forward(int64_t first, int64_t end, int64_t step,
                                      Leader& leader) const {
  const CounterRandom random(kSeed, 0, 0, 0);
  const double vocabulary = static_cast<double>(model_.config.vocabulary);
  Times times;
  for (int64_t position = first; position < end; position += step) {
    BatchRun run;
    run.position = position;
    const int64_t stop = std::min(end, position + step);
    for (int64_t i = position; i < stop; ++i) {
      run.tokens.push_back(static_cast<int>(
          random.Uniform(static_cast<uint32_t>(i)) * vocabulary));
    }
    run.ends_prompt = step > 1 && stop == end;
    const auto start = std::chrono::steady_clock::now();
    leader.ForwardTop({run}, {1, {0.0f}});
    const std::chrono::duration<double> seconds =
        std::chrono::steady_clock::now() - start;
    times.all += seconds.count();
    times.longest_step = std::max(times.longest_step, seconds.count());
  }
  return times;
}

}  // namespace

absl::StatusOr<ContextFill> ParseContextFill(const std::string& name) {
  if (name == "auto") return ContextFill::kAuto;
  if (name == "model") return ContextFill::kModel;
  if (name == "synthetic") return ContextFill::kSynthetic;
  return absl::InvalidArgumentError(absl::StrCat(
      "--fill ", Quoted(name), ": legal are auto, model and synthetic"));
}

std::string TestResult::Test() const {
  std::string test = absl::StrCat(generates ? "tg" : "pp", tokens);
  if (depth > 0) absl::StrAppend(&test, " @ d", depth);
  if (synthetic) test += " synthetic";
  return test;
}

int64_t CacheBytesRead(const CacheConfig& cache, int64_t head_dim,
                       const RankTotals& totals) {
  const auto format = ParseRowFormat(cache.row_format);
  if (!format.ok() || IsQuantized(*format) || cache.policy == "kivi") {
    return totals.cache_bytes;
  }
  return totals.cache_rows * 2 * RowBytes(*format, head_dim);
}

int64_t WeightBytesRead(const Model& model, int64_t sharded) {
  const GgufTensor* table = model.file->FindTensor("token_embd.weight");
  if (table == nullptr) return sharded;
  const int64_t row = model.config.embedding / BlockSize(table->format) *
                      BlockBytes(table->format);
  return sharded + row;
}

absl::Status RunDecodeBench(
    const DecodeBenchOptions& options, const Model& model, Communicator& world,
    const std::function<void(const TestResult&)>& on_row) {
  for (const BenchPolicy& policy : options.policies) {
    for (const int64_t depth : options.depths) {
      const auto rows = DepthBench(options, policy, model, depth).Run(world);
      if (!rows.ok()) {
        return absl::Status(rows.status().code(),
                            absl::StrCat("policy ", policy.label, ": ",
                                         rows.status().message()));
      }
      for (const TestResult& row : *rows) on_row(row);
    }
  }
  return absl::OkStatus();
}

}  // namespace subgen
