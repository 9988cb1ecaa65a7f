#include "engine/cache/rows/window.h"

#include "kernels/base/status_macros.h"

namespace subgen {

RowRing::SegmentList RowRing::Segments(int64_t begin, int64_t end) const {
  if (begin >= end) return {};
  const int64_t row = Row(begin), count = end - begin;
  const int64_t before_wrap = std::min(count, first + rows - row);
  if (before_wrap == count) return {{row, count}};
  // A full ring is one segment, whatever its oldest row is: attention does not
  // depend on the order of rows.
  if (count == rows) return {{first, count}};
  return {{first, count - before_wrap}, {row, before_wrap}};
}

Window::Window(const WindowShape& shape, RowLayout layout, int heads)
    : shape_(shape),
      layout_(layout),
      sink_rows_(shape.sink_rows()),
      exact_ring_{sink_rows_, shape.exact_rows(), sink_rows_},
      quantized_ring_{0, shape.quantized_rows(), sink_rows_},
      begin_(sink_rows_),
      exact_begin_(sink_rows_) {
  const int64_t exact = sink_rows_ + exact_ring_.rows;
  for (int head = 0; head < heads; ++head) {
    heads_.push_back(
        {RowStore(layout.Exact(), exact),
         RowStore(layout, quantized_ring_.rows),
         Column<float>(shape.scored ? exact : 0, 1, 64, layout.mirror)});
  }
}

int64_t Window::ExactBegin(int64_t end) const {
  if (end <= sink_rows_) return sink_rows_;
  const TokenDealing& dealing = shape_.dealing;
  // Age is counted in positions of the sequence, of which this shard owns only
  // some.
  return std::max(begin_, dealing.Before(dealing.Position(end - 1) + 1 -
                                         shape_.exact_tokens));
}

void Window::QuantizeBefore(int64_t end, RowMoves* moves) {
  for (const int64_t begin = ExactBegin(end); exact_begin_ < begin;
       ++exact_begin_) {
    const int64_t row = quantized_ring_.Row(exact_begin_);
    for (Head& head : heads_) {
      moves->Grow(row + 1, &head.quantized);
      moves->Out(layout_.Exact(), head.exact.row(exact_ring_.Row(exact_begin_)),
                 layout_, head.quantized.place(row));
    }
  }
}

void Window::Push(int64_t position, RowFormat format, RowOfHead row_of_head,
                  RowMoves* moves) {
  SUBGEN_CHECK(
      shape_.dealing.Owns(position) && shape_.dealing.Before(position) == end_,
      "position ", position, " is not the next one of its token shard");
  // The row that becomes too old is quantized before the new one takes its
  // place in the ring.
  QuantizeBefore(end_ + 1, moves);
  SUBGEN_CHECK(end_ - exact_begin_ < exact_ring_.rows);
  const int64_t row = Row(end_++);
  for (size_t i = 0; i < heads_.size(); ++i) {
    Head& head = heads_[i];
    const StoredRow from = row_of_head(static_cast<int>(i));
    moves->Grow(row + 1, &head.exact);
    moves->In({format, layout_.head_dim}, from.row, layout_.Exact(),
              head.exact.place(row));
    if (!shape_.scored) continue;
    moves->Grow(row + 1, &head.scores);
    moves->In(from.score, head.scores.row(row));
  }
}

StoredRow Window::Token(int head, int64_t number) const {
  const int64_t row = Row(number);
  return {heads_[head].exact.row(row),
          shape_.scored ? heads_[head].scores.row(row) : nullptr};
}

bool Window::HasLeaving(int64_t next_position) const {
  return begin_ < end_ &&
         FrontPosition() < next_position - shape_.recent_tokens;
}

StoredRow Window::Front(int head) const {
  // A row is quantized once: where a sketch takes what leaves, the window must
  // not have quantized it before.
  SUBGEN_CHECK(begin_ == exact_begin_);  // a sketch quantizes what leaves
  return Token(head, begin_);
}

void Window::Pop() {
  ++begin_;
  exact_begin_ = std::max(exact_begin_, begin_);
}

RowRing::SegmentList Window::ExactSegments() const {
  return exact_ring_.Segments(exact_begin_, end_);
}

RowRing::SegmentList Window::Segments() const {
  RowRing::SegmentList all = ExactSegments();
  if (sinks_held() == 0) return all;
  // Sinks and what lies right behind them become one segment: fewer segments
  // are fewer tasks of attention.
  if (!all.empty() && all.front().first == sink_rows_) {
    all.front() = {0, sink_rows_ + all.front().count};
  } else {
    all.insert(all.begin(), {0, sinks_held()});
  }
  return all;
}

void Window::AddRows(int head, std::vector<WeightedRows>* out) const {
  for (const RowRing::Segment& s : Segments()) {
    out->push_back(heads_[head].exact.View(s.first, s.count));
  }
  AddQuantizedRows(heads_[head], out);
}

void Window::AddRecentRows(int head, std::vector<WeightedRows>* out) const {
  for (const RowRing::Segment& s : ExactSegments()) {
    out->push_back(heads_[head].exact.View(s.first, s.count));
  }
  AddQuantizedRows(heads_[head], out);
}

void Window::AddQuantizedRows(const Head& head,
                              std::vector<WeightedRows>* out) const {
  for (const RowRing::Segment& s :
       quantized_ring_.Segments(begin_, exact_begin_)) {
    out->push_back(head.quantized.View(s.first, s.count));
  }
}

WeightedRows Window::SinkRows(int head) const {
  return heads_[head].exact.View(0, sinks_held());
}

std::vector<Vector<float>> Window::Scores(int head) {
  std::vector<Vector<float>> out;
  for (const RowRing::Segment& s : Segments()) {
    out.push_back(heads_[head].scores.span().subspan(s.first, s.count));
  }
  return out;
}

int64_t Window::rows() const {
  const int64_t recent = std::max<int64_t>(0, end_ - begin_);
  return static_cast<int64_t>(heads_.size()) * (sinks_held() + recent);
}

ByteUse Window::bytes() const {
  ByteUse all;
  for (const Head& head : heads_) {
    all += BytesOf(head.exact, head.quantized, head.scores);
  }
  return all;
}

void Window::Save(ByteWriter* out) const {
  for (const Head& head : heads_) {
    SaveAll(out, head.exact, head.quantized, head.scores);
  }
}

absl::Status Window::Load(ByteReader* in, int64_t next_position) {
  // Which tokens are held follows from the length of the sequence; the bytes
  // are only checked against it.
  end_ = shape_.dealing.Before(next_position);
  begin_ = std::max(
      sink_rows_, shape_.dealing.Before(next_position - shape_.recent_tokens));
  exact_begin_ = ExactBegin(end_);
  for (Head& head : heads_) RETURN_IF_ERROR(LoadHead(in, &head));
  return absl::OkStatus();
}

absl::Status Window::LoadHead(ByteReader* in, Head* head) const {
  RETURN_IF_ERROR(LoadAll(in, &head->exact, &head->quantized, &head->scores));
  const int64_t held = std::min(end_, sink_rows_ + exact_ring_.rows);
  RETURN_IF_ERROR(CheckSaved(head->exact.size() == held, "the window"));
  for (const RowRing::Segment& s :
       quantized_ring_.Segments(begin_, exact_begin_)) {
    RETURN_IF_ERROR(CheckSaved(s.first + s.count <= head->quantized.size(),
                               "the quantized window"));
  }
  return CheckSaved(!shape_.scored || head->scores.size() == held,
                    "the scores");
}

}  // namespace subgen
