// Which positions a token shard owns: blocks dealt round-robin over the shards.
// Owned positions are numbered from 0 in ascending order; a cache never stores
// a position that follows from that number.
#pragma once

#include <algorithm>
#include <cstdint>

namespace subgen {

struct TokenDealing {
  int64_t shards = 1;
  int64_t shard = 0;
  int64_t block = 16;  // consecutive positions of one shard

  // The shard that owns a position.
  int64_t Owner(int64_t position) const { return position / block % shards; }
  bool Owns(int64_t position) const { return Owner(position) == shard; }
  // Owned positions below `position`: the number of that position, if owned.
  int64_t Before(int64_t position) const {
    if (position <= 0) return 0;
    const int64_t round = block * shards;
    return position / round * block +
           std::clamp<int64_t>(position % round - shard * block, 0, block);
  }
  // The inverse of Before.
  int64_t Position(int64_t number) const {
    return (number / block * shards + shard) * block + number % block;
  }
  // Most owned positions among any `count` consecutive ones.
  int64_t MostOf(int64_t count) const {
    const int64_t round = block * shards;
    return count / round * block + std::min(block, count % round);
  }
};

}  // namespace subgen
