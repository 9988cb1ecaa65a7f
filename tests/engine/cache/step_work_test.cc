// Layers that share their work hold what layers by themselves hold.
#include "engine/cache/step_work.h"

#include "tests/engine/cache/cache_driver.h"

namespace subgen::testing {
namespace {

constexpr int kLayers = 3;
constexpr int64_t kDim = 8;

// Limits of heads change after 20 and after 29 tokens beside the window.
CacheShape LayerShape(int layer) {
  CacheShape shape = Shape(kDim, 100000);
  shape.layer = layer;
  shape.head_shares = {{1.5, {1.5, 0.5}}, {2.0, {1.75, 0.25}}};
  shape.step_tokens = 12;  // fewer than a step has below
  return shape;
}

std::vector<std::unique_ptr<CacheDriver>> Layers(StepWork* work) {
  std::vector<std::unique_ptr<CacheDriver>> layers;
  for (int layer = 0; layer < kLayers; ++layer) {
    layers.push_back(
        std::make_unique<CacheDriver>(Config("subgen", 30), LayerShape(layer),
                                      RandomStream(layer, kDim), work));
  }
  return layers;
}

// Feeds past the last change of a limit, one token per step.
void Feed60(std::vector<std::unique_ptr<CacheDriver>>& layers) {
  for (int token = 0; token < 60; ++token) {
    for (auto& layer : layers) layer->Feed(0, 1);
    for (auto& layer : layers) layer->policy().EndStep();
  }
}

TEST(StepWork, ChangesNothing) {
  RecordingBackend backend;
  StepWork work(backend);
  auto shared = Layers(&work), apart = Layers(nullptr);
  const std::vector<std::vector<Part>> steps = {
      {{0, 14}, {1, 6}}, {{0, 1}},         {{0, 30}, {1, 1}},
      {{1, 50}},         {{0, 1}, {1, 1}}, {{0, 3}, {1, 40}},
      {{0, 70}},         {{0, 1}, {1, 1}}};
  for (size_t i = 0; i < steps.size(); ++i) {
    for (int layer = 0; layer < kLayers; ++layer) {
      ASSERT_EQ(shared[layer]->Step(steps[i]), apart[layer]->Step(steps[i]))
          << "step " << i << " layer " << layer;
    }
    for (auto& layer : shared) layer->policy().EndStep();
    if (i % 3 == 0) {
      for (int layer = 0; layer < kLayers; ++layer) {
        for (const int slot : {0, 1}) {
          ASSERT_EQ(shared[layer]->policy().Save(slot),
                    apart[layer]->policy().Save(slot))
              << "step " << i << " layer " << layer << " slot " << slot;
        }
      }
    }
  }
  EXPECT_GT(backend.center_calls, 0);
}

TEST(StepWork, IsOneOperationForAllLayers) {
  RecordingBackend backend;
  StepWork work(backend);
  auto layers = Layers(&work);
  Feed60(layers);
  backend.center_calls = 0;
  for (auto& layer : layers) layer->backend().center_calls = 0;
  // Some steps have as many tokens as a step has at most; fewer than 9 do not
  // wait.
  for (const int tokens : {9, 10, 12, 12, 9}) {
    for (auto& layer : layers) layer->Feed(0, tokens);
    for (auto& layer : layers) layer->policy().EndStep();
  }
  EXPECT_EQ(backend.center_calls, 5);
  for (auto& layer : layers) {
    EXPECT_EQ(layer->backend().center_calls, 0);
  }
}

TEST(StepWork, APolicyThatEndsLeavesNothingInIt) {
  RecordingBackend backend;
  StepWork work(backend);
  auto layers = Layers(&work);
  Feed60(layers);
  for (auto& layer : layers) layer->Feed(0, 9);  // enough to wait
  layers.clear();
  backend.center_calls = 0;
  work.Run();
  EXPECT_EQ(backend.center_calls, 0);
}

}  // namespace
}  // namespace subgen::testing
