#include "kernels/memory/huge_pages.h"

#include <gtest/gtest.h>

#include <cstring>
#include <utility>
#include <vector>

namespace subgen {
namespace {

TEST(HugePages, PiecesAreApartAlignedAndZero) {
  HugePages pages;
  std::vector<std::pair<std::byte*, int64_t>> pieces;
  // There is more than one region, and one block that is larger than a region.
  for (const int64_t bytes :
       {1, 64, 65, 40 << 20, 40 << 20, 100 << 20, 3, 2 << 20}) {
    std::byte* const piece = pages.Take(bytes);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(piece) % 64, 0u);
    EXPECT_EQ(piece[0], std::byte{0});
    EXPECT_EQ(piece[bytes - 1], std::byte{0});
    piece[0] = piece[bytes - 1] = std::byte{1};
    for (const auto& [other, size] : pieces) {
      EXPECT_TRUE(piece + bytes <= other || other + size <= piece);
    }
    pieces.emplace_back(piece, bytes);
  }
}

}  // namespace
}  // namespace subgen
