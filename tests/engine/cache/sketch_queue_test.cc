// Layers that share a queue hold what layers without one hold.
#include "engine/cache/sketch_queue.h"

#include "tests/engine/cache/cache_driver.h"

namespace subgen::testing {
namespace {

constexpr int kLayers = 3;
constexpr int64_t kDim = 8;

// Limits of heads change after 20 and after 29 tokens beside the window.
CacheShape LayerShape(int layer, SketchQueue* queue) {
  CacheShape shape = Shape(kDim, 100000);
  shape.layer = layer;
  shape.head_shares = {{1.5, {1.5, 0.5}}, {2.0, {1.75, 0.25}}};
  shape.sketch_queue = queue;
  shape.step_tokens = 12;  // fewer than a step has below
  return shape;
}

std::vector<std::unique_ptr<CacheDriver>> Layers(SketchQueue* queue) {
  std::vector<std::unique_ptr<CacheDriver>> layers;
  for (int layer = 0; layer < kLayers; ++layer) {
    layers.push_back(std::make_unique<CacheDriver>(Config("subgen", 30),
                                                   LayerShape(layer, queue),
                                                   RandomStream(layer, kDim)));
  }
  return layers;
}

TEST(SketchQueue, ChangesNothing) {
  RecordingBackend backend;
  SketchQueue queue(backend);
  auto shared = Layers(&queue), apart = Layers(nullptr);
  const std::vector<std::vector<Part>> steps = {
      {{0, 14}, {1, 6}}, {{0, 1}},         {{0, 30}, {1, 1}},
      {{1, 50}},         {{0, 1}, {1, 1}}, {{0, 3}, {1, 40}},
      {{0, 70}},         {{0, 1}, {1, 1}}};
  for (size_t i = 0; i < steps.size(); ++i) {
    for (int layer = 0; layer < kLayers; ++layer) {
      ASSERT_EQ(shared[layer]->Step(steps[i]), apart[layer]->Step(steps[i]))
          << "step " << i << " layer " << layer;
    }
    // Some steps end by being told, the others when rows are next looked at.
    if (i % 2 == 0) shared[0]->policy().EndStep();
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

TEST(SketchQueue, IsOneOperationForAllLayers) {
  RecordingBackend backend;
  SketchQueue queue(backend);
  auto layers = Layers(&queue);
  // Past the last change of a limit, one token a step.
  for (auto& layer : layers) layer->FeedAll(60, 1);
  for (auto& layer : layers) layer->policy().EndStep();
  backend.center_calls = 0;
  for (auto& layer : layers) layer->backend().center_calls = 0;
  // Of as many tokens as a step has at most, too; fewer than 9 do not wait.
  for (const int tokens : {9, 10, 12, 12, 9}) {
    for (auto& layer : layers) layer->Feed(0, tokens);
    for (auto& layer : layers) layer->policy().EndStep();
  }
  EXPECT_EQ(backend.center_calls, 5);
  for (auto& layer : layers) {
    EXPECT_EQ(layer->backend().center_calls, 0);
  }
}

TEST(SketchQueue, APolicyThatEndsLeavesNothingInIt) {
  RecordingBackend backend;
  SketchQueue queue(backend);
  auto layers = Layers(&queue);
  for (auto& layer : layers) layer->FeedAll(60, 1);
  layers.clear();
  backend.center_calls = 0;
  queue.Run();
  EXPECT_EQ(backend.center_calls, 0);
}

}  // namespace
}  // namespace subgen::testing
