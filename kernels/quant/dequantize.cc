// Expands blocks of 32 numbers, and chooses by format. Every product and sum is
// rounded on its own, in the order of the `gguf` package, so the build must not
// contract them into fused multiply-adds (-std=c++20 without extensions does
// not).
#include <cstring>

#include "kernels/memory/row_format.h"
#include "kernels/quant/block_bytes.h"
#include "kernels/quant/block_format.h"

namespace subgen {
namespace {

// Numbers 0..15 of a block lie in the low halves of 16 bytes, numbers 16..31
// in the high halves.
int Nibble(const std::byte* quants, int i) {
  return i < 16 ? ByteAt(quants, i) & 15 : ByteAt(quants, i - 16) >> 4;
}

// The fifth bits of 32 numbers are one little-endian word.
int FifthBit(const std::byte* word, int i) {
  return (ByteAt(word, i / 8) >> i % 8 & 1) << 4;
}

// The layout is [f16 scale | 16 bytes]; a number is scale * (q - 8).
void DequantizeQ4_0(const std::byte* block, float* out) {
  const float scale = Float16At(block);
  for (int i = 0; i < 32; ++i) out[i] = scale * (Nibble(block + 2, i) - 8);
}

// The layout is [f16 scale | f16 minimum | 16 bytes]; a number is scale * q +
// minimum.
void DequantizeQ4_1(const std::byte* block, float* out) {
  const float scale = Float16At(block), minimum = Float16At(block + 2);
  for (int i = 0; i < 32; ++i) {
    out[i] = scale * Nibble(block + 4, i) + minimum;
  }
}

// The layout is [f16 scale | 4 bytes of fifth bits | 16 bytes]; a number is
// scale * (q - 16).
void DequantizeQ5_0(const std::byte* block, float* out) {
  const float scale = Float16At(block);
  for (int i = 0; i < 32; ++i) {
    const int quant = Nibble(block + 6, i) | FifthBit(block + 2, i);
    out[i] = scale * (quant - 16);
  }
}

// The layout is [f16 scale | f16 minimum | 4 bytes of fifth bits | 16 bytes]; a
// number is scale * q + minimum.
void DequantizeQ5_1(const std::byte* block, float* out) {
  const float scale = Float16At(block), minimum = Float16At(block + 2);
  for (int i = 0; i < 32; ++i) {
    const int quant = Nibble(block + 8, i) | FifthBit(block + 4, i);
    out[i] = scale * quant + minimum;
  }
}

// The layout is [f16 scale | 32 signed bytes]; a number is scale * q.
void DequantizeQ8_0(const std::byte* block, float* out) {
  const float scale = Float16At(block);
  for (int i = 0; i < 32; ++i) {
    out[i] = scale * static_cast<int8_t>(ByteAt(block + 2, i));
  }
}

using DequantizeBlock = void (*)(const std::byte*, float*);

DequantizeBlock BlockFunction(BlockFormat format) {
  switch (format) {
    case BlockFormat::kQ4_0:
      return DequantizeQ4_0;
    case BlockFormat::kQ4_1:
      return DequantizeQ4_1;
    case BlockFormat::kQ5_0:
      return DequantizeQ5_0;
    case BlockFormat::kQ5_1:
      return DequantizeQ5_1;
    case BlockFormat::kQ8_0:
      return DequantizeQ8_0;
    case BlockFormat::kQ4_K:
      return DequantizeQ4_K;
    case BlockFormat::kQ5_K:
      return DequantizeQ5_K;
    case BlockFormat::kQ6_K:
      return DequantizeQ6_K;
    case BlockFormat::kIQ4_NL:
      return DequantizeIQ4_NL;
    case BlockFormat::kIQ4_XS:
      return DequantizeIQ4_XS;
    default:
      Fatal("block format out of range");
  }
}

}  // namespace

void Dequantize(BlockFormat format, const std::byte* blocks,
                Vector<float> out) {
  if (format == BlockFormat::kF32) {
    DecodeRow(RowFormat::kF32, blocks, out);
  } else if (format == BlockFormat::kF16) {
    DecodeRow(RowFormat::kF16, blocks, out);
  } else if (format == BlockFormat::kBF16) {
    DecodeRow(RowFormat::kBF16, blocks, out);
  } else {
    const size_t size = BlockSize(format), bytes = BlockBytes(format);
    SUBGEN_CHECK(out.size() % size == 0, out.size(), " numbers in blocks of ",
                 size);
    const DequantizeBlock dequantize = BlockFunction(format);
    for (size_t i = 0; i < out.size(); i += size, blocks += bytes) {
      dequantize(blocks, &out[i]);
    }
  }
}

}  // namespace subgen
