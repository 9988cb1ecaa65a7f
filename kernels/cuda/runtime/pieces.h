// Blocks of a device take pieces of tasks, in arrays of one row format.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <vector>

#include "kernels/cuda/runtime/staging.h"
#include "kernels/memory/row_format.h"

namespace subgen::cuda {

// Returns up to an eighth more, or 8 more, so that a cache which grows by a row
// per step takes the same grid in many steps.
inline int64_t PaddedCount(int64_t count) {
  const int64_t step = std::max<int64_t>(
      8,
      static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(count))) / 8);
  return (count + step - 1) / step * step;
}

// Calls launch(array on the device, count), if there are any pieces. At the end
// of the array are empty pieces.
template <class Piece, class Launch>
void SendPieces(std::vector<Piece>* all, Operation* operation, Launch launch) {
  if (all->empty()) return;
  all->resize(PaddedCount(all->size()));
  const auto [host, device] = operation->Stage<Piece>(all->size());
  std::copy(all->begin(), all->end(), host);
  launch(device, static_cast<int64_t>(all->size()));
}

template <class Piece>
class PiecesByFormat {
 public:
  std::vector<Piece>& operator[](RowFormat format) {
    return pieces_.at(static_cast<size_t>(format));
  }
  // Removes all pieces and keeps the memory.
  void Clear() {
    for (auto& all : pieces_) all.clear();
  }

  // Does SendPieces for each format, which launch takes first.
  template <class Launch>
  void Send(Operation* operation, Launch launch) {
    for (size_t format = 0; format < pieces_.size(); ++format) {
      SendPieces(&pieces_[format], operation,
                 [&](const Piece* pieces, int64_t count) {
                   launch(static_cast<RowFormat>(format), pieces, count);
                 });
    }
  }

 private:
  std::array<std::vector<Piece>, static_cast<size_t>(RowFormat::kQ3) + 1>
      pieces_;
};

}  // namespace subgen::cuda
