#include "engine/cache/rows/row_moves.h"

namespace subgen {
namespace {

RowCopy CopyOf(RowLayout from_layout, const std::byte* from,
               RowLayout to_layout, std::byte* to) {
  return {{from_layout.format, from, 1, from_layout.head_dim},
          to_layout.format,
          to};
}

RowCopy CopyOf(const float* from, float* to) {
  const RowLayout layout = {RowFormat::kF32, 1};
  return CopyOf(layout, reinterpret_cast<const std::byte*>(from), layout,
                reinterpret_cast<std::byte*>(to));
}

}  // namespace

bool RowMoves::Copies::Writes(const std::byte* first, int64_t bytes) const {
  for (size_t i = others; i < all.size(); ++i) {
    const RowCopy& copy = all[i];
    if (first < copy.to + copy.to_bytes() && copy.to < first + bytes) {
      return true;
    }
  }
  return false;
}

// Rows that follow one another, here and there, become one copy. The one before
// is looked for in the list, as the keys and values of several heads alternate
// there. Copies of other sequences are left out, so that the search does not
// grow with the batch.
void RowMoves::Copies::Add(const RowCopy& copy) {
  for (size_t i = all.size(); i > others; --i) {
    RowCopy& before = all[i - 1];
    if (before.from.format == copy.from.format &&
        before.format == copy.format &&
        before.from.row(before.from.count) == copy.from.data &&
        before.to + before.to_bytes() == copy.to) {
      ++before.from.count;
      return;
    }
  }
  all.push_back(copy);
}

void RowMoves::NextSequence() {
  out_.others = out_.all.size();
  in_.others = in_.all.size();
}

void RowMoves::Out(RowLayout from_layout, EncodedRow from, RowLayout to_layout,
                   MutableRow to) {
  const int64_t bytes = from_layout.row_bytes();
  // A row that waits to come in here must be here before it can go out. A key
  // and its value are written together, so the key alone is looked at.
  if (in_.Writes(from.key, bytes)) Run();
  out_.Add(CopyOf(from_layout, from.key, to_layout, to.key));
  out_.Add(CopyOf(from_layout, from.value, to_layout, to.value));
}

void RowMoves::In(RowLayout from_layout, EncodedRow from, RowLayout to_layout,
                  MutableRow to) {
  // Two rows for one place would be copied in no order.
  if (in_.Writes(to.key, to_layout.row_bytes())) Run();
  in_.Add(CopyOf(from_layout, from.key, to_layout, to.key));
  in_.Add(CopyOf(from_layout, from.value, to_layout, to.value));
}

void RowMoves::Out(const float* from, float* to) {
  const RowCopy copy = CopyOf(from, to);
  if (in_.Writes(copy.from.data, sizeof(float))) Run();
  out_.Add(copy);
}

void RowMoves::In(const float* from, float* to) {
  const RowCopy copy = CopyOf(from, to);
  if (in_.Writes(copy.to, sizeof(float))) Run();
  in_.Add(copy);
}

void RowMoves::Run() {
  // Rows go out first: those that come in may take their places.
  for (Copies* copies : {&out_, &in_}) {
    if (!copies->all.empty()) ops_.ConvertRows(copies->all);
    copies->Clear();
  }
}

}  // namespace subgen
