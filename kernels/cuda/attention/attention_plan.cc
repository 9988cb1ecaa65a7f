#include "kernels/cuda/attention/attention_plan.h"

#include <algorithm>
#include <map>

#include "kernels/cuda/attention/attention_many.h"
#include "kernels/cuda/runtime/launch.h"

namespace subgen::cuda {
namespace {

int64_t Tiles(int64_t count, int64_t tile) { return CeilDivide(count, tile); }

// Returns biases or row tokens from `first` on; null where there are none.
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

bool IsMany(const AttentionTask& task) {
  return TakesManyQueries(CeilDivide(task.queries.rows, task.group),
                          task.queries.cols, task.out.weighted.cols);
}

int64_t QueriesOfPiece(const AttentionTask& task) {
  return IsMany(task) ? kManyQueries : kTileQueries;
}

// Returns the piece of the first rows and queries of a task, from which the
// others are made: operands are put into the operation once per task.
AttentionPiece Whole(const AttentionTask& task, Operation* operation) {
  const WeightedRows& rows = task.rows;
  const Matrix<const float> queries = operation->In(task.queries);
  AttentionPiece piece;
  piece.queries = queries.data;
  piece.query_stride = queries.stride;
  piece.all_queries = static_cast<int>(queries.rows);
  piece.group = task.group;
  piece.format = rows.keys.format;
  piece.dim = static_cast<int>(task.queries.cols);
  piece.value_dim = static_cast<int>(task.out.weighted.cols);
  piece.key_bytes = RowBytes(rows.keys.format, rows.keys.dim);
  piece.keys =
      operation->InBytes(rows.keys.data, rows.keys.count * piece.key_bytes);
  piece.partition_bias = operation->In(rows.partition_bias);
  piece.row_token = operation->In(task.row_token);
  if (rows.values.count == 0) return piece;
  SUBGEN_CHECK(rows.values.format == rows.keys.format);
  piece.value_bytes = RowBytes(rows.values.format, rows.values.dim);
  piece.values = operation->InBytes(rows.values.data,
                                    rows.values.count * piece.value_bytes);
  piece.value_bias = operation->In(rows.value_bias);
  return piece;
}

// Adds the pieces of one tile of queries. Partials over their rows lie one
// behind the other, each with room for all queries of the task, so that all
// tiles of queries share one layout and one merge can follow.
void AddPieces(const AttentionPiece& whole, int64_t rows, int64_t rows_of_piece,
               float* partials, std::vector<AttentionPiece>* pieces) {
  const int64_t size = PartialsSize(whole.all_queries, whole.value_dim);
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

}  // namespace

// Cuts rows so that all tasks of a kind together make about `blocks` pieces:
// fewer would leave multiprocessors idle, more would only add partials to
// merge. Few and many queries are counted apart, because they are launched
// apart.
AttentionPlan::RowsOfPiece AttentionPlan::CutRows(
    Vector<const AttentionTask> tasks, int64_t blocks) {
  RowsOfPiece tiles;
  for (const AttentionTask& task : tasks) {
    (IsMany(task) ? tiles.many : tiles.few) +=
        Tiles(task.rows.keys.count, kTileRows) *
        Tiles(task.queries.rows, QueriesOfPiece(task));
  }
  const auto rows = [](int64_t all, int64_t pieces) {
    // Whole tiles are cut, so only the last piece of a task has one that is not
    // full.
    return kTileRows * std::max<int64_t>(1, CeilDivide(all, pieces));
  };
  return {rows(tiles.few, blocks),
          rows(tiles.many, BlocksOfManyQueries(blocks))};
}

void AttentionPlan::SortByOutput(Vector<const AttentionTask> tasks) {
  sorted_.clear();
  for (const AttentionTask& task : tasks) {
    Check(task);
    if (task.queries.rows == 0) continue;
    // A task without rows adds nothing; but if the output is to be overwritten,
    // it must still be emptied.
    if (task.rows.keys.count == 0 && start_ == AttentionStart::kFromOutputs) {
      continue;
    }
    sorted_.emplace_back(task.out.max_logit.data(), &task);
  }
  // The address of a task breaks ties. Tasks of a list lie in memory in its
  // order, so those of one output stay in that order, and so do the sets that
  // are merged.
  std::sort(sorted_.begin(), sorted_.end());
}

void AttentionPlan::AddTask(const AttentionTask& task, int64_t rows_of_piece,
                            float* partials) {
  AttentionPiece whole = Whole(task, operation_);
  const int64_t tile = QueriesOfPiece(task), queries = task.queries.rows;
  if (IsMany(task)) {
    many_head_dim = std::max({many_head_dim, whole.dim, whole.value_dim});
  } else {
    few_queries = std::max<int>(few_queries, std::min(tile, queries));
  }
  auto& pieces = IsMany(task) ? many[task.rows.keys.format] : few;
  for (int64_t first = 0; first < queries; first += tile) {
    whole.first_query = static_cast<int>(first);
    whole.query_count = static_cast<int>(std::min(tile, queries - first));
    AddPieces(whole, task.rows.keys.count, rows_of_piece, partials, &pieces);
    whole.queries += tile * whole.query_stride;
  }
}

void AttentionPlan::AddOutput(Vector<const TaskOfOutput> tasks,
                              const RowsOfPiece& cut) {
  const SoftmaxPartials& out = tasks[0].second->out;
  const Matrix<float> weighted = OnDevice(out.weighted);
  float* const max_logit = OnDevice(out.max_logit);
  float* const partition = OnDevice(out.partition);
  const auto rows_of_piece = [&](const AttentionTask& task) {
    return IsMany(task) ? cut.many : cut.few;
  };
  // The sets of all tasks are counted first, because one target merges the
  // partials of all of them, which must lie in one array.
  int64_t sets = 0;
  for (const auto& [output, task] : tasks) {
    SUBGEN_CHECK(task->out.rows() == out.rows());
    sets += Tiles(task->rows.keys.count, rows_of_piece(*task));
  }
  const int64_t queries = out.rows();
  const int64_t size = PartialsSize(queries, weighted.cols);
  float* partials = operation_->Scratch(sets * size);
  for (int64_t first = 0; first < queries; first += kTileQueries) {
    const int64_t count = std::min<int64_t>(kTileQueries, queries - first);
    targets.push_back(
        {max_logit + first, partition + first,
         weighted.data + first * weighted.stride, weighted.stride,
         static_cast<int>(count), static_cast<int>(first),
         static_cast<int>(queries), static_cast<int>(weighted.cols), partials,
         static_cast<int>(sets), start_ == AttentionStart::kFromEmpty});
  }
  for (const auto& [output, task] : tasks) {
    if (task->rows.keys.count == 0) continue;
    AddTask(*task, rows_of_piece(*task), partials);
    partials += size * Tiles(task->rows.keys.count, rows_of_piece(*task));
  }
}

void AttentionPlan::Make(Vector<const AttentionTask> tasks, int64_t blocks,
                         AttentionStart start, Operation* operation) {
  start_ = start;
  operation_ = operation;
  few.clear();
  many.Clear();
  few_queries = many_head_dim = 0;
  targets.clear();
  const RowsOfPiece cut = CutRows(tasks, blocks);
  SortByOutput(tasks);
  for (size_t first = 0, end = 0; first < sorted_.size(); first = end) {
    while (end < sorted_.size() && sorted_[end].first == sorted_[first].first) {
      ++end;
    }
    AddOutput(Vector<const TaskOfOutput>(sorted_).subspan(first, end - first),
              cut);
  }
}

std::vector<PiecesByFormat<MassPiece>> PlanMass(
    Vector<const AttentionMassTask> tasks, Operation* operation) {
  std::vector<PiecesByFormat<MassPiece>> rounds;
  // Tasks over the same rows add to the same mass, and blocks of one launch run
  // in any order. The n-th task of each mass therefore goes into round n: no
  // two pieces of a round write to the same memory, and rounds are launched one
  // after another.
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
    if (mass.device == nullptr) mass.device = operation->InOut(task.mass);
    if (rounds.size() == mass.tasks) rounds.emplace_back();
    auto& pieces = rounds[mass.tasks++][task.keys.format];
    const Matrix<const float> queries = operation->In(task.queries);
    const int64_t key_bytes = RowBytes(task.keys.format, task.keys.dim);
    const MassPiece whole = {
        queries.data,
        queries.stride,
        static_cast<int>(queries.rows),
        task.group,
        static_cast<int>(queries.cols),
        0,
        operation->InBytes(task.keys.data, task.keys.count * key_bytes),
        key_bytes,
        operation->In(task.partition_bias),
        operation->In(task.row_token),
        operation->In(task.log_partition),
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
