#include "comm/agreement.h"

#include <gtest/gtest.h>

#include "comm/thread_ranks.h"

namespace subgen {
namespace {

TEST(Agreement, GathersStructsBitForBit) {
  struct Part {
    double number;
    int32_t rank;
    uint32_t bits;
  };
  const absl::Status status = RunThreadRanks(3, [](auto ranks) {
    // 0x7f800001 is a signalling NaN as a float: arithmetic would change it.
    const Part mine{0.1 * ranks->rank(), ranks->rank(), 0x7f800001};
    const std::vector<Part> all = GatherFromRanks(*ranks, mine);
    for (int rank = 0; rank < 3; ++rank) {
      EXPECT_EQ(all[rank].number, 0.1 * rank);
      EXPECT_EQ(all[rank].rank, rank);
      EXPECT_EQ(all[rank].bits, 0x7f800001);
    }
    return absl::OkStatus();
  });
  EXPECT_TRUE(status.ok()) << status;
}

TEST(Agreement, AllRanksGetTheErrorOfTheLowest) {
  const absl::Status status = RunThreadRanks(4, [](auto ranks) {
    EXPECT_TRUE(AgreeOnStatus(*ranks, absl::OkStatus()).ok());
    absl::Status mine;
    if (ranks->rank() == 1) mine = absl::NotFoundError("no such file");
    if (ranks->rank() == 3) mine = absl::InternalError("something else");
    EXPECT_EQ(AgreeOnStatus(*ranks, mine), absl::NotFoundError("no such file"));
    return absl::OkStatus();
  });
  EXPECT_TRUE(status.ok()) << status;
}

}  // namespace
}  // namespace subgen
