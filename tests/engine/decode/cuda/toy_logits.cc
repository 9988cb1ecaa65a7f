#include "tests/engine/decode/cuda/toy_logits.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "comm/thread_ranks.h"
#include "engine/decode/engine.h"
#include "kernels/base/status_macros.h"
#include "tests/support/toy_model.h"

namespace subgen {
namespace {

void ReadTokens(const ToyReading& reading, Leader& leader, Logits* all) {
  for (int64_t first = 0; first < reading.tokens;) {
    const int64_t count = first < reading.prompt
                              ? std::min(reading.chunk, reading.prompt - first)
                              : 1;
    BatchRun run{0, first, {}, first + count == reading.prompt, true};
    for (int64_t i = 0; i < count; ++i) {
      run.tokens.push_back(static_cast<int>((first + i) * 37 % 251));
    }
    const Matrix<const float> logits = leader.Forward({run});
    for (int64_t i = 0; i < logits.rows; ++i) {
      all->emplace_back(logits.row(i).begin(), logits.row(i).end());
    }
    first += count;
  }
}

absl::Status Read(const EngineConfig& config, const ToyReading& reading,
                  std::unique_ptr<Communicator> world, Logits* all) {
  ASSIGN_OR_RETURN(const Model model, LoadModel(config));
  ASSIGN_OR_RETURN(auto engine,
                   Engine::Make(config, model, {256, 1}, std::move(world)));
  return engine->Run([&](Engine& leading) {
    ReadTokens(reading, leading.leader(), all);
    return absl::OkStatus();
  });
}

}  // namespace

Logits ReadToyModel(const ToyReading& reading) {
  EngineConfig config;
  ToyModel toy;
  toy.head_dim = reading.head_dim;
  config.model = WriteToyModel(toy, "toy_logits.gguf");
  config.backend = reading.backend;
  config.prefill_chunk = reading.chunk;
  config.cache = reading.cache;
  Logits logits;
  const absl::Status status =
      RunThreadRanks(reading.ranks, [&](std::unique_ptr<Communicator> world) {
        return Read(config, reading, std::move(world), &logits);
      });
  EXPECT_TRUE(status.ok()) << status;
  return logits;
}

double LargestDifference(const std::vector<float>& a,
                         const std::vector<float>& b) {
  EXPECT_EQ(a.size(), b.size());
  double largest = 0.0;
  for (size_t i = 0; i < a.size() && i < b.size(); ++i) {
    largest = std::max<double>(largest, std::abs(a[i] - b[i]));
  }
  return largest;
}

double LargestDifference(const Logits& a, const Logits& b) {
  EXPECT_EQ(a.size(), b.size());
  double largest = 0.0;
  for (size_t i = 0; i < a.size() && i < b.size(); ++i) {
    largest = std::max(largest, LargestDifference(a[i], b[i]));
  }
  return largest;
}

}  // namespace subgen
