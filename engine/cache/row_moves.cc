#include "engine/cache/row_moves.h"

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

bool RowMoves::Writes(const Copies& all, const std::byte* first,
                      int64_t bytes) {
  for (const RowCopy& copy : all) {
    if (first < copy.to + copy.to_bytes() && copy.to < first + bytes) {
      return true;
    }
  }
  return false;
}

// Rows that follow one another, here and there, become one.
void RowMoves::Add(const RowCopy& copy, Copies* all) {
  for (auto at = all->rbegin(); at != all->rend(); ++at) {
    if (at->from.format == copy.from.format && at->format == copy.format &&
        at->from.row(at->from.count) == copy.from.data &&
        at->to + at->to_bytes() == copy.to) {
      ++at->from.count;
      return;
    }
  }
  all->push_back(copy);
}

void RowMoves::Out(RowLayout from_layout, EncodedRow from, RowLayout to_layout,
                   MutableRow to) {
  const int64_t bytes = from_layout.row_bytes();
  if (Writes(in_, from.key, bytes)) Run();
  Add(CopyOf(from_layout, from.key, to_layout, to.key), &out_);
  Add(CopyOf(from_layout, from.value, to_layout, to.value), &out_);
}

void RowMoves::In(RowLayout from_layout, EncodedRow from, RowLayout to_layout,
                  MutableRow to) {
  if (Writes(in_, to.key, to_layout.row_bytes())) Run();
  Add(CopyOf(from_layout, from.key, to_layout, to.key), &in_);
  Add(CopyOf(from_layout, from.value, to_layout, to.value), &in_);
}

void RowMoves::Out(const float* from, float* to) {
  const RowCopy copy = CopyOf(from, to);
  if (Writes(in_, copy.from.data, sizeof(float))) Run();
  Add(copy, &out_);
}

void RowMoves::In(const float* from, float* to) {
  const RowCopy copy = CopyOf(from, to);
  if (Writes(in_, copy.to, sizeof(float))) Run();
  Add(copy, &in_);
}

void RowMoves::Run() {
  if (!out_.empty()) backend_.ConvertRows(out_);
  if (!in_.empty()) backend_.ConvertRows(in_);
  out_.clear();
  in_.clear();
}

}  // namespace subgen
