#include "launch/bench/bench_steps.h"

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "kernels/base/check.h"
#include "kernels/base/random.h"

namespace subgen {

BatchRun BenchSteps::Run(int sequence, int64_t first, int64_t end) const {
  constexpr uint64_t kSeed = 1;
  const CounterRandom random(kSeed, sequence, 0, 0);
  BatchRun run;
  run.slot = sequence;
  run.position = first;
  for (int64_t i = first; i < end; ++i) {
    run.tokens.push_back(static_cast<int>(
        random.Uniform(static_cast<uint32_t>(i)) * vocabulary_));
  }
  return run;
}

void BenchSteps::Step(const Batch& batch, StepTimes* times) const {
  const TopRequest largest = {1, std::vector<float>(batch.size(), 0.0f)};
  const auto start = std::chrono::steady_clock::now();
  leader_.ForwardTop(batch, largest);
  const std::chrono::duration<double> spent =
      std::chrono::steady_clock::now() - start;
  times->seconds += spent.count();
  times->longest_step = std::max(times->longest_step, spent.count());
}

StepTimes BenchSteps::ReadPrompts(int count, int64_t first, int64_t end) const {
  StepTimes times;
  Batch batch;
  int64_t room = step_tokens_;
  for (int sequence = 0; sequence < count; ++sequence) {
    for (int64_t position = first; position < end;) {
      const int64_t stop = std::min(end, position + room);
      batch.push_back(Run(sequence, position, stop));
      batch.back().ends_prompt = stop == end;
      room -= stop - position;
      position = stop;
      if (room > 0) continue;
      Step(std::exchange(batch, {}), &times);
      room = step_tokens_;
    }
  }
  if (!batch.empty()) Step(batch, &times);
  return times;
}

StepTimes BenchSteps::Generate(int count, int64_t first, int64_t end) const {
  SUBGEN_CHECK(count <= step_tokens_, count);
  StepTimes times;
  for (int64_t position = first; position < end; ++position) {
    Batch batch;
    for (int sequence = 0; sequence < count; ++sequence) {
      batch.push_back(Run(sequence, position, position + 1));
    }
    Step(batch, &times);
  }
  return times;
}

}  // namespace subgen
