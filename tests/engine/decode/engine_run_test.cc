// Engine::Run lets the other ranks go whatever the leading one returns. A rank
// that waits for ever would hang the test.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "comm/thread_ranks.h"
#include "engine/decode/engine.h"
#include "kernels/base/status_macros.h"
#include "tests/support/toy_model.h"

namespace subgen {
namespace {

// Returns what each rank's Run gives, as text.
std::vector<std::string> RunOnRanks(
    int ranks, const std::function<absl::Status(Engine&)>& lead) {
  EngineConfig config;
  config.model = WriteToyModel({}, "engine_run");
  config.backend = "reference";
  config.prefill_chunk = 16;
  std::vector<std::string> results(ranks);
  const absl::Status status = RunThreadRanks(
      ranks, [&](std::unique_ptr<Communicator> world) -> absl::Status {
        const int rank = world->rank();
        ASSIGN_OR_RETURN(const Model model, LoadModel(config));
        ASSIGN_OR_RETURN(auto engine, Engine::Make(config, model, {64, 1},
                                                   std::move(world)));
        results[rank] = std::string(engine->Run(lead).message());
        return absl::OkStatus();
      });
  EXPECT_TRUE(status.ok()) << status;
  return results;
}

TEST(EngineRunTest, LetsTheOtherRanksGoWhereTheLeaderFails) {
  std::atomic<int> calls = 0;
  const auto results = RunOnRanks(3, [&](Engine& engine) -> absl::Status {
    ++calls;
    EXPECT_TRUE(engine.leads());
    engine.leader().Forward({{0, 0, {1, 2, 3}, true, false}});
    return absl::InternalError("the leader had enough");
  });
  EXPECT_EQ(calls, 1);
  EXPECT_THAT(results, testing::ElementsAre("the leader had enough", "", ""));
}

TEST(EngineRunTest, EveryRankDoesWhatTheLeaderTells) {
  const auto results = RunOnRanks(2, [](Engine& engine) -> absl::Status {
    Leader& leader = engine.leader();
    const Batch batch = {{0, 0, {1, 2, 3}, true, false}};
    const Matrix<const float> logits = leader.Forward(batch);
    const std::vector<float> row(logits.row(0).begin(), logits.row(0).end());
    EXPECT_EQ(leader.Totals(0).tokens, 3);
    leader.Forget(0);
    EXPECT_EQ(leader.Totals(0).tokens, 0);
    const auto tops = leader.ForwardTop(batch, {1, {0.0f}});
    const Matrix<const float> again = leader.Logits();
    EXPECT_EQ(std::vector<float>(again.row(0).begin(), again.row(0).end()),
              row);
    EXPECT_EQ(tops.at(0).best.at(0).column,
              std::max_element(row.begin(), row.end()) - row.begin());
    EXPECT_EQ(leader.messages(), 6);
    return absl::OkStatus();
  });
  EXPECT_THAT(results, testing::ElementsAre("", ""));
}

}  // namespace
}  // namespace subgen
