// From the last layer's output to what the host reads of a step.
#include <algorithm>

#include "engine/model/transformer.h"

namespace subgen {
namespace {

void Grow(int64_t size, Mirror* mirror, Buffer<float>* buffer) {
  if (buffer->size() < size) *buffer = Buffer<float>(size, mirror);
}

}  // namespace

Matrix<const float> Transformer::Forward(const Batch& batch) {
  Layers(batch);
  ProjectLogits();
  return Logits();
}

std::vector<RowTop> Transformer::ForwardTop(const Batch& batch,
                                            const TopRequest& request) {
  Layers(batch);
  ProjectLogits();
  const int64_t rows = logit_rows_.size(), width = TopWidth(request.most);
  const float* const parts = GatherTops(request).data;
  std::vector<RowTop> tops;
  for (int64_t row = 0; row < rows; ++row) {
    std::vector<TopPart> of_row;
    for (size_t rank = 0; rank < vocabulary_counts_.size(); ++rank) {
      const float* const part = parts + (rank * rows + row) * width;
      of_row.push_back(
          {{part, static_cast<size_t>(width)}, vocabulary_counts_[rank]});
    }
    tops.push_back(MergeTops(of_row, request.scales[row]));
  }
  return tops;
}

void Transformer::ProjectLogits() {
  const int64_t rows = logit_rows_.size();
  Matrix<float> hidden = hidden_.matrix(step_.tokens, config_.embedding);
  backend_.Add(projected_.matrix(step_.tokens, config_.embedding), hidden);
  Matrix<float> last = projected_.matrix(rows, config_.embedding);
  backend_.GatherRows(hidden, logit_rows_, last);
  backend_.RmsNorm(last, weights_.output_norm.span(), config_.norm_epsilon,
                   last);
  Grow(rows * plan_.vocabulary.count, backend_.mirror(), &my_logits_);
  backend_.Linear(last, weights_.unembedding,
                  my_logits_.matrix(rows, plan_.vocabulary.count));
}

Matrix<const float> Transformer::Logits() {
  const Matrix<float> mine =
      my_logits_.matrix(logit_rows_.size(), plan_.vocabulary.count);
  if (grid_.world->size() > 1) return GatherLogits(mine);
  ReadByHost(backend_, Numbers(mine));
  return mine;
}

// Parts of the vocabulary come rank by rank; rows are put together again.
Matrix<const float> Transformer::GatherLogits(Matrix<float> mine) {
  const int world = grid_.world->size();
  const int64_t rows = mine.rows, vocabulary = config_.vocabulary;
  Grow(rows * vocabulary, backend_.mirror(), &gathered_);
  Grow(rows * vocabulary, nullptr, &logits_);
  std::vector<int> counts(vocabulary_counts_);
  for (int& count : counts) count *= static_cast<int>(rows);
  const Vector<float> gathered = gathered_.span().first(rows * vocabulary);
  grid_.world->AllGather(backend_, Numbers(mine), counts, gathered);
  ReadByHost(backend_, gathered);
  Matrix<float> logits = logits_.matrix(rows, vocabulary);
  const float* from = gathered.data();
  int64_t column = 0;
  for (int rank = 0; rank < world; ++rank) {
    const int64_t width = vocabulary_counts_[rank];
    for (int64_t i = 0; i < rows; ++i, from += width) {
      std::copy_n(from, width, logits.row(i).data() + column);
    }
    column += width;
  }
  return logits;
}

// The tops of this rank's part of the vocabulary, and of all ranks':
// [ranks * rows, width].
Matrix<const float> Transformer::GatherTops(const TopRequest& request) {
  const int64_t rows = logit_rows_.size(), width = TopWidth(request.most);
  const int64_t world = grid_.world->size();
  Grow(rows * width, backend_.mirror(), &my_tops_);
  const Matrix<float> mine = my_tops_.matrix(rows, width);
  backend_.Top(my_logits_.matrix(rows, plan_.vocabulary.count), request.scales,
               mine);
  if (world == 1) {
    ReadByHost(backend_, Numbers(mine));
    return mine;
  }
  Grow(world * rows * width, backend_.mirror(), &tops_);
  const Matrix<float> all = tops_.matrix(world * rows, width);
  const std::vector<int> counts(world, static_cast<int>(rows * width));
  grid_.world->AllGather(backend_, Numbers(mine), counts, Numbers(all));
  ReadByHost(backend_, Numbers(all));
  return all;
}

}  // namespace subgen
