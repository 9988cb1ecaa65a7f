#include "launch/bench/step_clock.h"

#include <gtest/gtest.h>

#include "comm/agreement.h"
#include "comm/thread_ranks.h"

namespace subgen {
namespace {

// Every call is booked once, as communication or as waiting: both together are
// the mean over ranks of the time that ranks spend in collectives.
TEST(StepClock, BooksEachCallOfALapOnce) {
  const absl::Status status = RunThreadRanks(
      3, [](std::unique_ptr<Communicator> world) -> absl::Status {
        StepClock clock;
        const auto timed = clock.Time(world->Split(0));
        const auto half = timed->Split(timed->rank() / 2);
        std::vector<float> data(100, 1.0f);
        timed->AllReduce(data, ReduceOp::kSum);  // before all laps
        EXPECT_EQ(data[0], 3.0f);
        for (int lap = 0; lap < 2; ++lap) {
          clock.BeginLap();
          const double before = clock.communication_seconds();
          for (int i = 0; i <= 5 * lap; ++i) {
            timed->AllReduce(data, ReduceOp::kMax);
            half->AllReduce(data, ReduceOp::kSum);
          }
          clock.AddAttention(1.0 + timed->rank());
          clock.EndLap();
          const double spent = clock.communication_seconds() - before;
          clock.AddUpdate(1.0);                    // between laps
          timed->AllReduce(data, ReduceOp::kMax);  // the same
          std::vector<float> sum = {static_cast<float>(spent)};
          world->AllReduce(sum, ReduceOp::kSum);
          const std::vector<LapTimes> laps = clock.MeanLaps();
          EXPECT_EQ(laps.size(), lap + 1u);
          if (laps.size() != lap + 1u) continue;
          const LapTimes& mine = laps[lap];
          EXPECT_FLOAT_EQ(mine.attention, 2.0f);
          EXPECT_EQ(mine.update, 0.0);
          EXPECT_GT(mine.communication, 0.0);
          EXPECT_GE(mine.waiting, 0.0);
          // These are floats of up to 12 calls.
          EXPECT_NEAR(mine.communication + mine.waiting, sum[0] / 3.0,
                      1e-5 * sum[0]);
        }
        return absl::OkStatus();
      });
  EXPECT_TRUE(status.ok()) << status;
}

TEST(StepClock, OneRankNeverWaits) {
  StepClock clock;
  const auto timed = clock.Time(MakeSingleRank());
  clock.BeginLap();
  std::vector<float> data(3, 1.0f);
  timed->AllReduce(data, ReduceOp::kSum);
  const std::vector<LapTimes> laps = clock.MeanLaps();
  ASSERT_EQ(laps.size(), 1u);
  EXPECT_EQ(laps[0].communication, 0.0);
  EXPECT_EQ(laps[0].waiting, 0.0);
}

}  // namespace
}  // namespace subgen
