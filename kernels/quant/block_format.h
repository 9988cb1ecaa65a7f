// Defines the tensor formats of GGUF: what a block holds, and how to read it.
// Layouts follow the GGUF specification (ggml, "Tensor encoding schemes").
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "kernels/memory/view.h"

namespace subgen {

// The values are GGUF's own type numbers.
enum class BlockFormat : uint32_t {
  kF32 = 0,
  kF16 = 1,
  kQ4_0 = 2,
  kQ4_1 = 3,
  kQ5_0 = 6,
  kQ5_1 = 7,
  kQ8_0 = 8,
  kQ4_K = 12,
  kQ5_K = 13,
  kQ6_K = 14,
  kIQ4_NL = 20,
  kIQ4_XS = 23,
  kBF16 = 30,
};

// Returns nothing if the number is no format that the engine reads.
std::optional<BlockFormat> BlockFormatFromGguf(uint32_t type);
absl::string_view BlockFormatName(BlockFormat format);  // "Q4_1"
std::string BlockFormatNames();  // of all: "F32, F16, ..."

int64_t BlockSize(BlockFormat format);   // numbers in a block: 1, 32 or 256
int64_t BlockBytes(BlockFormat format);  // bytes of a block

// Expands `out.size()` numbers, a multiple of the block size, bit for bit as
// the `gguf` Python package does.
void Dequantize(BlockFormat format, const std::byte* blocks, Vector<float> out);

// This is a matrix in the file's format, [rows, cols], with one output feature
// per row. It is a view: the memory belongs to the model file. Columns start
// and end on block borders.
struct WeightMatrix {
  BlockFormat format = BlockFormat::kF32;
  const std::byte* data = nullptr;
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t row_stride = 0;  // bytes from one row to the next

  const std::byte* row(int64_t i) const { return data + i * row_stride; }
  int64_t row_bytes() const {
    return cols / BlockSize(format) * BlockBytes(format);
  }
  // These return a range of rows, and a range of columns on block borders.
  WeightMatrix RowRange(int64_t first, int64_t count) const;
  WeightMatrix ColumnRange(int64_t first, int64_t count) const;
};

}  // namespace subgen
