#include "kernels/memory/row_blocks.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

namespace subgen {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

void PutF16(uint16_t bits, std::byte* out) { std::memcpy(out, &bits, 2); }

float F16At(const std::byte* bytes) {
  uint16_t bits;
  std::memcpy(&bits, bytes, 2);
  return F16ToFloat(bits);
}

// These return the largest f16 that is at most x, and the smallest that is at
// least x.
uint16_t F16AtMost(float x) {
  const uint16_t bits = FloatToF16(x);
  if (!(F16ToFloat(bits) > x)) return bits;
  return bits & 0x8000 ? bits + 1 : bits - 1;
}
uint16_t F16AtLeast(float x) { return F16AtMost(-x) ^ 0x8000; }

bool IsFinite(Vector<const float> block) {
  // The sum is NaN if a number is not finite, and needs no branch per number.
  float sum = 0.0f;
  for (const float x : block) sum += 0.0f * x;
  return sum == 0.0f;
}

void EncodeQ8(Vector<const float> block, std::byte* out) {
  float largest = 0.0f;
  for (const float x : block) largest = std::max(largest, std::abs(x));
  PutF16(F16AtLeast(IsFinite(block) ? largest / 127.0f : kNaN), out);
  const float scale = F16At(out);
  const bool some = scale > 0.0f && std::isfinite(scale);
  for (size_t i = 0; i < block.size(); ++i) {
    const float quant = some ? block[i] / scale : 0.0f;
    const auto rounded = static_cast<int8_t>(std::clamp(
        static_cast<int>(quant + (quant < 0.0f ? -0.5f : 0.5f)), -127, 127));
    out[2 + i] = static_cast<std::byte>(rounded);
  }
}

void DecodeQ8(const std::byte* block, Vector<float> out) {
  const float scale = F16At(block);
  for (size_t i = 0; i < out.size(); ++i) {
    out[i] = scale * static_cast<int8_t>(block[2 + i]);
  }
}

// The numbers of a block are rounded to minimum + scale * {0, ..., levels}.
struct Grid {
  float scale = 0.0f;
  float minimum = 0.0f;
  int levels = 0;

