#include "kernels/cuda/attention_plan.h"

#include <algorithm>

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
// on, and returns how many there are.
int AddPieces(const AttentionTask& task, const AttentionPiece& whole,
              int64_t rows_of_piece, float* partials,
              std::vector<AttentionPiece>* pieces) {
  int count = 0;
  for (int64_t row = 0; row < task.rows.keys.count; row += rows_of_piece) {
    AttentionPiece piece = whole;
    piece.rows =
        static_cast<int>(std::min(rows_of_piece, task.rows.keys.count - row));
    piece.keys += row * whole.key_bytes;
    if (whole.values != nullptr) piece.values += row * whole.value_bytes;
    piece.partition_bias = From(whole.partition_bias, row);
    piece.value_bias = From(whole.value_bias, row);
    piece.row_token = From(whole.row_token, row);
    piece.partials = partials + count * PartialsSize(whole.value_dim);
    pieces->push_back(piece);
    ++count;
  }
  return count;
}

// Tasks that merge into one output, in their order.
using TasksOfOutput = std::vector<const AttentionTask*>;

std::vector<TasksOfOutput> ByOutput(Vector<const AttentionTask> tasks) {
  std::map<const float*, size_t> found;
  std::vector<TasksOfOutput> outputs;
  for (const AttentionTask& task : tasks) {
    Check(task);
    if (task.rows.keys.count == 0 || task.queries.rows == 0) continue;
    const auto [at, is_new] =
        found.emplace(task.out.max_logit.data(), outputs.size());
    if (is_new) outputs.emplace_back();
    outputs[at->second].push_back(&task);
  }
  return outputs;
}

void PlanOutput(const TasksOfOutput& tasks, int64_t rows_of_piece,
                Staging* staging, AttentionPlan* plan) {
  const SoftmaxPartials& out = tasks[0]->out;
  const Matrix<float> weighted = staging->InOut(out.weighted);
  float* const max_logit = staging->InOut(out.max_logit);
  float* const partition = staging->InOut(out.partition);
  int64_t pieces_of_tile = 0;
  std::vector<AttentionPiece> wholes;
  for (const AttentionTask* task : tasks) {
    SUBGEN_CHECK(task->out.rows() == out.rows());
    pieces_of_tile += Tiles(task->rows.keys.count, rows_of_piece);
    wholes.push_back(Whole(*task, staging));
  }
  const int value_dim = static_cast<int>(weighted.cols);
  const int64_t size = PartialsSize(value_dim);
  for (int64_t first = 0; first < out.rows(); first += kTileQueries) {
    float* partials = staging->Scratch(pieces_of_tile * size);
    MergeTarget target = {
        max_logit + first,
        partition + first,
        weighted.data + first * weighted.stride,
        weighted.stride,
        static_cast<int>(std::min<int64_t>(kTileQueries, out.rows() - first)),
        value_dim,
        partials,
        0};
    for (size_t i = 0; i < tasks.size(); ++i) {
      AttentionPiece whole = wholes[i];
      whole.queries += first * whole.query_stride;
      whole.first_query = static_cast<int>(first);
      whole.query_count = target.query_count;
      target.pieces += AddPieces(*tasks[i], whole, rows_of_piece,
                                 partials + target.pieces * size,
                                 &plan->pieces[tasks[i]->rows.keys.format]);
    }
    plan->targets.push_back(target);
  }
}

}  // namespace

AttentionPlan PlanAttention(Vector<const AttentionTask> tasks, int64_t blocks,
                            Staging* staging) {
  AttentionPlan plan;
  const int64_t rows_of_piece = RowsOfPiece(tasks, blocks);
  for (const TasksOfOutput& output : ByOutput(tasks)) {
    PlanOutput(output, rows_of_piece, staging, &plan);
  }
  return plan;
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
