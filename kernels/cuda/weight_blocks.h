// GGUF blocks by pieces of 8 numbers, which is what a thread takes at a time.
// The arithmetic is that of kernels/quant, in its order (sources are compiled
// without contraction), so the numbers are the same bits. For host and device.
#pragma once

#include "kernels/cuda/numbers.h"
#include "kernels/quant/block_format.h"

namespace subgen::cuda {

// A piece is two runs of 4 numbers: those at First(piece) and Second(piece) of
// the block go to out[0..3] and out[4..7]. kNumbers / 8 pieces are a block.
template <int kNumbersOfBlock, int kBytesOfBlock>
struct QuantizedPieces {
  static constexpr int kNumbers = kNumbersOfBlock;
  static constexpr int kBytes = kBytesOfBlock;
  static SUBGEN_HOST_DEVICE int First(int piece) {
    return piece / 4 * 32 + piece % 4 * 4;
  }
  static SUBGEN_HOST_DEVICE int Second(int piece) { return First(piece) + 16; }
};

template <int kBytesOfNumber>
struct FloatPieces {  // rows may end within a block
  static constexpr int kNumbers = 8;
  static constexpr int kBytes = 8 * kBytesOfNumber;
  static SUBGEN_HOST_DEVICE int First(int) { return 0; }
  static SUBGEN_HOST_DEVICE int Second(int) { return 4; }
};

template <BlockFormat format>
struct Blocks;

template <>
struct Blocks<BlockFormat::kF32> : FloatPieces<4> {
  static SUBGEN_HOST_DEVICE float Number(const uint8_t* block, int i) {
    return reinterpret_cast<const float*>(block)[i];
  }
};
template <>
struct Blocks<BlockFormat::kF16> : FloatPieces<2> {
  static SUBGEN_HOST_DEVICE float Number(const uint8_t* block, int i) {
    return FromF16(Load2(block + 2 * i));
  }
};
template <>
struct Blocks<BlockFormat::kBF16> : FloatPieces<2> {
  static SUBGEN_HOST_DEVICE float Number(const uint8_t* block, int i) {
    return FromBF16(Load2(block + 2 * i));
  }
};

template <>
struct Blocks<BlockFormat::kQ4_0> : QuantizedPieces<32, 18> {
  static SUBGEN_HOST_DEVICE void Piece(const uint8_t* block, int piece,
                                       float* out) {
    const float scale = FromF16(Load2(block));
    const uint32_t quants = Load4(block + 2 + 4 * piece);
    for (int i = 0; i < 4; ++i) {
      out[i] = scale * ((ByteOf(quants, i) & 15) - 8);
      out[4 + i] = scale * ((ByteOf(quants, i) >> 4) - 8);
    }
  }
};

template <>
struct Blocks<BlockFormat::kQ4_1> : QuantizedPieces<32, 20> {
  static SUBGEN_HOST_DEVICE void Piece(const uint8_t* block, int piece,
                                       float* out) {
    const float scale = FromF16(Load2(block));
    const float minimum = FromF16(Load2(block + 2));
    const uint32_t quants = Load4(block + 4 + 4 * piece);
    for (int i = 0; i < 4; ++i) {
      out[i] = scale * (ByteOf(quants, i) & 15) + minimum;
      out[4 + i] = scale * (ByteOf(quants, i) >> 4) + minimum;
    }
  }
};

// The fifth bits of numbers 4 piece + i and 16 + 4 piece + i.
SUBGEN_HOST_DEVICE int FifthBit(uint32_t bits, int number) {
  return static_cast<int>(bits >> number & 1) << 4;
}

template <>
struct Blocks<BlockFormat::kQ5_0> : QuantizedPieces<32, 22> {
  static SUBGEN_HOST_DEVICE void Piece(const uint8_t* block, int piece,
                                       float* out) {
    const float scale = FromF16(Load2(block));
    const uint32_t bits = Load4(block + 2);
    const uint32_t quants = Load4(block + 6 + 4 * piece);
    for (int i = 0; i < 4; ++i) {
      const int n = 4 * piece + i, both = ByteOf(quants, i);
      out[i] = scale * (((both & 15) | FifthBit(bits, n)) - 16);
      out[4 + i] = scale * ((both >> 4 | FifthBit(bits, n + 16)) - 16);
    }
  }
};

template <>
struct Blocks<BlockFormat::kQ5_1> : QuantizedPieces<32, 24> {
  static SUBGEN_HOST_DEVICE void Piece(const uint8_t* block, int piece,
                                       float* out) {
    const float scale = FromF16(Load2(block));
    const float minimum = FromF16(Load2(block + 2));
    const uint32_t bits = Load4(block + 4);
    const uint32_t quants = Load4(block + 8 + 4 * piece);
    for (int i = 0; i < 4; ++i) {
      const int n = 4 * piece + i, both = ByteOf(quants, i);
      out[i] = scale * ((both & 15) | FifthBit(bits, n)) + minimum;
      out[4 + i] = scale * (both >> 4 | FifthBit(bits, n + 16)) + minimum;
    }
  }
};

template <>
struct Blocks<BlockFormat::kQ8_0> : QuantizedPieces<32, 34> {
  static SUBGEN_HOST_DEVICE void Piece(const uint8_t* block, int piece,
                                       float* out) {
    const float scale = FromF16(Load2(block));
    const uint32_t low = Load4(block + 2 + 4 * piece);
    const uint32_t high = Load4(block + 18 + 4 * piece);
    for (int i = 0; i < 4; ++i) {
      out[i] = scale * static_cast<int8_t>(ByteOf(low, i));
      out[4 + i] = scale * static_cast<int8_t>(ByteOf(high, i));
    }
  }
};

// Scale and minimum of sub-block s of a K block, 6 bits each, of the 12 bytes
// `packed`.
struct SubBlock {
  int scale, minimum;
};
SUBGEN_HOST_DEVICE SubBlock SubBlockOf(const uint8_t* packed, int s) {
  if (s < 4) return {packed[s] & 63, packed[s + 4] & 63};
  const int low = packed[s + 4];
  return {(low & 15) | packed[s - 4] >> 6 << 4, low >> 4 | packed[s] >> 6 << 4};
}

template <>
struct Blocks<BlockFormat::kQ4_K> : QuantizedPieces<256, 144> {
  static SUBGEN_HOST_DEVICE void Piece(const uint8_t* block, int piece,
                                       float* out) {
    const int s = piece / 4, at = piece % 4 * 4;
    const SubBlock sub = SubBlockOf(block + 4, s);
    const float step = FromF16(Load2(block)) * sub.scale;
    const float offset = FromF16(Load2(block + 2)) * sub.minimum;
    const uint8_t* quants = block + 16 + s / 2 * 32 + at;
    const int shift = s % 2 * 4;
    for (int i = 0; i < 4; ++i) {
      out[i] = step * (quants[i] >> shift & 15) - offset;
      out[4 + i] = step * (quants[16 + i] >> shift & 15) - offset;
    }
  }
};

template <>
struct Blocks<BlockFormat::kQ5_K> : QuantizedPieces<256, 176> {
  static SUBGEN_HOST_DEVICE void Piece(const uint8_t* block, int piece,
                                       float* out) {
    const int s = piece / 4, at = piece % 4 * 4;
    const SubBlock sub = SubBlockOf(block + 4, s);
    const float step = FromF16(Load2(block)) * sub.scale;
    const float offset = FromF16(Load2(block + 2)) * sub.minimum;
    for (int i = 0; i < 8; ++i) {
      const int n = at + i % 4 + i / 4 * 16;
      const int fifth = block[16 + n] >> s & 1;
      const int low = block[48 + s / 2 * 32 + n] >> s % 2 * 4 & 15;
      out[i] = step * (low | fifth << 4) - offset;
    }
  }
};

template <>
struct Blocks<BlockFormat::kQ6_K> : QuantizedPieces<256, 210> {
  static SUBGEN_HOST_DEVICE void Piece(const uint8_t* block, int piece,
                                       float* out) {
    const float scale = FromF16(Load2(block + 208));
    for (int i = 0; i < 8; ++i) {
      const int n = First(piece) + i % 4 + i / 4 * 16;
      const int part = n / 128, at = n % 128;
      const int low = block[part * 64 + at % 64] >> at / 64 * 4 & 15;
      const int high = block[128 + part * 32 + at % 32] >> at / 32 * 2 & 3;
      const int8_t sub = static_cast<int8_t>(block[192 + n / 16]);
      out[i] = (scale * sub) * ((low | high << 4) - 32);
    }
  }
};

// Piece `piece` of a block of which `numbers` are within the row; zero beyond.
template <BlockFormat format>
SUBGEN_HOST_DEVICE void LoadPiece(const uint8_t* block, int piece,
                                  int64_t numbers, float* out) {
  if constexpr (Blocks<format>::kNumbers == 8) {
    for (int i = 0; i < 8; ++i) {
      out[i] = i < numbers ? Blocks<format>::Number(block, i) : 0.0f;
    }
  } else {
    Blocks<format>::Piece(block, piece, out);
  }
}

}  // namespace subgen::cuda
