// A device keeps these for as long as the backend lives: weights, and short
// lists of numbers such as the frequencies of rotary embeddings.
#pragma once

#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "absl/status/status.h"
#include "kernels/cuda/runtime/queue.h"
#include "kernels/quant/block_format.h"

namespace subgen::cuda {

class KeptWeights {
 public:
  explicit KeptWeights(Queue* queue) : queue_(*queue) {}

  // Keeps a copy, packed; the same matrix given twice is kept once.
  absl::Status Keep(const WeightMatrix& weight);
  // Returns the copy; it has no data if there is none.
  WeightMatrix Find(const WeightMatrix& weight) const;

  // Returns numbers that are kept from the first call with them on.
  template <class T>
  const T* Numbers(const std::vector<T>& numbers) {
    return reinterpret_cast<const T*>(
        Bytes({reinterpret_cast<const char*>(numbers.data()),
               numbers.size() * sizeof(T)}));
  }

 private:
  using Key = std::tuple<const std::byte*, int64_t, int64_t, int64_t>;
  static Key KeyOf(const WeightMatrix& weight) {
    return {weight.data, weight.rows, weight.cols, weight.row_stride};
  }

  const uint8_t* Bytes(const std::string& bytes);

  Queue& queue_;
  std::map<Key, DeviceMemory> weights_;
  int64_t bytes_ = 0;                            // of weights
  std::map<std::string, DeviceMemory> numbers_;  // by themselves
};

}  // namespace subgen::cuda
