// This says how one row (a key or a value of head_dim numbers) is stored in a
// cache. Which rows are kept is a policy's business; this is the only place
// that knows what a row looks like in memory.
#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "kernels/memory/view.h"

namespace subgen {

// The last three are quantized in blocks, see row_blocks.h.
enum class RowFormat { kF32, kBF16, kF16, kQ8, kQ4, kQ3 };

// The names are "f32", "bf16", "f16", "q8", "q4", "q3".
absl::StatusOr<RowFormat> ParseRowFormat(absl::string_view name);
absl::string_view RowFormatName(RowFormat format);

// Returns how many numbers share a scale; it is 1 for formats that are not
// quantized. q8: 32. q4 and q3: 64 where that divides `dim`, else 32. `dim`
// must be a multiple of it.
int64_t RowBlock(RowFormat format, int64_t dim);
inline constexpr int64_t kMostRowBlock = 64;
inline bool IsQuantized(RowFormat format) { return format >= RowFormat::kQ8; }

// Returns the bytes of one row of `dim` numbers.
int64_t RowBytes(RowFormat format, int64_t dim);

// Rounds to nearest, ties to even (away from zero where quantized); NaN stays
// NaN.
void EncodeRow(RowFormat format, Vector<const float> row, std::byte* out);
void DecodeRow(RowFormat format, const std::byte* row, Vector<float> out);
// Converts a row from one format to another; the bytes stay the same if the
// formats are the same.
void ConvertRow(RowFormat from, const std::byte* row, int64_t dim, RowFormat to,
                std::byte* out);

// Each of these converts one number, as bits.
uint16_t FloatToBF16(float value);
float BF16ToFloat(uint16_t bits);
uint16_t FloatToF16(float value);
float F16ToFloat(uint16_t bits);

// Rows of one format are packed one behind the other.
struct Rows {
  RowFormat format = RowFormat::kF32;
  const std::byte* data = nullptr;
  int64_t count = 0;
  int64_t dim = 0;

  const std::byte* row(int64_t i) const {
    return data + i * RowBytes(format, dim);
  }
};

// Returns a view of float rows as they are; `matrix` must be packed (stride ==
// cols).
Rows FloatRows(Matrix<const float> matrix);

}  // namespace subgen
