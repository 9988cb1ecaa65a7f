// Takes blocks of a row, as model files have them, apart into numbers and puts
// them together again. Layouts follow ggml (see kernels/quant).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/cpu/tiles/tiles.h"

namespace subgen::cpu {

// This is a row's part of a tile of integers. What the format does not have
// stays 0.
template <class Tile>
struct RowBlock {
  static constexpr int kBlocks = Tile::kBlocks;

  uint16_t scale = 0, minimum = 0;  // f16
  uint8_t quants[kBlocks][kBlockCols] = {};
  uint8_t sub_scales[2 * kBlocks] = {}, sub_minima[kBlocks] = {};
};

// A format's Move goes in two directions, reading and writing. `at`: bytes from
// the block's first.
class BlockReader {
 public:
  explicit BlockReader(const std::byte* block)
      : block_(reinterpret_cast<const uint8_t*>(block)) {}

  template <class Number>
  void Copy(int at, Number& number) const {
    std::memcpy(&number, block_ + at, sizeof(number));
  }
  // Moves 32 bytes, less 128.
  void Signed(int at, uint8_t* quants) const {
    for (int i = 0; i < 32; ++i) quants[i] = block_[at + i] ^ 0x80;
  }
  // Moves `count` bytes of two numbers each, those in the low halves first.
  void Nibbles(int at, int count, uint8_t* quants) const {
    for (int i = 0; i < count; ++i) {
      quants[i] = block_[at + i] & 15;
      quants[count + i] = block_[at + i] >> 4;
    }
  }
  // Moves the fifth bits of 32 numbers, which are one word. Call it after
  // Nibbles.
  void FifthWord(int at, uint8_t* quants) const {
    constexpr uint8_t kBits[8] = {1, 2, 4, 8, 16, 32, 64, 128};
    for (int byte = 0; byte < 4; ++byte) {
      for (int i = 0; i < 8; ++i) {
        quants[8 * byte + i] |= (block_[at + byte] & kBits[i]) != 0 ? 16 : 0;
      }
    }
  }
  // Moves number `place`, of `bits` bits, of each of 32 bytes, to above the
  // nibbles.
  void Upper(int at, int bits, int place, uint8_t* quants) const {
    const int mask = (1 << bits) - 1;
    for (int i = 0; i < 32; ++i) {
      quants[i] |= (block_[at + i] >> bits * place & mask) << 4;
    }
  }

 private:
  const uint8_t* block_;
};

class BlockWriter {
 public:
  // The block's bytes must be 0.
  explicit BlockWriter(std::byte* block)
      : block_(reinterpret_cast<uint8_t*>(block)) {}

  template <class Number>
  void Copy(int at, const Number& number) const {
    std::memcpy(block_ + at, &number, sizeof(number));
  }
  void Signed(int at, const uint8_t* quants) const {
    for (int i = 0; i < 32; ++i) block_[at + i] = quants[i] ^ 0x80;
  }
  void Nibbles(int at, int count, const uint8_t* quants) const {
    for (int i = 0; i < count; ++i) {
      block_[at + i] = (quants[i] & 15) | (quants[count + i] & 15) << 4;
    }
  }
  void FifthWord(int at, const uint8_t* quants) const {
    for (int i = 0; i < 32; ++i) {
      block_[at + i / 8] |= (quants[i] >> 4 & 1) << i % 8;
    }
  }
  void Upper(int at, int bits, int place, const uint8_t* quants) const {
    for (int i = 0; i < 32; ++i) {
      block_[at + i] |= quants[i] >> 4 << bits * place;
    }
  }

