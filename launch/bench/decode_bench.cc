#include "launch/bench/decode_bench.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "comm/agreement.h"
#include "engine/cache/budget.h"
#include "kernels/base/quoted.h"
#include "kernels/base/status_macros.h"
#include "launch/bench/filled_cache.h"
#include "launch/bench/machine.h"

namespace subgen {
namespace {

constexpr uint64_t kSeed = 1;

void AddTest(const BenchTest& test, std::vector<BenchTest>* tests) {
  if (test.tokens() > 0) tests->push_back(test);
}

std::vector<BenchTest> TestsOf(const DecodeBenchOptions& options) {
  std::vector<BenchTest> tests;
  for (const int64_t prompt : options.prompts) {
    if (options.batches.empty()) AddTest({prompt, 0}, &tests);
    for (const int64_t generated : options.generations) {
      for (const int64_t sequences : options.batches) {
        AddTest({prompt, generated, static_cast<int>(sequences)}, &tests);
      }
    }
  }
  if (!options.batches.empty()) return tests;
  for (const int64_t generated : options.generations) {
    AddTest({0, generated}, &tests);
  }
  return tests;
}

// Returns the configuration with a slot for each sequence of the largest test.
EngineConfig WithSlots(EngineConfig config,
                       const std::vector<BenchTest>& tests) {
  config.max_sequences = 1;
  for (const BenchTest& test : tests) {
    config.max_sequences = std::max(config.max_sequences, test.sequences);
  }
  return config;
}

// This runs all tests of one policy at one depth, on one engine.
class DepthBench {
 public:
  DepthBench(const DecodeBenchOptions& options, const BenchPolicy& policy,
             const Model& model, int64_t depth);

  // Returns rows on rank 0, and none on the others.
  absl::StatusOr<std::vector<TestResult>> Run(Communicator& world);

 private:
  std::vector<TestResult> Lead(Engine& engine);
  TestResult Measure(const BenchTest& test, const BenchSteps& steps,
                     Engine& engine);
  // These are the times after the context was filled: those of the prompts and
  // of the generation.
  struct Times {
    StepTimes prompt, generation;
    double seconds() const { return prompt.seconds + generation.seconds; }
  };
  Times Repeat(const BenchTest& test, const BenchSteps& steps, Leader& leader);
  // Adds what the caches of the test's sequences hold.
  void AddBytes(Leader& leader, TestResult* row) const;

