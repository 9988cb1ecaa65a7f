#include "engine/cache/rows/row_store.h"

#include <algorithm>

namespace subgen {
namespace {

constexpr int64_t kGrowth = 64;  // rows

}  // namespace

RowStore::RowStore(RowLayout layout, int64_t limit, Holds holds)
    : layout_(layout),
      has_values_(holds == Holds::kKeysAndValues),
      keys_(limit, layout.row_bytes(), kGrowth, layout.mirror),
      values_(has_values_ ? limit : 0, layout.row_bytes(), kGrowth,
              layout.mirror) {}

void RowStore::Resize(int64_t rows) {
  keys_.Resize(rows);
  if (has_values_) values_.Resize(rows);
}

void RowStore::Written(int64_t i) {
  keys_.Written(i, 1);
  if (has_values_) values_.Written(i, 1);
}

void RowStore::SetLimit(int64_t limit) {
  keys_.SetLimit(limit);
  if (has_values_) values_.SetLimit(limit);
}

void RowStore::Remove(int64_t i) {
  const int64_t last = size() - 1;
  // The order of rows is of no matter to attention, so one row moves instead of
  // all behind it.
  if (i != last) Set(i, row(last));
  Resize(last);
}

void RowStore::Set(int64_t i, EncodedRow row) {
  const int64_t bytes = layout_.row_bytes();
  if (i == size()) {
    // A row of this store would move with it when memory grows.
    SUBGEN_CHECK(row.key < keys_.row(0) || row.key >= keys_.row(size()) ||
                 size() == 0);
    Resize(i + 1);
  }
  // The row may be this very one, so bytes may overlap.
  std::memmove(keys_.row(i), row.key, bytes);
  if (has_values_) std::memmove(values_.row(i), row.value, bytes);
  Written(i);
}

void RowStore::Encode(int64_t i, Vector<const float> key,
                      Vector<const float> value) {
  if (i == size()) Resize(i + 1);
  EncodeRow(layout_.format, key, keys_.row(i));
  if (has_values_) EncodeRow(layout_.format, value, values_.row(i));
  Written(i);
}

EncodedRow RowStore::row(int64_t i) const {
  return {keys_.row(i), has_values_ ? values_.row(i) : nullptr};
}

void RowStore::DecodeKey(int64_t i, Vector<float> out) const {
  DecodeRow(layout_.format, keys_.row(i), out);
}

WeightedRows RowStore::View(int64_t first, int64_t count) const {
  SUBGEN_CHECK(first >= 0 && count >= 0 && first + count <= size());
  WeightedRows view;
  view.keys = {layout_.format, keys_.row(first), count, layout_.head_dim};
  view.values = {layout_.format, nullptr, 0, layout_.head_dim};
  if (has_values_) {
    view.values.data = values_.row(first);
    view.values.count = count;
  }
  return view;
}

void RowStore::Save(ByteWriter* out) const {
  keys_.Save(out);
  values_.Save(out);
}

absl::Status RowStore::Load(ByteReader* in) {
  RETURN_IF_ERROR(keys_.Load(in));
  RETURN_IF_ERROR(values_.Load(in));
  // Each column checked its own size only, and the bytes may say anything.
  return CheckSaved(!has_values_ || values_.size() == keys_.size(),
                    "the number of values");
}

}  // namespace subgen
