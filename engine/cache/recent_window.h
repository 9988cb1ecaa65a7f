// The tokens of one KV head of one slot that are always exact: sinks (the first
// of the sequence, Xiao et al., arXiv 2309.17453) and the most recent. Which
// they are follows from positions alone, so that every token shard agrees.
#pragma once

#include <vector>

#include "engine/cache/row_store.h"
#include "engine/cache/token_dealing.h"

namespace subgen {

struct WindowShape {
  TokenDealing dealing;
  int64_t sink_tokens = 0;    // positions below are sinks
  int64_t recent_tokens = 1;  // >= 1; kEveryToken: nothing ever leaves
  bool scored = false;        // each row has a score

  static constexpr int64_t kEveryToken = int64_t{1} << 40;
  // Rows of this shard.
  int64_t sink_rows() const { return dealing.Before(sink_tokens); }
  int64_t ring_rows() const { return dealing.MostOf(recent_tokens); }
};

// A token that is no longer recent. Valid until the window changes.
struct LeavingToken {
  int64_t position = 0;
  EncodedRow row;
  float score = 0.0f;
};

class RecentWindow {
 public:
  RecentWindow(const WindowShape& shape, RowLayout layout);

  // The next owned position. Those that leave by it must be out already.
  void Push(int64_t position, Vector<const float> key,
            Vector<const float> value, float score = 0.0f);
  // Whether the oldest recent token is not recent any more in a sequence of
  // `next_position` tokens; Front is that token, Pop lets it go.
  bool HasLeaving(int64_t next_position) const;
  LeavingToken Front() const;
  void Pop() { ++begin_; }

  // Appends views of the rows; those of the sinks come first.
  void AddRows(std::vector<WeightedRows>* out) const;
  void AddRecentRows(std::vector<WeightedRows>* out) const;
  WeightedRows SinkRows() const;
  // Scores of the rows of AddRows, view by view.
  std::vector<Vector<float>> Scores();

  // Tokens that left so far.
  int64_t left() const { return begin_ - sink_rows_; }
  int64_t rows() const;
  int64_t bytes() const { return store_.bytes() + scores_.bytes(); }

  void Save(ByteWriter* out) const;
  // What a window holds after `next_position` tokens.
  absl::Status Load(ByteReader* in, int64_t next_position);

 private:
  struct Segment {
    int64_t first = 0, count = 0;
  };
  int64_t Row(int64_t number) const;
  int64_t sinks_held() const { return std::min(end_, sink_rows_); }
  std::vector<Segment> RecentSegments() const;
  std::vector<Segment> Segments() const;

  WindowShape shape_;
  int64_t sink_rows_, ring_rows_;
  // Row i < sink_rows_: sink i. Behind them a ring of the recent tokens.
  RowStore store_;
  Column<float> scores_;
  // Numbers (TokenDealing) of the recent tokens held: [begin_, end_).
  int64_t begin_, end_ = 0;
};

}  // namespace subgen
