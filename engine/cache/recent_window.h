// The tokens of one KV head of one slot that are always kept: sinks (the first
// of the sequence, Xiao et al., arXiv 2309.17453) and the most recent. Which
// they are follows from positions alone, so that every token shard agrees.
// Where rows are quantized, sinks and the last `exact_tokens` are not: a row is
// quantized once, when it is as old as that.
#pragma once

#include <algorithm>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "engine/cache/row_moves.h"
#include "engine/cache/row_store.h"
#include "engine/cache/token_dealing.h"

namespace subgen {

struct WindowShape {
  TokenDealing dealing;
  int64_t sink_tokens = 0;             // positions below are sinks
  int64_t recent_tokens = 1;           // >= 1; kEveryToken: nothing ever leaves
  int64_t exact_tokens = kEveryToken;  // of the recent, not quantized
  bool scored = false;  // each row has a score; nothing is quantized here

  static constexpr int64_t kEveryToken = int64_t{1} << 40;
  // Rows of this shard.
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

// Where tokens with consecutive numbers lie in a store: round and round through
// `rows` rows from `first` on.
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
  // Rows of the numbers [begin, end), at most `rows` of them.
  SegmentList Segments(int64_t begin, int64_t end) const;
};

// A token with the place of its rows, and of its score where there are scores.
// Of a window: valid until that changes.
struct WindowToken {
  int64_t position = 0;
  EncodedRow row;
  const float* score = nullptr;
};

class RecentWindow {
 public:
  RecentWindow(const WindowShape& shape, RowLayout layout);

  // The next owned position, of rows in `format`, which `moves` brings in and
  // which stay until it has run. Those that leave by it must be out already.
  void Push(const WindowToken& token, RowFormat format, RowMoves* moves);
  // Whether the oldest recent token is not recent any more in a sequence of
  // `next_position` tokens; Front is that token, Pop lets it go.
  bool HasLeaving(int64_t next_position) const;
  WindowToken Front() const;
  void Pop();

  // Appends views of the rows; those of the sinks come first.
  void AddRows(std::vector<WeightedRows>* out) const;
  void AddRecentRows(std::vector<WeightedRows>* out) const;
  WeightedRows SinkRows() const;
  // Scores of the rows of AddRows, view by view.
  std::vector<Vector<float>> Scores();

  // Of a window of every token: all that it holds, in their order.
  std::vector<WindowToken> Tokens() const;

  // Tokens that left so far.
  int64_t left() const { return begin_ - sink_rows_; }
  int64_t rows() const;
  ByteUse bytes() const {
    return store_.bytes() + quantized_.bytes() + scores_.bytes();
  }

  void Save(ByteWriter* out) const;
  // What a window holds after `next_position` tokens.
  absl::Status Load(ByteReader* in, int64_t next_position);

 private:
  int64_t Row(int64_t number) const {
    return number < sink_rows_ ? number : exact_ring_.Row(number);
  }
  WindowToken Token(int64_t number) const;
  // Quantizes what is old enough when `end` tokens came.
  void QuantizeBefore(int64_t end, RowMoves* moves);
  int64_t sinks_held() const { return std::min(end_, sink_rows_); }
  // Number of the first token that is not quantized, after `end` tokens.
  int64_t ExactBegin(int64_t end) const;
  RowRing::SegmentList ExactSegments() const;
  // Sinks and exact rows, then quantized rows.
  RowRing::SegmentList Segments() const;
  void AddQuantizedRows(std::vector<WeightedRows>* out) const;

  WindowShape shape_;
  RowLayout layout_;
  int64_t sink_rows_;
  RowRing exact_ring_, quantized_ring_;
  // Row i < sink_rows_: sink i. Behind them a ring of the exact recent tokens.
  RowStore store_;
  RowStore quantized_;  // a ring of those before them
  Column<float> scores_;
  // Numbers (TokenDealing) of the recent tokens held: [begin_, end_), quantized
  // before exact_begin_.
  int64_t begin_, exact_begin_, end_ = 0;
};

}  // namespace subgen
