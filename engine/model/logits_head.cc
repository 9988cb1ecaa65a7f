#include "engine/model/logits_head.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace subgen {
namespace {

void Grow(int64_t size, Mirror* mirror, Buffer<float>* buffer) {
  if (buffer->size() < size) *buffer = Buffer<float>(size, mirror);
}

}  // namespace

LogitsHead::LogitsHead(const Weights& weights, std::vector<int> counts,
                       float norm_epsilon, Communicator& world,
                       Backend& backend)
    : weights_(weights),
      counts_(std::move(counts)),
      norm_epsilon_(norm_epsilon),
      world_(world),
      backend_(backend) {}

void LogitsHead::Project(Matrix<float> hidden, Matrix<float> added,
                         Vector<const int> rows) {
  rows_ = std::ssize(rows);
  backend_.Add(added, hidden);
  const Matrix<float> last = added.Rows(0, rows_);
  // Most tokens of a prompt chunk are asked for no logits, so they are left out
  // before the product. `added` has been read, so its memory serves.
  backend_.GatherRows(hidden, rows, last);
  backend_.RmsNorm(last, weights_.output_norm.span(), norm_epsilon_, last);
  // Buffers grow when more rows are read than ever before.
  Grow(rows_ * weights_.unembedding.rows, backend_.mirror(), &my_logits_);
  backend_.Linear(last, weights_.unembedding, Mine());
}

Matrix<float> LogitsHead::Mine() {
  return my_logits_.matrix(rows_, weights_.unembedding.rows);
}

Matrix<const float> LogitsHead::All() {
  if (world_.size() > 1) return Gather();
  const Matrix<float> mine = Mine();
  ReadByHost(backend_, Numbers(mine));
  return mine;
}

// Gathers the parts of the vocabulary, which come rank by rank, and puts rows
// together again.
Matrix<const float> LogitsHead::Gather() {
  const int64_t vocabulary =
      std::accumulate(counts_.begin(), counts_.end(), int64_t{0});
  Grow(rows_ * vocabulary, backend_.mirror(), &gathered_);
  Grow(rows_ * vocabulary, nullptr, &logits_);
  std::vector<int> counts(counts_);
  for (int& count : counts) count *= static_cast<int>(rows_);
  const Vector<float> gathered = gathered_.span().first(rows_ * vocabulary);
  world_.AllGather(backend_, Numbers(Mine()), counts, gathered);
  ReadByHost(backend_, gathered);
  Matrix<float> logits = logits_.matrix(rows_, vocabulary);
  const float* from = gathered.data();
  int64_t column = 0;
  for (const int64_t width : counts_) {
    for (int64_t i = 0; i < rows_; ++i, from += width) {
      std::copy_n(from, width, logits.row(i).data() + column);
    }
    column += width;
  }
  return logits;
}

std::vector<RowTop> LogitsHead::Top(const TopRequest& request) {
  const int64_t width = TopWidth(request.most);
  const float* const parts = GatherTops(request).data;
  std::vector<RowTop> tops;
  for (int64_t row = 0; row < rows_; ++row) {
    std::vector<TopPart> of_row;
    for (size_t rank = 0; rank < counts_.size(); ++rank) {
      const float* const part = parts + (rank * rows_ + row) * width;
      of_row.push_back({{part, static_cast<size_t>(width)}, counts_[rank]});
    }
    // The largest of the whole row are among the largest of its parts, so no
    // rank sends more.
    tops.push_back(MergeTops(of_row, request.scales[row]));
  }
  return tops;
}

// Finds the tops of this rank's part of the vocabulary and gathers those of all
// ranks: [ranks * rows, width].
Matrix<const float> LogitsHead::GatherTops(const TopRequest& request) {
  const int64_t width = TopWidth(request.most), world = world_.size();
  Grow(rows_ * width, backend_.mirror(), &my_tops_);
  const Matrix<float> mine = my_tops_.matrix(rows_, width);
  backend_.Top(Mine(), request.scales, mine);
  if (world == 1) {
    ReadByHost(backend_, Numbers(mine));
    return mine;
  }
  Grow(world * rows_ * width, backend_.mirror(), &tops_);
  const Matrix<float> all = tops_.matrix(world * rows_, width);
  const std::vector<int> counts(world, static_cast<int>(rows_ * width));
  world_.AllGather(backend_, Numbers(mine), counts, Numbers(all));
  ReadByHost(backend_, Numbers(all));
  return all;
}

}  // namespace subgen
