#include "kernels/cpu/attention/attention.h"

#include <algorithm>
#include <vector>

#include "kernels/cpu/attention/attention_piece.h"
#include "kernels/cpu/attention/attention_plan.h"

namespace subgen::cpu {
namespace {

// Returns the floats of a piece's partials, [max_logit | partition | weighted,
// padded], in whole cache lines, so that threads that write neighboring results
// share no line.
int64_t ResultFloats(const AttentionTask& task, const Piece& piece) {
  const int64_t queries = piece.queries.count;
  return 2 * PaddedWidth(queries) +
         queries * PaddedWidth(task.out.weighted.cols);
}

// Returns a view of the partials at `data`: with their padding for the kernel
// that computes them, without it for the merge.
SoftmaxPartials ResultAt(float* data, const AttentionTask& task,
                         const Piece& piece, bool padded) {
  const int64_t count = piece.queries.count, room = PaddedWidth(count);
  const int64_t cols = task.out.weighted.cols, stride = PaddedWidth(cols);
  const auto size = static_cast<size_t>(count);
  return {{data, size},
          {data + room, size},
          {data + 2 * room, count, padded ? stride : cols, stride}};
}

void Merge(const AttentionTask& task, const Piece& piece, float* result) {
  MergePartials(ResultAt(result, task, piece, false),
                task.out.Rows(piece.queries.first, piece.queries.count));
}

// Computes one piece on one thread and merges it at once.
void AttendAndMerge(const AttentionTask& task, const Piece& piece,
                    Scratch& memory) {
  const int64_t result = ResultFloats(task, piece);
  float* const floats = memory.Get(result + AttendScratch(task));
  AttendPiece(task, piece, floats + result,
              ResultAt(floats, task, piece, true));
  Merge(task, piece, floats);
}

int64_t MultiplyAdds(const AttentionTask& task, const Piece& piece) {
  return 2 * piece.queries.count * piece.rows.count * task.queries.cols;
}

// Returns whether threads that each take whole outputs end at about the same
// time. No output may have more than a quarter of a thread's share of the work,
// as a thread that begins the largest one last keeps the others waiting.
bool EvensOut(Vector<const AttentionTask> tasks,
              const std::vector<Piece>& pieces, const OutputLists& lists,
              int threads) {
  constexpr int64_t kOutputsPerThread = 4;
  int64_t all = 0, largest = 0;
  for (size_t list = 0; list < lists.size(); ++list) {
    int64_t work = 0;
    for (const size_t i : lists[list]) {
      work += MultiplyAdds(tasks[pieces[i].task], pieces[i]);
    }
    all += work;
    largest = std::max(largest, work);
  }
  return largest * threads * kOutputsPerThread <= all;
}

// Shares out the pieces of few outputs: each piece is computed on some thread,
// and they are merged when all are done.
void AttendThenMerge(Context& context, Vector<const AttentionTask> tasks,
                     const std::vector<Piece>& pieces,
                     const OutputLists& lists) {
  std::vector<int64_t> offsets;
  int64_t floats = 0;
  for (const Piece& piece : pieces) {
    offsets.push_back(floats);
    floats += ResultFloats(tasks[piece.task], piece);
  }
  // Results of all pieces are kept until then, because two threads may compute
  // pieces of one output, and the order of the merge decides the last bits.
  float* const memory = context.results.Get(floats);
  context.pool.ParallelFor(pieces.size(), [&](int64_t i, int worker) {
    const AttentionTask& task = tasks[pieces[i].task];
    AttendPiece(task, pieces[i],
                context.worker_scratch[worker].Get(AttendScratch(task)),
                ResultAt(memory + offsets[i], task, pieces[i], true));
  });
  context.Run(lists.size(), floats, [&](int64_t list, int) {
    for (const size_t i : lists[list]) {
      Merge(tasks[pieces[i].task], pieces[i], memory + offsets[i]);
    }
  });
}

}  // namespace

void Attend(Context& context, Vector<const AttentionTask> tasks) {
  const int threads = context.pool.threads();
  std::vector<Piece> pieces;
  int64_t multiply_adds = 0;
  for (size_t t = 0; t < tasks.size(); ++t) {
    Check(tasks[t]);
    Cut(tasks[t], t, threads, &pieces);
  }
  for (const Piece& piece : pieces) {
    multiply_adds += MultiplyAdds(tasks[piece.task], piece);
  }
  const auto attend = [&](size_t i, int worker) {
    AttendAndMerge(tasks[pieces[i].task], pieces[i],
                   context.worker_scratch[worker]);
  };
  // This much takes a few microseconds; planning and waking threads would take
  // as long.
  constexpr int64_t kLittle = 1 << 17;
  if (threads == 1 || multiply_adds <= kLittle) {
    // Neither the pieces nor the order of their merge depends on which of the
    // three ways is taken, so the bits do not either.
    for (size_t i = 0; i < pieces.size(); ++i) attend(i, 0);
    return;
  }
  // If there are many outputs, a thread takes whole ones and merges as it goes:
  // results then stay in its cache and need no memory of all pieces.
  const OutputLists lists(tasks, pieces);
  if (!EvensOut(tasks, pieces, lists, threads)) {
    return AttendThenMerge(context, tasks, pieces, lists);
  }
  context.pool.ParallelFor(lists.size(), [&](int64_t list, int worker) {
    for (const size_t i : lists[list]) attend(i, worker);
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
    // Tasks may add to the same rows, so their results are added here, by one
    // thread and in order.
    float* mass = &tasks[pieces[i].task].mass[rows.first];
    for (int64_t j = 0; j < rows.count; ++j) mass[j] += memory[offsets[i] + j];
  }
}

}  // namespace subgen::cpu
