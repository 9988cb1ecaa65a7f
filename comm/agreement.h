// The functions here tell every rank small things about all the others.
#pragma once

#include <cstring>
#include <type_traits>
#include <vector>

#include "absl/status/status.h"
#include "comm/communicator.h"

namespace subgen {

// Returns one plain struct from each rank, in rank order. Collective.
template <class T>
std::vector<T> GatherFromRanks(Communicator& ranks, const T& mine) {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) % 4 == 0);
  constexpr int kWords = sizeof(T) / 4;  // floats carry bits, no arithmetic
  std::vector<float> words(kWords), all(kWords * ranks.size());
  std::memcpy(words.data(), &mine, sizeof(T));
  ranks.AllGather(words, std::vector<int>(ranks.size(), kWords), all);
  std::vector<T> gathered(ranks.size());
  std::memcpy(static_cast<void*>(gathered.data()), all.data(), all.size() * 4);
  return gathered;
}

// Returns the error of the lowest rank that has one, on every rank, and OK if
// all are. When it returns, all ranks have called it. Collective.
absl::Status AgreeOnStatus(Communicator& ranks, const absl::Status& mine);

}  // namespace subgen
