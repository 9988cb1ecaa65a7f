#include "kernels/cpu/attention.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <vector>

#include "kernels/cpu/attention_piece.h"

namespace subgen::cpu {
namespace {

constexpr int64_t kPiecesPerThread = 4;  // so that uneven pieces even out

// Rows of a piece with that many queries, where `work` queries x rows are to
// be shared out. Whole tiles; all rows where one thread does all.
int64_t RowsPerPiece(int64_t work, int64_t queries, int threads, int64_t rows) {
  if (threads == 1) return rows;
  const int64_t share = work / (threads * kPiecesPerThread * queries);
  return std::max<int64_t>(share / kRowTile, 1) * kRowTile;
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

// Pieces in the order of tasks, queries, rows. Rows that no query of a piece
// sees are left out.
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

// Pieces in the order of tasks and rows, with all queries.
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

bool IsEmptyOr(size_t size, int64_t rows) {
  return size == 0 || static_cast<int64_t>(size) == rows;
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

// Where the partials of each piece lie in one block of memory, whole cache
// lines each: [max_logit | partition | weighted, padded].
class PieceResults {
 public:
  PieceResults(Vector<const AttentionTask> tasks,
               const std::vector<Piece>& pieces)
      : tasks_(tasks), pieces_(pieces) {
    for (const Piece& piece : pieces) {
      offsets_.push_back(floats_);
      floats_ += 2 * PaddedWidth(piece.queries.count) +
                 piece.queries.count * PaddedWidth(Dim(piece));
    }
  }
  int64_t floats() const { return floats_; }

  SoftmaxPartials Padded(float* memory, size_t piece) const {
    return View(memory, piece, PaddedWidth(Dim(pieces_[piece])));
  }
  SoftmaxPartials Exact(float* memory, size_t piece) const {
    return View(memory, piece, Dim(pieces_[piece]));
  }

 private:
  int64_t Dim(const Piece& piece) const {
    return tasks_[piece.task].out.weighted.cols;
  }
  SoftmaxPartials View(float* memory, size_t piece, int64_t cols) const {
    float* data = memory + offsets_[piece];
    const int64_t count = pieces_[piece].queries.count;
    const int64_t padded = PaddedWidth(count);
    const auto size = static_cast<size_t>(count);
    return {{data, size},
            {data + padded, size},
            {data + 2 * padded, count, cols, PaddedWidth(Dim(pieces_[piece]))}};
  }

  Vector<const AttentionTask> tasks_;
  const std::vector<Piece>& pieces_;
  std::vector<int64_t> offsets_;
  int64_t floats_ = 0;
};

// Pieces whose tasks write to the same memory, each list in order.
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

}  // namespace

void Attend(Context& context, Vector<const AttentionTask> tasks) {
  for (const AttentionTask& task : tasks) Check(task);
  const std::vector<Piece> pieces = Cut(tasks, context.pool.threads());
  const PieceResults results(tasks, pieces);
  float* memory = context.results.Get(results.floats());
  int64_t multiply_adds = 0;
  for (const AttentionTask& task : tasks) {
    multiply_adds += 2 * Work(task) * task.queries.cols;
  }
  context.Run(pieces.size(), multiply_adds, [&](int64_t i, int worker) {
    const AttentionTask& task = tasks[pieces[i].task];
    AttendPiece(task, pieces[i],
                context.worker_scratch[worker].Get(AttendScratch(task)),
                results.Padded(memory, i));
  });
  const auto lists = ByOutput(tasks, pieces);
  context.Run(lists.size(), results.floats(), [&](int64_t list, int) {
    for (const size_t i : lists[list]) {
      const Range queries = pieces[i].queries;
      MergePartials(
          results.Exact(memory, i),
          tasks[pieces[i].task].out.Rows(queries.first, queries.count));
    }
  });
}

void AccumulateMass(Context& context, Vector<const AttentionMassTask> tasks) {
  for (const AttentionMassTask& task : tasks) Check(task);
  const std::vector<Piece> pieces = Cut(tasks, context.pool.threads());
  std::vector<int64_t> offsets;
  int64_t floats = 0, multiply_adds = 0;
  for (const Piece& piece : pieces) {
    offsets.push_back(floats);
    floats += PaddedWidth(piece.rows.count);
    multiply_adds +=
        piece.queries.count * piece.rows.count * tasks[piece.task].queries.cols;
  }
  float* memory = context.results.Get(floats);
  context.Run(pieces.size(), multiply_adds, [&](int64_t i, int worker) {
    const AttentionMassTask& task = tasks[pieces[i].task];
    MassPiece(task, pieces[i].rows,
              context.worker_scratch[worker].Get(MassScratch(task)),
              memory + offsets[i]);
  });
  for (size_t i = 0; i < pieces.size(); ++i) {
    const Range rows = pieces[i].rows;
    float* mass = &tasks[pieces[i].task].mass[rows.first];
    for (int64_t j = 0; j < rows.count; ++j) mass[j] += memory[offsets[i] + j];
  }
}

}  // namespace subgen::cpu
