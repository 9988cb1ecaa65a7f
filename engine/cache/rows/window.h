// The window holds the tokens of a slot that are always kept, for all its KV
// heads: sinks (the first of the sequence, Xiao et al., arXiv 2309.17453) and
// the most recent. Which they are follows from positions alone, so that every
// head and every token shard agrees. Where rows are quantized, sinks and the
// last `exact_tokens` are not: a row is quantized once, when it is as old as
// that.
#pragma once

#include <algorithm>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/functional/function_ref.h"
#include "comm/token_dealing.h"
#include "engine/cache/rows/row_moves.h"
#include "engine/cache/rows/row_store.h"

namespace subgen {

struct WindowShape {
  TokenDealing dealing;
  int64_t sink_tokens = 0;             // positions below are sinks
  int64_t recent_tokens = 1;           // >= 1; kEveryToken: nothing ever leaves
  int64_t exact_tokens = kEveryToken;  // of the recent, not quantized
  bool scored = false;  // each row has a score; nothing is quantized here

  static constexpr int64_t kEveryToken = int64_t{1} << 40;
  // These are the rows of this shard.
  int64_t sink_rows() const { return dealing.Before(sink_tokens); }
  int64_t exact_rows() const {
    return dealing.MostOf(std::min(recent_tokens, exact_tokens));
  }
  int64_t quantized_rows() const {
    return recent_tokens > exact_tokens
               ? dealing.MostOf(recent_tokens - exact_tokens)
               : 0;
  }
};

// A ring says where tokens with consecutive numbers lie in a store: round and
// round through `rows` rows from `first` on.
struct RowRing {
  int64_t first = 0;
  int64_t rows = 0;
  int64_t first_number = 0;  // the number that lies in row `first`

  struct Segment {
    int64_t first = 0, count = 0;
  };
  int64_t Row(int64_t number) const {
    return first + (number - first_number) % rows;
  }
  using SegmentList = absl::InlinedVector<Segment, 3>;
  // Returns the rows of the numbers [begin, end), at most `rows` of them.
  SegmentList Segments(int64_t begin, int64_t end) const;
};

class Window {
 public:
  Window(const WindowShape& shape, RowLayout layout, int heads);

  // Takes in the next owned position, with the row of each head in `format`.
  // `moves` brings the row in, and it stays until they have run. The tokens
  // that leave by it must be out already.
  using RowOfHead = absl::FunctionRef<StoredRow(int head)>;
  void Push(int64_t position, RowFormat format, RowOfHead row_of_head,
            RowMoves* moves);
  // Tells whether the oldest recent token is not recent any more in a sequence
  // of `next_position` tokens; Front is that token, Pop lets it go.
  bool HasLeaving(int64_t next_position) const;
  int64_t FrontPosition() const { return shape_.dealing.Position(begin_); }
  StoredRow Front(int head) const;  // valid until the window changes
  void Pop();

  // Append views of a head's rows; those of the sinks come first.
  void AddRows(int head, std::vector<WeightedRows>* out) const;
  void AddRecentRows(int head, std::vector<WeightedRows>* out) const;
  WeightedRows SinkRows(int head) const;
  // Returns the scores of the rows of AddRows, view by view.
  std::vector<Vector<float>> Scores(int head);

  // If the window holds every token: how many these are, and each of them.
  int64_t every() const { return end_; }
  int64_t Position(int64_t number) const {
    return shape_.dealing.Position(number);
  }
  StoredRow Token(int head, int64_t number) const;

  // Returns the number of tokens that left so far.
  int64_t left() const { return begin_ - sink_rows_; }
  int64_t rows() const;  // of all heads
  ByteUse bytes() const;

  void Save(ByteWriter* out) const;
  // Reads what a window holds after `next_position` tokens.
  absl::Status Load(ByteReader* in, int64_t next_position);

 private:
  struct Head {
    // Row i < sink_rows_ is sink i. Behind them lies a ring of the exact recent
    // tokens.
    RowStore exact;
    RowStore quantized;  // a ring of those before them
    Column<float> scores;
  };

  int64_t Row(int64_t number) const {
    return number < sink_rows_ ? number : exact_ring_.Row(number);
  }
  // Quantizes what is old enough when `end` tokens came.
  void QuantizeBefore(int64_t end, RowMoves* moves);
  int64_t sinks_held() const { return std::min(end_, sink_rows_); }
  // Returns the number of the first token that is not quantized, after `end`
  // tokens.
  int64_t ExactBegin(int64_t end) const;
  RowRing::SegmentList ExactSegments() const;
  // Returns sinks and exact rows, then quantized rows.
  RowRing::SegmentList Segments() const;
  void AddQuantizedRows(const Head& head, std::vector<WeightedRows>* out) const;
  absl::Status LoadHead(ByteReader* in, Head* head) const;

  WindowShape shape_;
  RowLayout layout_;
  int64_t sink_rows_;
  RowRing exact_ring_, quantized_ring_;
  std::vector<Head> heads_;
  // These are numbers (TokenDealing) of the recent tokens held: [begin_, end_),
  // quantized before exact_begin_.
  int64_t begin_, exact_begin_, end_ = 0;
};

}  // namespace subgen
