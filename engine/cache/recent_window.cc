#include "engine/cache/recent_window.h"

namespace subgen {

RecentWindow::RecentWindow(const WindowShape& shape, RowLayout layout)
    : shape_(shape),
      sink_rows_(shape.sink_rows()),
      ring_rows_(shape.ring_rows()),
      store_(layout, sink_rows_ + ring_rows_),
      scores_(shape.scored ? sink_rows_ + ring_rows_ : 0),
      begin_(sink_rows_) {}

int64_t RecentWindow::Row(int64_t number) const {
  if (number < sink_rows_) return number;
  return sink_rows_ + (number - sink_rows_) % ring_rows_;
}

void RecentWindow::Push(int64_t position, Vector<const float> key,
                        Vector<const float> value, float score) {
  SUBGEN_CHECK(
      shape_.dealing.Owns(position) && shape_.dealing.Before(position) == end_,
      "position ", position, " is not the next one of its token shard");
  SUBGEN_CHECK(end_ - begin_ < ring_rows_);
  const int64_t row = Row(end_++);
  store_.Encode(row, key, value);
  if (!shape_.scored) return;
  if (row == scores_.size()) scores_.Resize(row + 1);
  scores_[row] = score;
}

bool RecentWindow::HasLeaving(int64_t next_position) const {
  return begin_ < end_ &&
         shape_.dealing.Position(begin_) < next_position - shape_.recent_tokens;
}

LeavingToken RecentWindow::Front() const {
  const int64_t row = Row(begin_);
  return {shape_.dealing.Position(begin_), store_.row(row),
          shape_.scored ? scores_[row] : 0.0f};
}

std::vector<RecentWindow::Segment> RecentWindow::RecentSegments() const {
  if (begin_ >= end_) return {};
  const int64_t first = Row(begin_), count = end_ - begin_;
  const int64_t before_wrap = std::min(count, sink_rows_ + ring_rows_ - first);
  if (before_wrap == count) return {{first, count}};
  // A full ring is one piece, whatever its oldest row.
  if (count == ring_rows_) return {{sink_rows_, count}};
  return {{sink_rows_, count - before_wrap}, {first, before_wrap}};
}

std::vector<RecentWindow::Segment> RecentWindow::Segments() const {
  std::vector<Segment> all = RecentSegments();
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
  for (const Segment& s : Segments()) {
    out->push_back(store_.View(s.first, s.count));
  }
}

void RecentWindow::AddRecentRows(std::vector<WeightedRows>* out) const {
  for (const Segment& s : RecentSegments()) {
    out->push_back(store_.View(s.first, s.count));
  }
}

WeightedRows RecentWindow::SinkRows() const {
  return store_.View(0, sinks_held());
}

std::vector<Vector<float>> RecentWindow::Scores() {
  std::vector<Vector<float>> out;
  for (const Segment& s : Segments()) {
    out.push_back(scores_.span().subspan(s.first, s.count));
  }
  return out;
}

int64_t RecentWindow::rows() const {
  return sinks_held() + std::max<int64_t>(0, end_ - begin_);
}

void RecentWindow::Save(ByteWriter* out) const {
  store_.Save(out);
  scores_.Save(out);
}

absl::Status RecentWindow::Load(ByteReader* in, int64_t next_position) {
  RETURN_IF_ERROR(store_.Load(in));
  RETURN_IF_ERROR(scores_.Load(in));
  end_ = shape_.dealing.Before(next_position);
  begin_ = std::max(
      sink_rows_, shape_.dealing.Before(next_position - shape_.recent_tokens));
  const int64_t held = std::min(end_, sink_rows_ + ring_rows_);
  RETURN_IF_ERROR(CheckSaved(store_.size() == held, "the window"));
  return CheckSaved(!shape_.scored || scores_.size() == held, "the scores");
}

}  // namespace subgen
