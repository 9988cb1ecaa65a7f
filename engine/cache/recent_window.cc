#include "engine/cache/recent_window.h"

namespace subgen {

RowRing::SegmentList RowRing::Segments(int64_t begin, int64_t end) const {
  if (begin >= end) return {};
  const int64_t row = Row(begin), count = end - begin;
  const int64_t before_wrap = std::min(count, first + rows - row);
  if (before_wrap == count) return {{row, count}};
  // A full ring is one piece, whatever its oldest row.
  if (count == rows) return {{first, count}};
  return {{first, count - before_wrap}, {row, before_wrap}};
}

RecentWindow::RecentWindow(const WindowShape& shape, RowLayout layout)
    : shape_(shape),
      layout_(layout),
      sink_rows_(shape.sink_rows()),
      exact_ring_{sink_rows_, shape.exact_rows(), sink_rows_},
      quantized_ring_{0, shape.quantized_rows(), sink_rows_},
      store_(layout.Exact(), sink_rows_ + exact_ring_.rows),
      quantized_(layout, quantized_ring_.rows),
      scores_(shape.scored ? sink_rows_ + exact_ring_.rows : 0, 1, 64,
              layout.mirror),
      begin_(sink_rows_),
      exact_begin_(sink_rows_) {}

int64_t RecentWindow::ExactBegin(int64_t end) const {
  if (end <= sink_rows_) return sink_rows_;
  const TokenDealing& dealing = shape_.dealing;
  return std::max(begin_, dealing.Before(dealing.Position(end - 1) + 1 -
                                         shape_.exact_tokens));
}

void RecentWindow::QuantizeBefore(int64_t end, RowMoves* moves) {
  for (const int64_t begin = ExactBegin(end); exact_begin_ < begin;
       ++exact_begin_) {
    const int64_t row = quantized_ring_.Row(exact_begin_);
    if (!quantized_.HasRoom(row + 1)) moves->Run();
    if (row >= quantized_.size()) quantized_.Resize(row + 1);
    moves->Out(layout_.Exact(), store_.row(exact_ring_.Row(exact_begin_)),
               layout_, quantized_.place(row));
  }
}

void RecentWindow::Push(const WindowToken& token, RowFormat format,
                        RowMoves* moves) {
  SUBGEN_CHECK(shape_.dealing.Owns(token.position) &&
                   shape_.dealing.Before(token.position) == end_,
               "position ", token.position,
               " is not the next one of its token shard");
  QuantizeBefore(end_ + 1, moves);
  SUBGEN_CHECK(end_ - exact_begin_ < exact_ring_.rows);
  const int64_t row = Row(end_++);
  if (!store_.HasRoom(row + 1)) moves->Run();
  if (row == store_.size()) store_.Resize(row + 1);
  moves->In({format, layout_.head_dim}, token.row, layout_.Exact(),
            store_.place(row));
  if (!shape_.scored) return;
  if (!scores_.HasRoom(row + 1)) moves->Run();
  if (row == scores_.size()) scores_.Resize(row + 1);
  moves->In(token.score, scores_.row(row));
}

WindowToken RecentWindow::Token(int64_t number) const {
  const int64_t row = Row(number);
  return {shape_.dealing.Position(number), store_.row(row),
          shape_.scored ? scores_.row(row) : nullptr};
}

std::vector<WindowToken> RecentWindow::Tokens() const {
  SUBGEN_CHECK(left() == 0 && exact_begin_ == begin_);
  std::vector<WindowToken> tokens;
  for (int64_t number = 0; number < end_; ++number) {
    tokens.push_back(Token(number));
  }
  return tokens;
}

bool RecentWindow::HasLeaving(int64_t next_position) const {
  return begin_ < end_ &&
         shape_.dealing.Position(begin_) < next_position - shape_.recent_tokens;
}

WindowToken RecentWindow::Front() const {
  SUBGEN_CHECK(begin_ == exact_begin_);  // a sketch quantizes what leaves
  return Token(begin_);
}

void RecentWindow::Pop() {
  ++begin_;
  exact_begin_ = std::max(exact_begin_, begin_);
}

RowRing::SegmentList RecentWindow::ExactSegments() const {
  return exact_ring_.Segments(exact_begin_, end_);
}

RowRing::SegmentList RecentWindow::Segments() const {
  RowRing::SegmentList all = ExactSegments();
  if (sinks_held() == 0) return all;
  // Sinks and what lies right behind them are one piece.
  if (!all.empty() && all.front().first == sink_rows_) {
    all.front() = {0, sink_rows_ + all.front().count};
  } else {
    all.insert(all.begin(), {0, sinks_held()});
  }
  return all;
}

void RecentWindow::AddRows(std::vector<WeightedRows>* out) const {
  for (const RowRing::Segment& s : Segments()) {
    out->push_back(store_.View(s.first, s.count));
  }
  AddQuantizedRows(out);
}

void RecentWindow::AddRecentRows(std::vector<WeightedRows>* out) const {
  for (const RowRing::Segment& s : ExactSegments()) {
    out->push_back(store_.View(s.first, s.count));
  }
  AddQuantizedRows(out);
}

void RecentWindow::AddQuantizedRows(std::vector<WeightedRows>* out) const {
  for (const RowRing::Segment& s :
       quantized_ring_.Segments(begin_, exact_begin_)) {
    out->push_back(quantized_.View(s.first, s.count));
  }
}

WeightedRows RecentWindow::SinkRows() const {
  return store_.View(0, sinks_held());
}

std::vector<Vector<float>> RecentWindow::Scores() {
  std::vector<Vector<float>> out;
  for (const RowRing::Segment& s : Segments()) {
    out.push_back(scores_.span().subspan(s.first, s.count));
  }
  return out;
}

int64_t RecentWindow::rows() const {
  return sinks_held() + std::max<int64_t>(0, end_ - begin_);
}

void RecentWindow::Save(ByteWriter* out) const {
  store_.Save(out);
  quantized_.Save(out);
  scores_.Save(out);
}

absl::Status RecentWindow::Load(ByteReader* in, int64_t next_position) {
  RETURN_IF_ERROR(store_.Load(in));
  RETURN_IF_ERROR(quantized_.Load(in));
  RETURN_IF_ERROR(scores_.Load(in));
  end_ = shape_.dealing.Before(next_position);
  begin_ = std::max(
      sink_rows_, shape_.dealing.Before(next_position - shape_.recent_tokens));
  exact_begin_ = ExactBegin(end_);
  const int64_t held = std::min(end_, sink_rows_ + exact_ring_.rows);
  RETURN_IF_ERROR(CheckSaved(store_.size() == held, "the window"));
  for (const RowRing::Segment& s :
       quantized_ring_.Segments(begin_, exact_begin_)) {
    RETURN_IF_ERROR(CheckSaved(s.first + s.count <= quantized_.size(),
                               "the quantized window"));
  }
  return CheckSaved(!shape_.scored || scores_.size() == held, "the scores");
}

}  // namespace subgen
