// Operations on lists of tasks.
#include <algorithm>

#include "kernels/cuda/attention/attention_many.h"
#include "kernels/cuda/cuda_backend.h"

namespace subgen::cuda {

void CudaBackend::ConvertRows(Vector<const RowCopy> copies) {
  std::vector<RowCopy> for_host;
  copies_.Clear();
  for (const RowCopy& copy : copies) {
    if (CanConvert(copy.from.format, copy.format)) {
      AddPieces(copy, &staging_, &copies_);
    } else {
      for_host.push_back(copy);
    }
  }
  copies_.Send(&staging_, [this](RowFormat format, const RowCopyPiece* pieces,
                                 int64_t count) {
    CopyRowPieces(&queue_, format, pieces, count);
  });
  staging_.Finish();
  Backend::ConvertRows(for_host);
}

void CudaBackend::Attend(Vector<const AttentionTask> tasks,
                         AttentionStart start) {
  attention_.Make(tasks, blocks_, start);
  SendPieces(&attention_.few, &staging_,
             [this](const AttentionPiece* pieces, int64_t count) {
               AttendPieces(&queue_, pieces, count, attention_.few_queries);
             });
  attention_.many.Send(
      &staging_,
      [this](RowFormat format, const AttentionPiece* pieces, int64_t count) {
        AttendManyQueries(&queue_, format,
                          {pieces, count, attention_.many_head_dim});
      });
  const std::vector<MergeTarget>& targets = attention_.targets;
  const auto [host, device] = staging_.Stage<MergeTarget>(targets.size());
  std::copy(targets.begin(), targets.end(), host);
  MergePieces(&queue_, device, targets.size());
  staging_.Finish();
}

void CudaBackend::AccumulateMass(Vector<const AttentionMassTask> tasks) {
  for (auto& round : PlanMass(tasks, &staging_)) {
    round.Send(&staging_, [this](RowFormat format, const MassPiece* pieces,
                                 int64_t count) {
      AccumulateMassPieces(&queue_, format, pieces, count);
    });
  }
  staging_.Finish();
}

void CudaBackend::Distances(Vector<const DistanceTask> tasks) {
  distances_.Clear();
  for (const DistanceTask& task : tasks) {
    AddPieces(task, &staging_, &distances_);
  }
  distances_.Send(
      &staging_,
      [this](RowFormat format, const DistancePiece* pieces, int64_t count) {
        DistancesOfPieces(&queue_, format, pieces, count);
      });
  staging_.Finish();
}

void CudaBackend::InsertCenters(Vector<const CenterTask> tasks) {
  PlanCenters(tasks, &staging_, &centers_);
  centers_.distances.Send(
      &staging_, [this](RowFormat format, const TokenDistancesPiece* pieces,
                        int64_t count) {
        TokenDistancesOfPieces(&queue_, format, pieces, count);
      });
  centers_.heads.Send(
      &staging_,
      [this](RowFormat format, const CenterHead* heads, int64_t count) {
        InsertCentersOfHeads(&queue_, format, heads, count);
      });
  staging_.Finish();
}

void CudaBackend::InsertClusters(Vector<const ClusterTask> tasks) {
  PlanClusters(tasks, &staging_, &clusters_);
  clusters_.Send(&staging_, [this](RowFormat format, const ClusterHead* heads,
                                   int64_t count) {
    InsertClustersOfHeads(&queue_, format, heads, count);
  });
  staging_.Finish();
}

void CudaBackend::KeepBest(Vector<const KeepBestTask> tasks) {
  scored_.clear();
  for (const KeepBestTask& task : tasks) {
    Check(task);
    KeepBestHead& head = scored_.emplace_back();
    head.row_bytes = task.row_bytes();
    head.held = static_cast<int>(task.held);
    head.limit = static_cast<int>(task.limit);
    head.tokens = static_cast<int>(task.tokens());
    const auto rows = [&](std::byte* data) {
      return staging_.InOut(Vector<uint8_t>(reinterpret_cast<uint8_t*>(data),
                                            task.room() * head.row_bytes));
    };
    head.keys = rows(task.keys);
    head.values = rows(task.values);
    head.scores = staging_.InOut(task.scores);
    head.positions = staging_.InOut(task.positions);
    const size_t bytes = task.tokens() * head.row_bytes;
    head.token_keys = staging_.InBytes(task.token_keys.data, bytes);
    head.token_values = staging_.InBytes(task.token_values.data, bytes);
    head.token_scores = staging_.In(task.token_scores);
    head.token_positions = staging_.In(task.token_positions);
  }
  SendPieces(&scored_, &staging_,
             [this](const KeepBestHead* heads, int64_t count) {
               KeepBestOfHeads(&queue_, heads, count);
             });
  staging_.Finish();
}

}  // namespace subgen::cuda
