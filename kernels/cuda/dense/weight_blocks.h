// Reads GGUF blocks by pieces of 8 numbers, which a thread takes at a time. The
// arithmetic is that of kernels/quant, in its order (sources are compiled
// without contraction), so the numbers are the same bits. All of it is for host
// and device.
#pragma once

#include "kernels/cuda/device/numbers.h"
#include "kernels/quant/block_format.h"

namespace subgen::cuda {

// A piece is two runs of 4 numbers: those at First(piece) and Second(piece) of
// the block go to out[0..3] and out[4..7]. A block has kNumbers / 8 pieces.
template <int kNumbersOfBlock, int kBytesOfBlock>
struct QuantizedPieces {
  static constexpr int kNumbers = kNumbersOfBlock;
  static constexpr int kBytes = kBytesOfBlock;
  static SUBGEN_HOST_DEVICE int First(int piece) {
    return piece / 4 * 32 + piece % 4 * 4;
  }
  static SUBGEN_HOST_DEVICE int Second(int piece) { return First(piece) + 16; }
  static constexpr bool kHasMinimum = false;
};

template <int kBytesOfNumber>
struct FloatPieces {  // rows may end within a block
  static constexpr int kNumbers = 8;
  static constexpr int kBytes = 8 * kBytesOfNumber;
  static SUBGEN_HOST_DEVICE int First(int) { return 0; }
  static SUBGEN_HOST_DEVICE int Second(int) { return 4; }
  static constexpr bool kHasMinimum = false;
};

// Numbers of a piece are scale * x + minimum, where x is what Unscaled leaves.
struct PieceScale {
  float scale = 1.0f;
  float minimum = 0.0f;
};

inline constexpr uint32_t kNibbles = 0x0f0f0f0f;

// Returns the bytes of both words as numbers, less `zero`.
SUBGEN_HOST_DEVICE void Numbers(uint32_t low, uint32_t high, int zero,
                                float* out) {
  for (int i = 0; i < 4; ++i) {
    out[i] = NumberOf(low, i, zero);
    out[4 + i] = NumberOf(high, i, zero);
  }
}

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
  static SUBGEN_HOST_DEVICE PieceScale Unscaled(const uint8_t* block, int piece,
                                                float* out) {
    const uint32_t quants = Load4(block + 2 + 4 * piece);
    Numbers(quants & kNibbles, quants >> 4 & kNibbles, 8, out);
    return {FromF16(Load2(block)), 0.0f};
  }
};

template <>
struct Blocks<BlockFormat::kQ4_1> : QuantizedPieces<32, 20> {
  static constexpr bool kHasMinimum = true;
  static SUBGEN_HOST_DEVICE PieceScale Unscaled(const uint8_t* block, int piece,
                                                float* out) {
    const uint32_t quants = Load4Aligned(block + 4 + 4 * piece);
    Numbers(quants & kNibbles, quants >> 4 & kNibbles, 0, out);
    const uint32_t scales = Load4Aligned(block);
    return {FromF16(scales & 0xffff), FromF16(scales >> 16)};
  }
};

// Returns the last 4 bits of a word, each as the fifth bit of a byte.
SUBGEN_HOST_DEVICE uint32_t FifthBits(uint32_t bits) {
  return ((bits & 15) * 0x00204081 & 0x01010101) << 4;
}

template <>
struct Blocks<BlockFormat::kQ5_0> : QuantizedPieces<32, 22> {
  static SUBGEN_HOST_DEVICE PieceScale Unscaled(const uint8_t* block, int piece,
                                                float* out) {
    const uint32_t bits = Load4(block + 2) >> 4 * piece;
    const uint32_t quants = Load4(block + 6 + 4 * piece);
    Numbers((quants & kNibbles) | FifthBits(bits),
            (quants >> 4 & kNibbles) | FifthBits(bits >> 16), 16, out);
    return {FromF16(Load2(block)), 0.0f};
  }
};

