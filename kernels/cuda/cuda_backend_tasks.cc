// These are the operations on lists of tasks.
#include <algorithm>

#include "kernels/cuda/attention/attention_many.h"
#include "kernels/cuda/cuda_backend.h"

namespace subgen::cuda {

// Converts rows on the host, because no kernel converts one quantized format to
// another.
void CudaBackend::ConvertOnHost(const RowCopy& copy) {
  const Rows& from = copy.from;
  const int64_t from_bytes = RowBytes(from.format, from.dim);
  const int64_t to_bytes = RowBytes(copy.format, from.dim);
  mirror_.ReadByHost(from.data, from.count * from_bytes);
  for (int64_t i = 0; i < from.count; ++i) {
    ConvertRow(from.format, from.row(i), from.dim, copy.format,
               copy.to + i * to_bytes);
  }
  mirror_.WrittenByHost(copy.to, copy.to_bytes());
}

void CudaBackend::ConvertRows(Vector<const RowCopy> copies) {
  std::vector<RowCopy> for_host;
  {
    Operation operation(&staging_);
    copies_.Clear();
    for (const RowCopy& copy : copies) {
      if (CanConvert(copy.from.format, copy.format)) {
        AddPieces(copy, &operation, &copies_);
      } else {
        for_host.push_back(copy);
      }
    }
    copies_.Send(&operation, [this](RowFormat format,
                                    const RowCopyPiece* pieces, int64_t count) {
      CopyRowPieces(&queue_, format, pieces, count);
    });
  }
  // These follow when the operation has ended, because the mirror runs the
  // queue to read the device's memory. No copy reads what another one writes,
  // so the order does not matter.
  for (const RowCopy& copy : for_host) ConvertOnHost(copy);
}

void CudaBackend::Attend(Vector<const AttentionTask> tasks,
                         AttentionStart start) {
  Operation operation(&staging_);
  attention_.Make(tasks, blocks_, start, &operation);
  SendPieces(&attention_.few, &operation,
             [this](const AttentionPiece* pieces, int64_t count) {
               AttendPieces(&queue_, pieces, count, attention_.few_queries);
             });
  attention_.many.Send(
      &operation,
      [this](RowFormat format, const AttentionPiece* pieces, int64_t count) {
        AttendManyQueries(&queue_, format,
                          {pieces, count, attention_.many_head_dim});
      });
  const std::vector<MergeTarget>& targets = attention_.targets;
  const auto [host, device] = operation.Stage<MergeTarget>(targets.size());
  std::copy(targets.begin(), targets.end(), host);
  MergePieces(&queue_, device, targets.size());
}

void CudaBackend::AccumulateMass(Vector<const AttentionMassTask> tasks) {
  Operation operation(&staging_);
  for (auto& round : PlanMass(tasks, &operation)) {
    round.Send(&operation, [this](RowFormat format, const MassPiece* pieces,
                                  int64_t count) {
      AccumulateMassPieces(&queue_, format, pieces, count);
    });
  }
}

void CudaBackend::Distances(Vector<const DistanceTask> tasks) {
  Operation operation(&staging_);
  distances_.Clear();
  for (const DistanceTask& task : tasks) {
    AddPieces(task, &operation, &distances_);
  }
  distances_.Send(
      &operation,
      [this](RowFormat format, const DistancePiece* pieces, int64_t count) {
        DistancesOfPieces(&queue_, format, pieces, count);
      });
}

void CudaBackend::InsertCenters(Vector<const CenterTask> tasks) {
  Operation operation(&staging_);
  PlanCenters(tasks, &operation, &centers_);
  centers_.distances.Send(
      &operation, [this](RowFormat format, const TokenDistancesPiece* pieces,
                         int64_t count) {
        TokenDistancesOfPieces(&queue_, format, pieces, count);
      });
  centers_.heads.Send(
      &operation,
      [this](RowFormat format, const CenterHead* heads, int64_t count) {
        InsertCentersOfHeads(&queue_, format, heads, count);
      });
}

void CudaBackend::InsertClusters(Vector<const ClusterTask> tasks) {
  Operation operation(&staging_);
  PlanClusters(tasks, &operation, &clusters_);
  clusters_.Send(&operation, [this](RowFormat format, const ClusterHead* heads,
                                    int64_t count) {
    InsertClustersOfHeads(&queue_, format, heads, count);
  });
}

void CudaBackend::KeepBest(Vector<const KeepBestTask> tasks) {
  Operation operation(&staging_);
  scored_.clear();
  for (const KeepBestTask& task : tasks) {
    Check(task);
    KeepBestHead& head = scored_.emplace_back();
    head.row_bytes = task.row_bytes();
    head.held = static_cast<int>(task.held);
    head.limit = static_cast<int>(task.limit);
    head.tokens = static_cast<int>(task.tokens());
    const size_t room_bytes = task.room() * head.row_bytes;
    head.keys = operation.InOutBytes(task.keys, room_bytes);
    head.values = operation.InOutBytes(task.values, room_bytes);
    head.scores = operation.InOut(task.scores);
    head.positions = operation.InOut(task.positions);
    const size_t bytes = task.tokens() * head.row_bytes;
    head.token_keys = operation.InBytes(task.token_keys.data, bytes);
    head.token_values = operation.InBytes(task.token_values.data, bytes);
    head.token_scores = operation.In(task.token_scores);
    head.token_positions = operation.In(task.token_positions);
  }
  SendPieces(&scored_, &operation,
             [this](const KeepBestHead* heads, int64_t count) {
               KeepBestOfHeads(&queue_, heads, count);
             });
}

}  // namespace subgen::cuda
