// Rows on their way out of windows and into them, gathered so that a backend
// moves many at once.
#pragma once

#include <vector>

#include "engine/cache/row_store.h"
#include "kernels/backend.h"

namespace subgen {

class RowMoves {
 public:
  explicit RowMoves(Backend& backend) : backend_(backend) {}

  // A key and its value from one place to another, each in the format of its
  // layout. What goes out is read before anything goes in; where that is not
  // the order of the calls, those before are run first.
  void Out(RowLayout from_layout, EncodedRow from, RowLayout to_layout,
           MutableRow to);
  void In(RowLayout from_layout, EncodedRow from, RowLayout to_layout,
          MutableRow to);
  // The same of a score.
  void Out(const float* from, float* to);
  void In(const float* from, float* to);
  // Does all that was asked for. To be called before a place is freed or read.
  void Run();

 private:
  using Copies = std::vector<RowCopy>;
  static void Add(const RowCopy& copy, Copies* all);
  // Whether one of them writes these bytes.
  static bool Writes(const Copies& all, const std::byte* first, int64_t bytes);

  Backend& backend_;
  Copies out_, in_;
};

}  // namespace subgen
