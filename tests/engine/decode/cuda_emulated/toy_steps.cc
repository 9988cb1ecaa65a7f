#include "tests/engine/decode/cuda_emulated/toy_steps.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/base/status_macros.h"
#include "tests/support/toy_model.h"

namespace subgen {
namespace {

void TakeSteps(const ToyRun& run, Engine& engine, ToySteps* steps) {
  for (int64_t first = 0; first < run.tokens;) {
    const int64_t count =
        first < run.prompt ? std::min<int64_t>(16, run.prompt - first) : 1;
    BatchRun chunk{0, first, {}, first + count == run.prompt, false};
    for (int64_t i = 0; i < count; ++i) {
      chunk.tokens.push_back(static_cast<int>((first + i) * 37 % 251));
    }
    if (run.top == 0) {
      const Matrix<const float> logits = engine.leader().Forward({chunk});
      steps->logits.emplace_back(logits.row(0).begin(), logits.row(0).end());
    } else {
      const auto tops = engine.leader().ForwardTop({chunk}, {run.top, {1.0f}});
      steps->tops.push_back(tops[0].best);
    }
    steps->counts.push_back(emulation::CountsSoFar());
    first += count;
  }
  steps->note = engine.note();
}

absl::Status RunRank(const ToyRun& run, const EngineConfig& config,
                     std::unique_ptr<Communicator> world, ToySteps* steps) {
  ASSIGN_OR_RETURN(const Model model, LoadModel(config));
  EngineOptions options;
  options.context_tokens = 256;
  options.device = run.make_world ? world->rank() : 0;
  if (run.make_world) {
    ASSIGN_OR_RETURN(world, run.make_world(std::move(world)));
  }
  ASSIGN_OR_RETURN(auto engine,
                   Engine::Make(config, model, options, std::move(world)));
  return engine->Run([&](Engine& leading) {
    TakeSteps(run, leading, steps);
    return absl::OkStatus();
  });
}

}  // namespace

ToySteps RunToySteps(const ToyRun& run) {
  EngineConfig config;
  ToyModel toy;
  toy.head_dim = run.head_dim;
  config.model = WriteToyModel(toy, "toy_steps.gguf");
  config.backend = run.backend;
  config.prefill_chunk = 16;
  config.cache = run.cache;
  config.ranks.merge = run.merge;
  ToySteps steps;
  const absl::Status status =
      RunThreadRanks(run.ranks, [&](std::unique_ptr<Communicator> world) {
        return RunRank(run, config, std::move(world), &steps);
      });
  EXPECT_TRUE(status.ok()) << status;
  return steps;
}

MeanCounts MeanOf(const ToySteps& steps, int first, int end) {
  const emulation::Counts &a = steps.counts.at(first - 1),
                          &b = steps.counts.at(end - 1);
  const auto mean = [&](int64_t emulation::Counts::*count) {
    return static_cast<double>(b.*count - a.*count) / (end - first);
  };
  using emulation::Counts;
  return {mean(&Counts::graph_launches), mean(&Counts::put),
          mean(&Counts::waits),          mean(&Counts::copies_to_device),
          mean(&Counts::allocations),    mean(&Counts::kernels),
          mean(&Counts::collectives),    mean(&Counts::bytes_to_host)};
}

}  // namespace subgen
