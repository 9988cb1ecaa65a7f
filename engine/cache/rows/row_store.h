// A row store holds encoded keys and values of one KV head of one slot.
#pragma once

#include <cstddef>

#include "engine/cache/rows/column.h"
#include "kernels/weighted_rows.h"

namespace subgen {

struct RowLayout {
  RowFormat format = RowFormat::kF32;
  int64_t head_dim = 0;
  Mirror* mirror = nullptr;  // of stored rows; outlives the stores

  int64_t row_bytes() const { return RowBytes(format, head_dim); }
  // Returns the layout of sinks and recent rows, which are not quantized.
  RowLayout Exact() const {
    return {IsQuantized(format) ? RowFormat::kBF16 : format, head_dim, mirror};
  }
};

// This is a key and its value in some store; the value may be null where none
// is kept.
struct EncodedRow {
  const std::byte* key = nullptr;
  const std::byte* value = nullptr;
};

struct MutableRow {
  std::byte* key = nullptr;
  std::byte* value = nullptr;
};

// This is a row with its score, where there are scores.
struct StoredRow {
  EncodedRow row;
  const float* score = nullptr;
};

class RowStore {
 public:
  enum class Holds { kKeys, kKeysAndValues };

  RowStore() = default;
  RowStore(RowLayout layout, int64_t limit,
           Holds holds = Holds::kKeysAndValues);

  int64_t size() const { return keys_.size(); }
  ByteUse bytes() const { return keys_.bytes() + values_.bytes(); }

  void Resize(int64_t rows);
  // Does as Column::SetLimit.
  void SetLimit(int64_t limit);
  // Removes row i; the last row takes its place.
  void Remove(int64_t i);
  // Sets row i <= size(); i == size() appends. `row` may be of this store,
  // except when appending.
  void Set(int64_t i, EncodedRow row);
  void Encode(int64_t i, Vector<const float> key, Vector<const float> value);

  EncodedRow row(int64_t i) const;
  // Returns where to write a row that there is; whoever writes tells the
  // mirror.
  MutableRow place(int64_t i) { return {keys_.row(i), values_.row(i)}; }
  // Tells whether Resize would leave the rows where they are.
  bool HasRoom(int64_t rows) const { return keys_.HasRoom(rows); }
  // Return all keys or values; whoever writes there tells the mirror.
  std::byte* keys() { return keys_.row(0); }
  std::byte* values() { return has_values_ ? values_.row(0) : nullptr; }
  void DecodeKey(int64_t i, Vector<float> out) const;
  // Views rows [first, first + count), without biases.
  WeightedRows View(int64_t first, int64_t count) const;
  WeightedRows View() const { return View(0, size()); }

  void Save(ByteWriter* out) const;
  absl::Status Load(ByteReader* in);

 private:
  void Written(int64_t i);

  RowLayout layout_;
  bool has_values_ = true;
  Column<std::byte> keys_, values_;
};

}  // namespace subgen
