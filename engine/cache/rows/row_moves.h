// These are rows on their way out of windows and into them, gathered so that a
// backend moves many at once.
#pragma once

#include <vector>

#include "engine/cache/rows/row_store.h"
#include "kernels/row_ops.h"

namespace subgen {

class RowMoves {
 public:
  explicit RowMoves(RowOps& ops) : ops_(ops) {}

  // Move a key and its value from one place to another, each in the format of
  // its layout. What goes out is read before anything goes in; where that is
  // not the order of the calls, those before are run first.
  void Out(RowLayout from_layout, EncodedRow from, RowLayout to_layout,
           MutableRow to);
  void In(RowLayout from_layout, EncodedRow from, RowLayout to_layout,
          MutableRow to);
  // Says that from here on places are of another sequence, or of one that is
  // done with. What was asked for before shares none with them, so it is not
  // looked at.
  void NextSequence();
  // Move a score in the same way.
  void Out(const float* from, float* to);
  void In(const float* from, float* to);
  // Makes room for so many rows; what was asked for is done before a row
  // changes its place.
  template <class Store>
  void Grow(int64_t rows, Store* store) {
    if (rows <= store->size()) return;
    if (!store->HasRoom(rows)) Run();
    store->Resize(rows);
  }
  // Does all that was asked for. It is to be called before a place is freed or
  // read.
  void Run();

 private:
  struct Copies {
    std::vector<RowCopy> all;
    size_t others = 0;  // the first so many, of other sequences

    void Add(const RowCopy& copy);
    // Tells whether one of this sequence writes these bytes.
    bool Writes(const std::byte* first, int64_t bytes) const;
    void Clear() {
      all.clear();
      others = 0;
    }
  };

  RowOps& ops_;
  Copies out_, in_;
};

}  // namespace subgen