template <>
struct Blocks<BlockFormat::kQ5_1> : QuantizedPieces<32, 24> {
  static constexpr bool kHasMinimum = true;
  static SUBGEN_HOST_DEVICE PieceScale Unscaled(const uint8_t* block, int piece,
                                                float* out) {
    const uint32_t bits = Load4Aligned(block + 4) >> 4 * piece;
    const uint32_t quants = Load4Aligned(block + 8 + 4 * piece);
    Numbers((quants & kNibbles) | FifthBits(bits),
            (quants >> 4 & kNibbles) | FifthBits(bits >> 16), 0, out);
    const uint32_t scales = Load4Aligned(block);
    return {FromF16(scales & 0xffff), FromF16(scales >> 16)};
  }
};

template <>
struct Blocks<BlockFormat::kQ8_0> : QuantizedPieces<32, 34> {
  static SUBGEN_HOST_DEVICE PieceScale Unscaled(const uint8_t* block, int piece,
                                                float* out) {
    // The sign is taken away: what was -128 becomes 0.
    Numbers(Load4(block + 2 + 4 * piece) ^ 0x80808080,
            Load4(block + 18 + 4 * piece) ^ 0x80808080, 128, out);
    return {FromF16(Load2(block)), 0.0f};
  }
};

// Reads the scale and the minimum of sub-block s of a K block, 6 bits each,
// from the 12 bytes `packed`.
struct SubBlock {
  int scale, minimum;
};
SUBGEN_HOST_DEVICE SubBlock SubBlockOf(const uint8_t* packed, int s) {
  if (s < 4) return {packed[s] & 63, packed[s + 4] & 63};
  const int low = packed[s + 4];
  return {(low & 15) | packed[s - 4] >> 6 << 4, low >> 4 | packed[s] >> 6 << 4};
}
SUBGEN_HOST_DEVICE PieceScale ScaleOfSubBlock(const uint8_t* block, int s) {
  const SubBlock sub = SubBlockOf(block + 4, s);
  const uint32_t scales = Load4Aligned(block);
  return {FromF16(scales & 0xffff) * sub.scale,
          -(FromF16(scales >> 16) * sub.minimum)};
}

template <>
struct Blocks<BlockFormat::kQ4_K> : QuantizedPieces<256, 144> {
  static constexpr bool kHasMinimum = true;
  static SUBGEN_HOST_DEVICE PieceScale Unscaled(const uint8_t* block, int piece,
                                                float* out) {
    const int s = piece / 4, shift = s % 2 * 4;
    const uint8_t* quants = block + 16 + s / 2 * 32 + piece % 4 * 4;
    Numbers(Load4Aligned(quants) >> shift & kNibbles,
            Load4Aligned(quants + 16) >> shift & kNibbles, 0, out);
    return ScaleOfSubBlock(block, s);
  }
};

template <>
struct Blocks<BlockFormat::kQ5_K> : QuantizedPieces<256, 176> {
  static constexpr bool kHasMinimum = true;
  static SUBGEN_HOST_DEVICE PieceScale Unscaled(const uint8_t* block, int piece,
                                                float* out) {
    const int s = piece / 4, at = piece % 4 * 4;
    const auto word = [&](int first) {
      const uint32_t fifth = Load4Aligned(block + 16 + first) >> s & 0x01010101;
      const uint32_t quants = Load4Aligned(block + 48 + s / 2 * 32 + first);
      return (quants >> s % 2 * 4 & kNibbles) | fifth << 4;
    };
    Numbers(word(at), word(at + 16), 0, out);
    return ScaleOfSubBlock(block, s);
  }
};