  const DecodeBenchOptions& options_;
  const std::string label_;  // of the policy
  const Model& model_;
  const int64_t depth_;
  const std::vector<BenchTest> tests_;
  const EngineConfig config_;
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
      label_(policy.label),
      model_(model),
      depth_(depth),
      tests_(TestsOf(options)),
      config_(WithSlots(policy.config, tests_)) {
  for (const BenchTest& test : tests_) {
    end_ = std::max(end_, depth + test.tokens());
  }
  synthetic_ = depth > 0 && (options.fill == ContextFill::kSynthetic ||
                             (options.fill == ContextFill::kAuto &&
                              end_ > model.file.config.context));
}

absl::StatusOr<std::vector<TestResult>> DepthBench::Run(Communicator& world) {
  ForgetHighestMemory();
  // The laps of each test are a warm-up, its repetitions, and perhaps one of
  // parts.
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
  ASSIGN_OR_RETURN(auto engine, Engine::Make(config_, model_, engine_options,
                                             clock.Time(world.Split(0))));
  parts_apart_ = engine->backend().mirror() != nullptr;
  if (synthetic_) {
    cache.FillSynthetically(config_.prefill_chunk, kSeed,
                            [&](int64_t done, int64_t total) {
                              if (engine->leads())
                                options_.on_fill(done, total);
                            });
  }
  std::vector<TestResult> rows;
  RETURN_IF_ERROR(engine->Run([&](Engine& leading) {
    rows = Lead(leading);
    return absl::OkStatus();
  }));
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
  const BenchSteps steps(engine.leader(), model_.file.config.vocabulary,
                         config_.prefill_chunk);
  if (!synthetic_) steps.ReadPrompts(1, 0, depth_);
  std::vector<TestResult> rows;
  for (const BenchTest& test : tests_) {
    rows.push_back(Measure(test, steps, engine));
  }
  return rows;
}

TestResult DepthBench::Measure(const BenchTest& test, const BenchSteps& steps,
                               Engine& engine) {
  Leader& leader = engine.leader();
  constexpr int64_t kWarmUp = 4;  // steps
  const int64_t warm_tokens = kWarmUp * config_.prefill_chunk / test.sequences;
  Repeat({std::min(test.prompt, warm_tokens), std::min(test.generated, kWarmUp),
          test.sequences},
         steps, leader);
  TestResult row;
  row.policy = label_;
  row.test = test;
  row.depth = depth_;
  row.synthetic = synthetic_;
  lap_of_row_.emplace_back();
  for (int i = 0; i < options_.repetitions; ++i) {
    options_.before_repetition(row.policy, row.Test());
    lap_of_row_.back().push_back(laps_);
    const Times times = Repeat(test, steps, leader);
    row.seconds.push_back(times.seconds());
    row.prompt_seconds.push_back(times.prompt.seconds);
    row.longest_step_seconds =
        std::max({row.longest_step_seconds, times.prompt.longest_step,
                  times.generation.longest_step});
    options_.after_repetition(row.seconds.back());
  }
  row.lap_seconds = row.seconds;
  if (parts_apart_) {
    lap_of_row_.back() = {laps_};
    row.lap_seconds = {Repeat(test, steps, leader).seconds()};
  }
  AddBytes(leader, &row);
  row.note = engine.note();
  return row;
}

void DepthBench::AddBytes(Leader& leader, TestResult* row) const {
  for (int slot = 0; slot < row->test.sequences; ++slot) {
    const RankTotals totals = leader.Totals(slot);
    row->weight_bytes = WeightBytesRead(model_, totals.weight_bytes);
    row->cache_bytes_read +=
        CacheBytesRead(config_.cache, model_.file.config.head_dim, totals);
    row->cache_bytes += totals.cache_bytes;
  }
}

DepthBench::Times DepthBench::Repeat(const BenchTest& test,
                                     const BenchSteps& steps, Leader& leader) {
  for (int slot = 0; slot < test.sequences; ++slot) leader.Forget(slot);
  leader.Totals(0);  // after it all ranks have done so
  ++laps_;
  const int64_t prompt_end = depth_ + test.prompt;
  Times times;
  times.prompt = steps.ReadPrompts(test.sequences, depth_, prompt_end);
  times.generation =
      steps.Generate(test.sequences, prompt_end, prompt_end + test.generated);
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
  std::vector<std::string> parts;
  if (test.prompt > 0) parts.push_back(absl::StrCat("pp", test.prompt));
  if (test.generated > 0) parts.push_back(absl::StrCat("tg", test.generated));
  std::string name = absl::StrJoin(parts, "+");
  if (test.sequences > 1) name = absl::StrCat("b", test.sequences, " ", name);
  if (depth > 0) absl::StrAppend(&name, " @ d", depth);
  if (synthetic) name += " synthetic";
  return name;
}

int64_t CacheBytesRead(const CacheConfig& cache, int64_t head_dim,
                       const RankTotals& totals) {
  const auto format = ParseRowFormat(cache.row_format);
  if (!format.ok() || KeepsFewBits(cache)) {
    return totals.cache_bytes;
  }
  return totals.cache_rows * 2 * RowBytes(*format, head_dim);
}

int64_t WeightBytesRead(const Model& model, int64_t sharded) {
  const BlockFormat format = model.file.embedding->format;
  const int64_t row =
      model.file.config.embedding / BlockSize(format) * BlockBytes(format);
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
