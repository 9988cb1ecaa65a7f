// Small things that all ranks must know of one another.
#pragma once

#include <cstring>
#include <type_traits>
#include <vector>

#include "absl/status/status.h"
#include "comm/communicator.h"

namespace subgen {

// One plain struct from each rank, in rank order. Collective.
template <class T>
std::vector<T> GatherFromRanks(Communicator& ranks, const T& mine) {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) % 4 == 0);
  constexpr int kWords = sizeof(T) / 4;  // carried as bits, no arithmetic
  std::vector<float> words(kWords), all(kWords * ranks.size());
  std::memcpy(words.data(), &mine, sizeof(T));
  ranks.AllGather(words, std::vector<int>(ranks.size(), kWords), all);
  std::vector<T> gathered(ranks.size());
  std::memcpy(static_cast<void*>(gathered.data()), all.data(), all.size() * 4);
  return gathered;
}

// The error of the lowest rank that has one, on every rank; OK if all are.
// After it no rank is ahead of another. Collective.
absl::Status AgreeOnStatus(Communicator& ranks, const absl::Status& mine);

}  // namespace subgen