template <>
struct Blocks<BlockFormat::kQ6_K> : QuantizedPieces<256, 210> {
  // Returns the numbers without the scale of the block and those of its runs.
  static SUBGEN_HOST_DEVICE void Integers(const uint8_t* block, int piece,
                                          float* out) {
    const int first = First(piece), part = first / 128, at = first % 128;
    const auto word = [&](int i) {
      const uint32_t low = Load4(block + part * 64 + i % 64) >> i / 64 * 4;
      const uint32_t high =
          Load4(block + 128 + part * 32 + i % 32) >> i / 32 * 2;
      return (low & kNibbles) | (high & 0x03030303) << 4;
    };
    Numbers(word(at), word(at + 16), 32, out);
  }
  static SUBGEN_HOST_DEVICE float ScaleOfRun(const uint8_t* block, int number) {
    return static_cast<int8_t>(block[192 + number / 16]);
  }
  static SUBGEN_HOST_DEVICE PieceScale Unscaled(const uint8_t* block, int piece,
                                                float* out) {
    Integers(block, piece, out);
    const float low = ScaleOfRun(block, First(piece));
    const float high = ScaleOfRun(block, Second(piece));
    for (int i = 0; i < 8; ++i) out[i] *= i < 4 ? low : high;  // exact
    return {FromF16(Load2(block + 208)), 0.0f};
  }
  static SUBGEN_HOST_DEVICE void Piece(const uint8_t* block, int piece,
                                       float* out) {
    Integers(block, piece, out);
    const float scale = FromF16(Load2(block + 208));
    const float low = scale * ScaleOfRun(block, First(piece));
    const float high = scale * ScaleOfRun(block, Second(piece));
    for (int i = 0; i < 8; ++i) out[i] = (i < 4 ? low : high) * out[i];
  }
};

// Looks up kIq4Values by the nibbles of two words. The table is two words, each
// of eight values of a byte.
SUBGEN_HOST_DEVICE void Iq4Numbers(uint32_t low, uint32_t high, float* out) {
  constexpr uint64_t kValues[2] = {0xf6eaddcfbfad9881, 0x7159453526190d01};
  for (int i = 0; i < 4; ++i) {
    const auto value = [&](uint32_t word) {
      const uint32_t place = word >> 8 * i & 15;
      const uint64_t eight = place < 8 ? kValues[0] : kValues[1];
      return static_cast<float>(
          static_cast<int8_t>(eight >> 8 * (place % 8) & 255));
    };
    out[i] = value(low);
    out[4 + i] = value(high);
  }
}

template <>
struct Blocks<BlockFormat::kIQ4_NL> : QuantizedPieces<32, 18> {
  static SUBGEN_HOST_DEVICE PieceScale Unscaled(const uint8_t* block, int piece,
                                                float* out) {
    const uint32_t quants = Load4(block + 2 + 4 * piece);
    Iq4Numbers(quants, quants >> 4, out);
    return {FromF16(Load2(block)), 0.0f};
  }
};

template <>
struct Blocks<BlockFormat::kIQ4_XS> : QuantizedPieces<256, 136> {
  static SUBGEN_HOST_DEVICE PieceScale Unscaled(const uint8_t* block, int piece,
                                                float* out) {
    const int s = piece / 4;
    const uint32_t quants = Load4Aligned(block + 8 + 16 * s + 4 * (piece % 4));
    Iq4Numbers(quants, quants >> 4, out);
    const int low = block[4 + s / 2] >> s % 2 * 4 & 15;
    const int high = block[2 + s / 4] >> s % 4 * 2 & 3;
    return {FromF16(Load2(block)) * ((low | high << 4) - 32), 0.0f};
  }
};

// Reads piece `piece` of a block of which `numbers` are within the row, with
// zeros beyond, in as few instructions as the format allows.
template <BlockFormat format>
SUBGEN_HOST_DEVICE PieceScale LoadUnscaled(const uint8_t* block, int piece,
                                           int64_t numbers, float* out) {
  if constexpr (Blocks<format>::kNumbers == 8) {
    for (int i = 0; i < 8; ++i) {
      out[i] = i < numbers ? Blocks<format>::Number(block, i) : 0.0f;
    }
    return {};
  } else {
    return Blocks<format>::Unscaled(block, piece, out);
  }
}

// Reads the numbers themselves.
template <BlockFormat format>
SUBGEN_HOST_DEVICE void LoadPiece(const uint8_t* block, int piece,
                                  int64_t numbers, float* out) {
  using B = Blocks<format>;
  if constexpr (requires { B::Piece(block, piece, out); }) {
    B::Piece(block, piece, out);
  } else {
    const PieceScale of = LoadUnscaled<format>(block, piece, numbers, out);
    for (int i = 0; i < 8; ++i) {
      if (B::kNumbers != 8) out[i] = of.scale * out[i];
      if (B::kHasMinimum) out[i] += of.minimum;
    }
  }
}

}  // namespace subgen::cuda
