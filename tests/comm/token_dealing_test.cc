#include "comm/token_dealing.h"

#include "gtest/gtest.h"

namespace subgen {
namespace {

TEST(TokenDealing, AgreesWithCountingOneByOne) {
  for (const int64_t shards : {1, 2, 3}) {
    for (const int64_t block : {1, 4, 16}) {
      for (int64_t shard = 0; shard < shards; ++shard) {
        const TokenDealing dealing = {shards, shard, block};
        int64_t number = 0;
        for (int64_t position = 0; position < 150; ++position) {
          EXPECT_EQ(dealing.Before(position), number);
          if ((position / block) % shards != shard) continue;
          EXPECT_TRUE(dealing.Owns(position));
          EXPECT_EQ(dealing.Position(number), position);
          ++number;
        }
      }
    }
  }
}

TEST(TokenDealing, MostOfIsTheLargestCountInAnyRange) {
  for (const int64_t shards : {1, 2, 3}) {
    const TokenDealing dealing = {shards, shards - 1, 4};
    for (int64_t length = 1; length < 40; ++length) {
      int64_t most = 0;
      for (int64_t first = 0; first < 60; ++first) {
        most = std::max(most,
                        dealing.Before(first + length) - dealing.Before(first));
      }
      EXPECT_EQ(dealing.MostOf(length), most) << shards << " " << length;
    }
  }
}

}  // namespace
}  // namespace subgen