  int Nearest(float x) const {
    const float quant = std::clamp((x - minimum) / scale, 0.0f, 1.0f * levels);
    return static_cast<int>(quant + 0.5f);
  }
};

// Makes a grid that spans [low, high]; scale and minimum go to `out` as f16.
// Both are rounded outwards, so that no number lies beyond the grid.
Grid PutGrid(float low, float high, int levels, std::byte* out) {
  PutF16(F16AtMost(low), out + 2);
  const float minimum = F16At(out + 2);
  PutF16(F16AtLeast((high - minimum) / levels), out);
  return {F16At(out), minimum, levels};
}

void PutQuants(Vector<const float> block, const Grid& grid, uint8_t* quants) {
  const bool some = grid.scale > 0.0f && std::isfinite(grid.scale);
  for (size_t i = 0; i < block.size(); ++i) {
    quants[i] = some ? grid.Nearest(block[i]) : 0;
  }
}

float SquaredError(Vector<const float> block, const Grid& grid) {
  constexpr int kSums = 8;  // divides every block
  float sums[kSums] = {};
  for (size_t i = 0; i < block.size(); i += kSums) {
    for (int j = 0; j < kSums; ++j) {
      const float x = block[i + j];
      const float error = grid.minimum + grid.scale * grid.Nearest(x) - x;
      sums[j] += error * error;
    }
  }
  return std::accumulate(sums, sums + kSums, 0.0f);
}

// Returns whether a block is long-tailed: its range is over six deviations.
bool HasOutliers(Vector<const float> block, float range) {
  const float mean =
      std::accumulate(block.begin(), block.end(), 0.0f) / block.size();
  float squares = 0.0f;
  for (const float x : block) squares += (x - mean) * (x - mean);
  return range * range > 36.0f * squares / block.size();
}

// Does what QuantizeBlock does, but cuts off the ends of the range where the
// few numbers there lose less than the others gain by a finer scale. Outliers
// are never cut, because one may carry a whole dot product.
void QuantizeClosely(Vector<const float> block, int levels, std::byte* out,
                     uint8_t* quants) {
  QuantizeBlock(block, levels, out, quants);
  Grid best{F16At(out), F16At(out + 2), levels};
  if (!(best.scale > 0.0f) || !std::isfinite(best.scale)) return;
  const auto [low, high] = std::minmax_element(block.begin(), block.end());
  if (HasOutliers(block, *high - *low)) return;
  float least = SquaredError(block, best);
  bool cut = false;
  for (const float share : {0.03f, 0.06f, 0.09f}) {
    const float less = share * (*high - *low);
    std::byte bytes[4];
    const Grid grid = PutGrid(*low + less, *high - less, levels, bytes);
    const float error = SquaredError(block, grid);
    if (!(error < least)) continue;
    least = error;
    best = grid;
    std::copy_n(bytes, 4, out);
    cut = true;
  }
  if (cut) PutQuants(block, best, quants);
}

void EncodeQ4(Vector<const float> block, std::byte* out) {
  uint8_t quants[kMostRowBlock];
  QuantizeClosely(block, 15, out, quants);
  const size_t half = block.size() / 2;
  for (size_t i = 0; i < half; ++i) {
    out[4 + i] = static_cast<std::byte>(quants[i] | quants[half + i] << 4);
  }
}

void DecodeQ4(const std::byte* block, Vector<float> out) {
  const float scale = F16At(block), minimum = F16At(block + 2);
  const size_t half = out.size() / 2;
  for (size_t i = 0; i < half; ++i) {
    const int both = std::to_integer<int>(block[4 + i]);
    out[i] = scale * (both & 15) + minimum;
    out[half + i] = scale * (both >> 4) + minimum;
  }
}

// Stores eight numbers of three bits in three bytes.
void EncodeQ3(Vector<const float> block, std::byte* out) {
  uint8_t quants[kMostRowBlock];
  QuantizeClosely(block, 7, out, quants);
  for (size_t i = 0; i < block.size(); i += 8) {
    uint32_t bits = 0;
    for (int j = 0; j < 8; ++j) bits |= uint32_t{quants[i + j]} << 3 * j;
    for (int j = 0; j < 3; ++j) {
      out[4 + i / 8 * 3 + j] = static_cast<std::byte>(bits >> 8 * j);
    }
  }
}

void DecodeQ3(const std::byte* block, Vector<float> out) {
  const float scale = F16At(block), minimum = F16At(block + 2);
  for (size_t i = 0; i < out.size(); i += 8) {
    uint32_t bits = 0;
    for (int j = 0; j < 3; ++j) {
      bits |= std::to_integer<uint32_t>(block[4 + i / 8 * 3 + j]) << 8 * j;
    }
    for (int j = 0; j < 8; ++j) {
      out[i + j] = scale * static_cast<int>(bits >> 3 * j & 7) + minimum;
    }
  }
}

}  // namespace

void QuantizeBlock(Vector<const float> block, int levels, std::byte* out,
                   uint8_t* quants) {
  const auto [low, high] = std::minmax_element(block.begin(), block.end());
  Grid grid = PutGrid(*low, *high, levels, out);
  if (!IsFinite(block)) {
    PutF16(FloatToF16(kNaN), out);
    grid.scale = kNaN;
  }
  PutQuants(block, grid, quants);
}

void EncodeBlocks(RowFormat format, Vector<const float> row, std::byte* out) {
  const auto encode = format == RowFormat::kQ8   ? EncodeQ8
                      : format == RowFormat::kQ4 ? EncodeQ4
                                                 : EncodeQ3;
  const size_t size = RowBlock(format, row.size());
  for (size_t i = 0; i < row.size(); i += size) {
    encode(row.subspan(i, size), out);
    out += RowBytes(format, size);
  }
}

void DecodeBlocks(RowFormat format, const std::byte* blocks,
                  Vector<float> out) {
  const auto decode = format == RowFormat::kQ8   ? DecodeQ8
                      : format == RowFormat::kQ4 ? DecodeQ4
                                                 : DecodeQ3;
  const size_t size = RowBlock(format, out.size());
  for (size_t i = 0; i < out.size(); i += size) {
    decode(blocks, out.subspan(i, size));
    blocks += RowBytes(format, size);
  }
}

}  // namespace subgen
