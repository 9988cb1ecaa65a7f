#include "kernels/cpu/attention_plan.h"

#include <algorithm>
#include <functional>
#include <numeric>

namespace subgen::cpu {
namespace {

constexpr int64_t kPiecesPerThread = 8;  // so that uneven pieces even out

// Rows of a piece with that many queries, where `work` queries x rows are to
// be shared out. Whole tiles; all rows where one thread does all.
int64_t RowsPerPiece(int64_t work, int64_t queries, int threads, int64_t rows) {
  if (threads == 1) return rows;
  const int64_t share =
      std::max<int64_t>(1, work / (threads * kPiecesPerThread * queries));
  const int64_t pieces = std::max<int64_t>(1, (rows + share / 2) / share);
  return (rows + pieces * kRowTile - 1) / (pieces * kRowTile) * kRowTile;
}

void AddPieces(const Piece& whole, int64_t step, std::vector<Piece>& pieces) {
  for (int64_t row = 0; row < whole.rows.count; row += step) {
    pieces.push_back(
        {whole.task,
         whole.queries,
         {whole.rows.first + row, std::min(step, whole.rows.count - row)}});
  }
}

int64_t Work(const AttentionTask& task) {
  return task.queries.rows * task.rows.keys.count;
}

int64_t Work(const AttentionMassTask& task) {
  return task.queries.rows * task.keys.count;
}

template <class Task>
int64_t TotalWork(Vector<const Task> tasks) {
  int64_t work = 0;
  for (const Task& task : tasks) work += Work(task);
  return work;
}

bool IsEmptyOr(size_t size, int64_t rows) {
  return size == 0 || static_cast<int64_t>(size) == rows;
}

}  // namespace

std::vector<Piece> Cut(Vector<const AttentionTask> tasks, int threads) {
  const int64_t work = TotalWork(tasks);
  std::vector<Piece> pieces;
  for (size_t t = 0; t < tasks.size(); ++t) {
    const AttentionTask& task = tasks[t];
    for (int64_t i = 0; i < task.queries.rows; i += kQueryTile) {
      const int64_t count = std::min(kQueryTile, task.queries.rows - i);
      const int64_t rows = VisibleRows(task.row_token, task.rows.keys.count,
                                       (i + count - 1) / task.group);
      AddPieces({static_cast<int64_t>(t), {i, count}, {0, rows}},
                RowsPerPiece(work, count, threads, rows), pieces);
    }
  }
  return pieces;
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

std::vector<std::vector<size_t>> ByOutput(Vector<const AttentionTask> tasks,
                                          const std::vector<Piece>& pieces) {
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
  std::vector<std::vector<size_t>> lists(groups);
  for (size_t i = 0; i < pieces.size(); ++i) {
    lists[group_of[pieces[i].task]].push_back(i);
  }
  return lists;
}

}  // namespace subgen::cpu
