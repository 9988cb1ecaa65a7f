#include "kernels/cpu/attention/attention_plan.h"

#include <algorithm>
#include <functional>
#include <numeric>

namespace subgen::cpu {
namespace {

constexpr int64_t kPiecesPerThread = 8;  // so that uneven pieces even out

// Returns the rows of a piece, about `share` and in whole tiles, so that only
// the last piece of a task has a tile that is not full.
int64_t EvenRows(int64_t rows, int64_t share) {
  const int64_t pieces = std::max<int64_t>(1, (rows + share / 2) / share);
  return (rows + pieces * kRowTile - 1) / (pieces * kRowTile) * kRowTile;
}

// Returns the rows of a piece as if this head were all there is: the cut must
// not depend on what else is in the call, because it decides the last bits.
// Where rows are few there is a piece for each thread. Where they are many
// there are more pieces, as long as computing a piece outweighs merging it,
// which takes as long as some 8 rows.
int64_t RowsPerPiece(const AttentionTask& task, int threads, int64_t rows) {
  if (threads == 1) return rows;
  // Several pieces per thread even out; fewer rows than kLeastRows would be too
  // little work beside the merge.
  constexpr int64_t kOfThread = 4, kLeastRows = 128, kEnoughRows = 256;
  const int64_t tiles = (task.queries.rows + kQueryTile - 1) / kQueryTile;
  const int64_t most = std::max<int64_t>(1, kOfThread * threads / tiles);
  const int64_t few = std::clamp(rows / threads, kLeastRows, kEnoughRows);
  return EvenRows(rows, std::max(few, rows / most));
}

// Returns the rows of a piece of a mass task with that many queries, where
// `work` queries x rows are shared out over all tasks.
int64_t RowsPerPiece(int64_t work, int64_t queries, int threads, int64_t rows) {
  if (threads == 1) return rows;
  return EvenRows(rows, std::max<int64_t>(
                            1, work / (threads * kPiecesPerThread * queries)));
}

void AddPieces(const Piece& whole, int64_t step, std::vector<Piece>& pieces) {
  for (int64_t row = 0; row < whole.rows.count; row += step) {
    pieces.push_back(
        {whole.task,
         whole.queries,
         {whole.rows.first + row, std::min(step, whole.rows.count - row)}});
  }
}

int64_t TotalWork(Vector<const AttentionMassTask> tasks) {
  int64_t work = 0;
  for (const AttentionMassTask& task : tasks) {
    work += task.queries.rows * task.keys.count;
  }
  return work;
}

// Returns for each task the number of the output that it writes to. Tasks whose
// outputs overlap in memory belong to one group, because two threads must not
// merge into the same rows.
std::vector<size_t> Groups(Vector<const AttentionTask> tasks) {
  const auto begin = [&](size_t t) -> const float* {
    return tasks[t].out.max_logit.data();
  };
  std::vector<size_t> order(tasks.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](size_t x, size_t y) {
    return std::less<>()(begin(x), begin(y));
  });
  std::vector<size_t> group_of(tasks.size());
  const float* end = nullptr;
  size_t groups = 0;
  for (const size_t t : order) {
    if (groups == 0 || !std::less<>()(begin(t), end)) ++groups;
    end = std::max(end, begin(t) + tasks[t].out.rows(), std::less<>());
    group_of[t] = groups - 1;
  }
  return group_of;
}

bool IsEmptyOr(size_t size, int64_t rows) {
  return size == 0 || static_cast<int64_t>(size) == rows;
}

}  // namespace

void Cut(const AttentionTask& task, int64_t index, int threads,
         std::vector<Piece>* pieces) {
  for (int64_t i = 0; i < task.queries.rows; i += kQueryTile) {
    const int64_t count = std::min(kQueryTile, task.queries.rows - i);
    // The last query of the tile sees the most rows; those after them are
    // hidden from the whole tile.
    const int64_t rows = VisibleRows(task.row_token, task.rows.keys.count,
                                     (i + count - 1) / task.group);
    AddPieces({index, {i, count}, {0, rows}}, RowsPerPiece(task, threads, rows),
              *pieces);
  }
}

std::vector<Piece> Cut(Vector<const AttentionMassTask> tasks, int threads) {
  const int64_t work = TotalWork(tasks);
  std::vector<Piece> pieces;
  for (size_t t = 0; t < tasks.size(); ++t) {
    const int64_t queries = tasks[t].queries.rows, rows = tasks[t].keys.count;
    if (queries == 0) continue;
    AddPieces({static_cast<int64_t>(t), {0, queries}, {0, rows}},
              RowsPerPiece(work, queries, threads, rows), pieces);
  }
  return pieces;
}

void Check(const AttentionMassTask& task) {
  const int64_t rows = task.keys.count;
  SUBGEN_CHECK(task.group >= 1 &&
               static_cast<int64_t>(task.mass.size()) == rows);
  SUBGEN_CHECK(static_cast<int64_t>(task.log_partition.size()) ==
               task.queries.rows);
  SUBGEN_CHECK(rows == 0 || task.queries.cols == task.keys.dim);
  SUBGEN_CHECK(IsEmptyOr(task.partition_bias.size(), rows) &&
               IsEmptyOr(task.row_token.size(), rows));
}

void Check(const AttentionTask& task) {
  const WeightedRows& rows = task.rows;
  SUBGEN_CHECK(task.group >= 1 && task.queries.rows == task.out.rows());
  SUBGEN_CHECK(rows.keys.count == 0 || task.queries.cols == rows.keys.dim);
  SUBGEN_CHECK(rows.values.count == 0 ||
               (rows.values.count == rows.keys.count &&
                rows.values.dim == task.out.weighted.cols));
  SUBGEN_CHECK(IsEmptyOr(rows.partition_bias.size(), rows.keys.count) &&
               IsEmptyOr(task.row_token.size(), rows.keys.count));
  SUBGEN_CHECK(rows.values.count == 0 ||
               IsEmptyOr(rows.value_bias.size(), rows.keys.count));
}

OutputLists::OutputLists(Vector<const AttentionTask> tasks,
                         const std::vector<Piece>& pieces) {
  const std::vector<size_t> group_of = Groups(tasks);
  for (const size_t group : group_of) {
    begins_.resize(std::max(begins_.size(), group + 2));
  }
  // This is a counting sort, which keeps the order of pieces within an output:
  // they must be merged in that order.
  for (const Piece& piece : pieces) ++begins_[group_of[piece.task] + 1];
  std::partial_sum(begins_.begin(), begins_.end(), begins_.begin());
  std::vector<size_t> next = begins_;
  pieces_.resize(pieces.size());
  for (size_t i = 0; i < pieces.size(); ++i) {
    pieces_[next[group_of[pieces[i].task]]++] = i;
  }
}

}  // namespace subgen::cpu
