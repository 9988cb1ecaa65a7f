#include "kernels/cuda/attention_plan.h"

#include <algorithm>
#include <map>

#include "kernels/cuda/launch.h"

namespace subgen::cuda {
namespace {

int64_t Tiles(int64_t count, int64_t tile) { return CeilDivide(count, tile); }

// Biases and row tokens from `first` on; null where there are none.
template <class T>
const T* From(const T* all, int64_t first) {
  return all == nullptr ? nullptr : all + first;
}

void Check(const AttentionTask& task) {
  const Rows& keys = task.rows.keys;
  SUBGEN_CHECK(task.queries.rows == task.out.rows());
  SUBGEN_CHECK(keys.count == 0 || task.queries.cols == keys.dim);
  SUBGEN_CHECK(task.rows.values.count == 0 ||
               task.rows.values.count == keys.count);
  SUBGEN_CHECK(task.queries.cols <= kMostHeadDim &&
                   task.out.weighted.cols <= kMostHeadDim,
               "head size ", task.queries.cols);
}

// The piece of the first rows and queries of a task, for the others to be made
// from.
AttentionPiece Whole(const AttentionTask& task, Staging* staging) {
  const WeightedRows& rows = task.rows;
  const Matrix<const float> queries = staging->In(task.queries);
  AttentionPiece piece;
  piece.queries = queries.data;
  piece.query_stride = queries.stride;
  piece.group = task.group;
  piece.dim = static_cast<int>(task.queries.cols);
  piece.value_dim = static_cast<int>(task.out.weighted.cols);
  piece.key_bytes = RowBytes(rows.keys.format, rows.keys.dim);
  piece.keys =
      staging->InBytes(rows.keys.data, rows.keys.count * piece.key_bytes);
  piece.partition_bias = staging->In(rows.partition_bias);
  piece.row_token = staging->In(task.row_token);
  if (rows.values.count == 0) return piece;
  SUBGEN_CHECK(rows.values.format == rows.keys.format);
  piece.value_bytes = RowBytes(rows.values.format, rows.values.dim);
  piece.values =
      staging->InBytes(rows.values.data, rows.values.count * piece.value_bytes);
  piece.value_bias = staging->In(rows.value_bias);
  return piece;
}

// Rows of a piece, so that all tasks together make about `blocks` of them.
int64_t RowsOfPiece(Vector<const AttentionTask> tasks, int64_t blocks) {
  int64_t tiles = 0;
  for (const AttentionTask& task : tasks) {
    tiles += Tiles(task.rows.keys.count, kTileRows) *
             Tiles(task.queries.rows, kTileQueries);
  }
  return kTileRows * std::max<int64_t>(1, CeilDivide(tiles, blocks));
}

// Adds the pieces of one tile of queries, whose partials lie from `partials`
// on.
void AddPieces(const AttentionPiece& whole, int64_t rows, int64_t rows_of_piece,
               float* partials, std::vector<AttentionPiece>* pieces) {
  const int64_t size = PartialsSize(whole.value_dim);
  for (int64_t row = 0; row < rows; row += rows_of_piece, partials += size) {
    AttentionPiece& piece = pieces->emplace_back(whole);
    piece.rows = static_cast<int>(std::min(rows_of_piece, rows - row));
    piece.keys += row * whole.key_bytes;
    if (whole.values != nullptr) piece.values += row * whole.value_bytes;
    piece.partition_bias = From(whole.partition_bias, row);
    piece.value_bias = From(whole.value_bias, row);
    piece.row_token = From(whole.row_token, row);
    piece.partials = partials;
  }
}

int QueriesOfTile(int64_t first, int64_t queries) {
  return static_cast<int>(std::min<int64_t>(kTileQueries, queries - first));
}

}  // namespace

void AttentionPlan::SortByOutput(Vector<const AttentionTask> tasks) {
  sorted_.clear();
  for (const AttentionTask& task : tasks) {
    Check(task);
    if (task.rows.keys.count == 0 || task.queries.rows == 0) continue;
    sorted_.emplace_back(task.out.max_logit.data(), &task);
  }
  // Tasks of a list lie in memory in its order.
  std::sort(sorted_.begin(), sorted_.end());
}

void AttentionPlan::AddOutput(Vector<const TaskOfOutput> tasks,
                              int64_t rows_of_piece) {
  const SoftmaxPartials& out = tasks[0].second->out;
  const Matrix<float> weighted = staging_.InOut(out.weighted);
  float* const max_logit = staging_.InOut(out.max_logit);
  float* const partition = staging_.InOut(out.partition);
  int64_t pieces_of_tile = 0;
  for (const auto& [output, task] : tasks) {
    SUBGEN_CHECK(task->out.rows() == out.rows());
    pieces_of_tile += Tiles(task->rows.keys.count, rows_of_piece);
  }
  const int value_dim = static_cast<int>(weighted.cols);
  const int64_t of_tile = pieces_of_tile * PartialsSize(value_dim);
  float* partials = staging_.Scratch(Tiles(out.rows(), kTileQueries) * of_tile);
  for (int64_t first = 0; first < out.rows(); first += kTileQueries) {
    targets.push_back({max_logit + first, partition + first,
                       weighted.data + first * weighted.stride, weighted.stride,
                       QueriesOfTile(first, out.rows()), value_dim,
                       partials + first / kTileQueries * of_tile,
                       static_cast<int>(pieces_of_tile)});
  }
  for (const auto& [output, task] : tasks) {
    AttentionPiece whole = Whole(*task, &staging_);
    const int64_t rows = task->rows.keys.count;
    for (int64_t first = 0; first < out.rows(); first += kTileQueries) {
      whole.first_query = static_cast<int>(first);
      whole.query_count = QueriesOfTile(first, out.rows());
      AddPieces(whole, rows, rows_of_piece,
                partials + first / kTileQueries * of_tile,
                &pieces[task->rows.keys.format]);
      whole.queries += kTileQueries * whole.query_stride;
    }
    partials += Tiles(rows, rows_of_piece) * PartialsSize(value_dim);
  }
}

void AttentionPlan::Make(Vector<const AttentionTask> tasks, int64_t blocks) {
  pieces.Clear();
  targets.clear();
  const int64_t rows_of_piece = RowsOfPiece(tasks, blocks);
  SortByOutput(tasks);
  for (size_t first = 0, end = 0; first < sorted_.size(); first = end) {
    while (end < sorted_.size() && sorted_[end].first == sorted_[first].first) {
      ++end;
    }
    AddOutput(Vector<const TaskOfOutput>(sorted_).subspan(first, end - first),
              rows_of_piece);
  }
}

std::vector<PiecesByFormat<MassPiece>> PlanMass(
    Vector<const AttentionMassTask> tasks, Staging* staging) {
  std::vector<PiecesByFormat<MassPiece>> rounds;
  struct Known {
    float* device = nullptr;
    size_t tasks = 0;
  };
  std::map<const float*, Known> known;
  for (const AttentionMassTask& task : tasks) {
    SUBGEN_CHECK(static_cast<int64_t>(task.mass.size()) == task.keys.count &&
                 task.queries.cols <= kMostHeadDim);
    if (task.keys.count == 0 || task.queries.rows == 0) continue;
    Known& mass = known[task.mass.data()];
    if (mass.device == nullptr) mass.device = staging->InOut(task.mass);
    if (rounds.size() == mass.tasks) rounds.emplace_back();
    auto& pieces = rounds[mass.tasks++][task.keys.format];
    const Matrix<const float> queries = staging->In(task.queries);
    const int64_t key_bytes = RowBytes(task.keys.format, task.keys.dim);
    const MassPiece whole = {
        queries.data,
        queries.stride,
        static_cast<int>(queries.rows),
        task.group,
        static_cast<int>(queries.cols),
        0,
        staging->InBytes(task.keys.data, task.keys.count * key_bytes),
        key_bytes,
        staging->In(task.partition_bias),
        staging->In(task.row_token),
        staging->In(task.log_partition),
        mass.device};
    for (int64_t row = 0; row < task.keys.count; row += kTileRows) {
      MassPiece piece = whole;
      piece.rows =
          static_cast<int>(std::min<int64_t>(kTileRows, task.keys.count - row));
      piece.keys += row * key_bytes;
      piece.partition_bias = From(whole.partition_bias, row);
      piece.row_token = From(whole.row_token, row);
      piece.mass += row;
      pieces.push_back(piece);
    }
  }
  return rounds;
}

}  // namespace subgen::cuda
