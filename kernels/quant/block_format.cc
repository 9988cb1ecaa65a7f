#include "kernels/quant/block_format.h"

#include <array>

#include "absl/strings/str_join.h"

namespace subgen {
namespace {

struct FormatInfo {
  BlockFormat format;
  absl::string_view name;
  int64_t size;   // numbers
  int64_t bytes;  // of a block
};

constexpr std::array<FormatInfo, 13> kFormats = {{
    {BlockFormat::kF32, "F32", 1, 4},
    {BlockFormat::kF16, "F16", 1, 2},
    {BlockFormat::kBF16, "BF16", 1, 2},
    {BlockFormat::kQ4_0, "Q4_0", 32, 18},
    {BlockFormat::kQ4_1, "Q4_1", 32, 20},
    {BlockFormat::kQ5_0, "Q5_0", 32, 22},
    {BlockFormat::kQ5_1, "Q5_1", 32, 24},
    {BlockFormat::kQ8_0, "Q8_0", 32, 34},
    {BlockFormat::kQ4_K, "Q4_K", 256, 144},
    {BlockFormat::kQ5_K, "Q5_K", 256, 176},
    {BlockFormat::kQ6_K, "Q6_K", 256, 210},
    {BlockFormat::kIQ4_NL, "IQ4_NL", 32, 18},
    {BlockFormat::kIQ4_XS, "IQ4_XS", 256, 136},
}};

const FormatInfo& Info(BlockFormat format) {
  for (const FormatInfo& info : kFormats) {
    if (info.format == format) return info;
  }
  Fatal("block format out of range");
}

}  // namespace

std::optional<BlockFormat> BlockFormatFromGguf(uint32_t type) {
  for (const FormatInfo& info : kFormats) {
    if (static_cast<uint32_t>(info.format) == type) return info.format;
  }
  return std::nullopt;
}

absl::string_view BlockFormatName(BlockFormat format) {
  return Info(format).name;
}

std::string BlockFormatNames() {
  return absl::StrJoin(kFormats, ", ", [](std::string* out, const auto& info) {
    absl::StrAppend(out, info.name);
  });
}

int64_t BlockSize(BlockFormat format) { return Info(format).size; }

int64_t BlockBytes(BlockFormat format) { return Info(format).bytes; }

WeightMatrix WeightMatrix::RowRange(int64_t first, int64_t count) const {
  SUBGEN_CHECK(first >= 0 && count >= 0 && first <= rows - count, first, " + ",
               count, " of ", rows, " rows");
  WeightMatrix part = *this;
  part.data = row(first);
  part.rows = count;
  return part;
}

WeightMatrix WeightMatrix::ColumnRange(int64_t first, int64_t count) const {
  const int64_t size = BlockSize(format);
  SUBGEN_CHECK(first >= 0 && count >= 0 && first <= cols - count, first, " + ",
               count, " of ", cols, " columns");
  SUBGEN_CHECK(first % size == 0 && count % size == 0, "columns ", first, " + ",
               count, " in blocks of ", size);
  WeightMatrix part = *this;
  part.data = data + first / size * BlockBytes(format);
  part.cols = count;
  return part;
}

}  // namespace subgen
