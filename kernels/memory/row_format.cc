#include "kernels/memory/row_format.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <iterator>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "kernels/memory/row_blocks.h"

namespace subgen {

namespace {

constexpr absl::string_view kNames[] = {"f32", "bf16", "f16", "q8", "q4", "q3"};

}  // namespace

absl::StatusOr<RowFormat> ParseRowFormat(absl::string_view name) {
  const auto found = std::find(std::begin(kNames), std::end(kNames), name);
  if (found != std::end(kNames)) {
    return static_cast<RowFormat>(found - std::begin(kNames));
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "row format '", name, "': legal are ", absl::StrJoin(kNames, ", ")));
}

absl::string_view RowFormatName(RowFormat format) {
  return kNames[static_cast<int>(format)];
}

int64_t RowBlock(RowFormat format, int64_t dim) {
  if (!IsQuantized(format)) return 1;
  return format == RowFormat::kQ8 || dim % 64 != 0 ? 32 : 64;
}

int64_t RowBytes(RowFormat format, int64_t dim) {
  const int64_t blocks = dim / RowBlock(format, dim);
  switch (format) {
    case RowFormat::kF32:
      return 4 * dim;
    case RowFormat::kBF16:
    case RowFormat::kF16:
      return 2 * dim;
    case RowFormat::kQ8:
      return 2 * blocks + dim;
    case RowFormat::kQ4:
      return 4 * blocks + dim / 2;
    case RowFormat::kQ3:
      return 4 * blocks + dim / 8 * 3;
  }
  Fatal("row format out of range");
}

uint16_t FloatToBF16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffff) > 0x7f800000) {  // NaN: keep the sign, make it quiet
    return static_cast<uint16_t>(bits >> 16 | 0x40);
  }
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

float BF16ToFloat(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

uint16_t FloatToF16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = bits >> 16 & 0x8000;
  const uint32_t magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return static_cast<uint16_t>(sign | 0x7e00);
  if (magnitude >= 0x477ff000) {  // rounds to 2^16 or is beyond it
    return static_cast<uint16_t>(sign | 0x7c00);
  }
  if (magnitude < 0x38800000) {  // subnormal: adding 0.5 aligns the last bit
    const float aligned = std::bit_cast<float>(magnitude) + 0.5f;
    return static_cast<uint16_t>(
        sign | (std::bit_cast<uint32_t>(aligned) - 0x3f000000));
  }
  const uint32_t rounded = magnitude - 0x38000000 + 0xfff + (bits >> 13 & 1);
  return static_cast<uint16_t>(sign | rounded >> 13);
}

float F16ToFloat(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000) << 16;
  const uint32_t exponent = bits >> 10 & 31;
  const uint32_t mantissa = bits & 0x3ff;
  if (exponent == 31) {
    return std::bit_cast<float>(sign | 0x7f800000 | mantissa << 13);
  }
  if (exponent == 0) {
    const float subnormal = static_cast<float>(mantissa) * 0x1p-24f;
    return sign ? -subnormal : subnormal;
  }
  return std::bit_cast<float>(sign | (exponent + 112) << 23 | mantissa << 13);
}

void EncodeRow(RowFormat format, Vector<const float> row, std::byte* out) {
  if (format == RowFormat::kF32) {
    std::memcpy(out, row.data(), row.size_bytes());
    return;
  }
  if (IsQuantized(format)) return EncodeBlocks(format, row, out);
  const auto set = [out](size_t i, uint16_t bits) {
    std::memcpy(out + 2 * i, &bits, 2);
  };
  if (format == RowFormat::kBF16) {  // a loop of its own, of vectors
    for (size_t i = 0; i < row.size(); ++i) set(i, FloatToBF16(row[i]));
    return;
  }
  for (size_t i = 0; i < row.size(); ++i) set(i, FloatToF16(row[i]));
}

void DecodeRow(RowFormat format, const std::byte* row, Vector<float> out) {
  if (format == RowFormat::kF32) {
    std::memcpy(out.data(), row, out.size_bytes());
    return;
  }
  if (IsQuantized(format)) return DecodeBlocks(format, row, out);
  const auto bits = [row](size_t i) {
    uint16_t two;
    std::memcpy(&two, row + 2 * i, 2);
    return two;
  };
  if (format == RowFormat::kBF16) {  // a loop of its own, of vectors
    for (size_t i = 0; i < out.size(); ++i) {
      out[i] = std::bit_cast<float>(uint32_t{bits(i)} << 16);
    }
    return;
  }
  for (size_t i = 0; i < out.size(); ++i) out[i] = F16ToFloat(bits(i));
}

void ConvertRow(RowFormat from, const std::byte* row, int64_t dim, RowFormat to,
                std::byte* out) {
  if (from == to) {
    std::memcpy(out, row, RowBytes(to, dim));
    return;
  }
  if (from == RowFormat::kF32 &&
      reinterpret_cast<uintptr_t>(row) % alignof(float) == 0) {
    const auto* numbers = reinterpret_cast<const float*>(row);
    return EncodeRow(to, {numbers, static_cast<size_t>(dim)}, out);
  }
  std::vector<float> numbers(dim);
  DecodeRow(from, row, numbers);
  EncodeRow(to, numbers, out);
}

Rows FloatRows(Matrix<const float> matrix) {
  SUBGEN_CHECK(matrix.stride == matrix.cols);
  return {RowFormat::kF32, reinterpret_cast<const std::byte*>(matrix.data),
          matrix.rows, matrix.cols};
}

}  // namespace subgen