 private:
  uint8_t* block_;
};

// Move(mover, row) is a format's layout, in the direction of the mover.

template <class Mover>
void Move(Mover mover, RowBlock<TileQ4_0>& row) {
  mover.Copy(0, row.scale);
  mover.Nibbles(2, 16, row.quants[0]);
}

template <class Mover>
void Move(Mover mover, RowBlock<TileIQ4_NL>& row) {
  mover.Copy(0, row.scale);
  mover.Nibbles(2, 16, row.quants[0]);
}

template <class Mover>
void Move(Mover mover, RowBlock<TileQ4_1>& row) {
  mover.Copy(0, row.scale);
  mover.Copy(2, row.minimum);
  mover.Nibbles(4, 16, row.quants[0]);
}

template <class Mover>
void Move(Mover mover, RowBlock<TileQ5_0>& row) {
  mover.Copy(0, row.scale);
  mover.Nibbles(6, 16, row.quants[0]);
  mover.FifthWord(2, row.quants[0]);
}

template <class Mover>
void Move(Mover mover, RowBlock<TileQ5_1>& row) {
  mover.Copy(0, row.scale);
  mover.Copy(2, row.minimum);
  mover.Nibbles(8, 16, row.quants[0]);
  mover.FifthWord(4, row.quants[0]);
}

template <class Mover>
void Move(Mover mover, RowBlock<TileQ8_0>& row) {
  mover.Copy(0, row.scale);
  mover.Signed(2, row.quants[0]);
}

// Eight scales and eight minima of 6 bits are 12 bytes: numbers 0 to 3 of both
// are in the low bits of bytes 0 to 7; the low halves of numbers 4 to 7 are in
// bytes 8 to 11, and their upper bits are above the former.
using SixBitPairs = std::array<uint8_t, 12>;

template <class Tile>
void MovePairs(const BlockReader& mover, RowBlock<Tile>& row) {
  SixBitPairs bytes;
  mover.Copy(4, bytes);
  for (int i = 0; i < 4; ++i) {
    row.sub_scales[i] = bytes[i] & 63;
    row.sub_minima[i] = bytes[4 + i] & 63;
    row.sub_scales[4 + i] = (bytes[8 + i] & 15) | bytes[i] >> 6 << 4;
    row.sub_minima[4 + i] = bytes[8 + i] >> 4 | bytes[4 + i] >> 6 << 4;
  }
}

template <class Tile>
void MovePairs(const BlockWriter& mover, const RowBlock<Tile>& row) {
  SixBitPairs bytes;
  for (int i = 0; i < 4; ++i) {
    const int scale = row.sub_scales[4 + i], minimum = row.sub_minima[4 + i];
    bytes[i] = row.sub_scales[i] | scale >> 4 << 6;
    bytes[4 + i] = row.sub_minima[i] | minimum >> 4 << 6;
    bytes[8 + i] = (scale & 15) | (minimum & 15) << 4;
  }
  mover.Copy(4, bytes);
}

// Q4_K and Q5_K have this in common; the nibbles begin at `quants`.
template <class Mover, class Tile>
void MoveK(Mover mover, int quants, RowBlock<Tile>& row) {
  mover.Copy(0, row.scale);
  mover.Copy(2, row.minimum);
  MovePairs(mover, row);
  for (int pair = 0; pair < 4; ++pair) {
    mover.Nibbles(quants + 32 * pair, 32, row.quants[2 * pair]);
  }
}

template <class Mover>
void Move(Mover mover, RowBlock<TileQ4_K>& row) {
  MoveK(mover, 16, row);
}

template <class Mover>
void Move(Mover mover, RowBlock<TileQ5_K>& row) {
  MoveK(mover, 48, row);
  for (int b = 0; b < 8; ++b) mover.Upper(16, 1, b, row.quants[b]);
}

// Moves quants in halves of 128 columns: 64 bytes of nibbles hold columns 0 to
// 63 and, in their upper halves, columns 64 to 127.
template <class Mover>
void Move(Mover mover, RowBlock<TileQ6_K>& row) {
  for (int half = 0; half < 2; ++half) {
    mover.Nibbles(64 * half, 64, row.quants[4 * half]);
    for (int i = 0; i < 4; ++i) {
      mover.Upper(128 + 32 * half, 2, i, row.quants[4 * half + i]);
    }
  }
  mover.Copy(192, row.sub_scales);
  mover.Copy(208, row.scale);
}

// Moves scales of 6 bits: their low halves lie two per byte, their upper bits
// in a word.
template <class Tile>
void MoveSplitScales(const BlockReader& mover, RowBlock<Tile>& row) {
  uint16_t high;
  mover.Copy(2, high);
  std::array<uint8_t, 4> low;
  mover.Copy(4, low);
  for (int b = 0; b < 8; ++b) {
    row.sub_scales[b] = (low[b / 2] >> 4 * (b % 2) & 15) | (high >> 2 * b & 3)
                                                               << 4;
  }
}

template <class Tile>
void MoveSplitScales(const BlockWriter& mover, const RowBlock<Tile>& row) {
  uint16_t high = 0;
  std::array<uint8_t, 4> low = {};
  for (int b = 0; b < 8; ++b) {
    low[b / 2] |= (row.sub_scales[b] & 15) << 4 * (b % 2);
    high |= row.sub_scales[b] >> 4 << 2 * b;
  }
  mover.Copy(2, high);
  mover.Copy(4, low);
}

template <class Mover>
void Move(Mover mover, RowBlock<TileIQ4_XS>& row) {
  mover.Copy(0, row.scale);
  MoveSplitScales(mover, row);
  for (int b = 0; b < 8; ++b) {
    mover.Nibbles(8 + 16 * b, 16, row.quants[b]);
  }
}

}  // namespace subgen::cpu
