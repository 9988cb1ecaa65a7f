// How one row (a key or a value of head_dim numbers) is stored in a cache.
// Which rows are kept is a policy's business; this is the only place that
// knows what a row looks like in memory.
#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "kernels/memory/view.h"

namespace subgen {

// The last three are quantized in blocks, see row_blocks.h.
enum class RowFormat { kF32, kBF16, kF16, kQ8, kQ4, kQ3 };

// "f32", "bf16", "f16", "q8", "q4", "q3".
absl::StatusOr<RowFormat> ParseRowFormat(absl::string_view name);
absl::string_view RowFormatName(RowFormat format);

// Numbers that share a scale: 1 where nothing is quantized. q8: 32. q4 and q3:
// 64 where that divides `dim`, else 32. `dim` must be a multiple of it.
int64_t RowBlock(RowFormat format, int64_t dim);
inline constexpr int64_t kMostRowBlock = 64;
inline bool IsQuantized(RowFormat format) { return format >= RowFormat::kQ8; }

// Bytes of one row of `dim` numbers.
int64_t RowBytes(RowFormat format, int64_t dim);

// Rounds to nearest, ties to even (away from zero where quantized); NaN stays
// NaN.
void EncodeRow(RowFormat format, Vector<const float> row, std::byte* out);
void DecodeRow(RowFormat format, const std::byte* row, Vector<float> out);
// From one format to another; the same bytes where they are the same.
void ConvertRow(RowFormat from, const std::byte* row, int64_t dim, RowFormat to,
                std::byte* out);

// One number each, as bits.
uint16_t FloatToBF16(float value);
float BF16ToFloat(uint16_t bits);
uint16_t FloatToF16(float value);
float F16ToFloat(uint16_t bits);

// Rows of one format, packed one behind the other.
struct Rows {
  RowFormat format = RowFormat::kF32;
  const std::byte* data = nullptr;
  int64_t count = 0;
  int64_t dim = 0;

  const std::byte* row(int64_t i) const {
    return data + i * RowBytes(format, dim);
  }
};

// Float rows as they are; `matrix` must be packed (stride == cols).
Rows FloatRows(Matrix<const float> matrix);

}  // namespace subgen
