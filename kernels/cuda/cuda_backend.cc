// Operations on host views: mirrored memory and weights that are kept are used
// on the device, everything else is staged.
#include <limits>
#include <map>
#include <memory>
#include <tuple>
#include <vector>

#include "absl/status/status.h"
#include "kernels/backend.h"
#include "kernels/base/status_macros.h"
#include "kernels/cuda/attention_plan.h"
#include "kernels/cuda/center_plan.h"
#include "kernels/cuda/clustering.h"
#include "kernels/cuda/dense.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/layout.h"
#include "kernels/cuda/row_copies.h"
#include "kernels/cuda/staging.h"

namespace subgen {
namespace cuda {
namespace {

constexpr int kBlocksOfProcessor = 4;

struct Stream {
  Stream() {
    CheckCuda(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking),
              "stream");
  }
  ~Stream() { cudaStreamDestroy(stream); }
  Stream(const Stream&) = delete;
  cudaStream_t stream = nullptr;
};

class CudaBackend final : public Backend {
 public:
  CudaBackend(int device, int processors)
      : device_(device),
        blocks_(int64_t{kBlocksOfProcessor} * processors),
        mirror_(device, stream_.stream),
        staging_(stream_.stream, &mirror_) {}

  absl::string_view name() const override { return "cuda"; }
  Mirror* mirror() override { return &mirror_; }

  absl::Status KeepWeight(const WeightMatrix& weight) override {
    Use();
    DeviceMemory memory;
    const size_t bytes = weight.rows * weight.row_bytes();
    if (DeviceMemory::TryMake(bytes, &memory) != cudaSuccess) {
      return absl::ResourceExhaustedError(
          absl::StrCat("device ", device_, " has no room for a matrix of ",
                       bytes, " bytes, after ", kept_bytes_,
                       " bytes of weights: use more ranks or a smaller model"));
    }
    if (bytes > 0) CopyWeight(weight, memory.data());
    kept_bytes_ += bytes;
    kept_[Key(weight)] = std::move(memory);
    return absl::OkStatus();
  }

  void Linear(Matrix<const float> input, const WeightMatrix& weight,
              Matrix<float> output) override {
    SUBGEN_CHECK(input.cols == weight.cols && output.cols == weight.rows &&
                 input.rows == output.rows);
    Use();
    const Matrix<const float> in = staging_.In(input);
    const WeightMatrix on_device = OnDevice(weight);
    const Matrix<float> out = staging_.Out(output);
    staging_.Upload();
    cuda::Linear(stream_.stream, in, on_device, out);
    staging_.Finish();
  }

  void Embed(const WeightMatrix& table, Vector<const int> ids,
             Matrix<float> output) override {
    SUBGEN_CHECK(output.cols == table.cols &&
                 output.rows == static_cast<int64_t>(ids.size()));
    Use();
    std::vector<std::byte> rows;  // of the table, those that are read
    for (const int id : ids) {
      SUBGEN_CHECK(id >= 0 && id < table.rows, id);
      rows.insert(rows.end(), table.row(id), table.row(id) + table.row_bytes());
    }
    WeightMatrix read = table;
    read.rows = output.rows;
    read.row_stride = table.row_bytes();
    read.data = reinterpret_cast<const std::byte*>(
        staging_.InBytes(rows.data(), rows.size()));
    const Matrix<float> out = staging_.Out(output);
    staging_.Upload();
    cuda::Dequantize(stream_.stream, read, out);
    staging_.Finish();
  }

  void RmsNorm(Matrix<const float> input, Vector<const float> gain,
               float epsilon, Matrix<float> output) override {
    SUBGEN_CHECK(static_cast<int64_t>(gain.size()) == input.cols &&
                 output.cols == input.cols && output.rows == input.rows);
    Use();
    const Matrix<const float> in = staging_.In(input);
    const float* gains = staging_.In(gain);
    const Matrix<float> out = staging_.Out(output);
    staging_.Upload();
    cuda::RmsNorm(stream_.stream, in, gains, epsilon, out);
    staging_.Finish();
  }

  void Rotate(const Rotary& rotary, Vector<const int64_t> positions,
              int64_t head_dim, Matrix<float> heads) override {
    const int64_t pairs = rotary.inverse_frequency.size();
    SUBGEN_CHECK(2 * pairs <= head_dim && heads.cols % head_dim == 0 &&
                 static_cast<int64_t>(positions.size()) == heads.rows);
    Use();
    const RotaryAngles angles = {
        staging_.In(Vector<const double>(rotary.inverse_frequency)),
        static_cast<int>(pairs), rotary.magnitude, rotary.interleaved};
    const int64_t* at = staging_.In(positions);
    const Matrix<float> turned = staging_.InOut(heads);
    staging_.Upload();
    cuda::Rotate(stream_.stream, angles, at, head_dim, turned);
    staging_.Finish();
  }

  void GatedSilu(Matrix<const float> up, Matrix<float> gate) override {
    SUBGEN_CHECK(up.rows == gate.rows && up.cols == gate.cols);
    Use();
    const Matrix<const float> in = staging_.In(up);
    const Matrix<float> out = staging_.InOut(gate);
    staging_.Upload();
    cuda::GatedSilu(stream_.stream, in, out);
    staging_.Finish();
  }

  void Add(Matrix<const float> x, Matrix<float> accumulator) override {
    SUBGEN_CHECK(x.rows == accumulator.rows && x.cols == accumulator.cols);
    Use();
    const Matrix<const float> in = staging_.In(x);
    const Matrix<float> out = staging_.InOut(accumulator);
    staging_.Upload();
    cuda::Add(stream_.stream, in, out);
    staging_.Finish();
  }

  void AddRow(Vector<const float> row, Matrix<float> matrix) override {
    SUBGEN_CHECK(static_cast<int64_t>(row.size()) == matrix.cols);
    Use();
    const float* in = staging_.In(row);
    const Matrix<float> out = staging_.InOut(matrix);
    staging_.Upload();
    cuda::AddRow(stream_.stream, in, out);
    staging_.Finish();
  }

  void GatherRows(Matrix<const float> from, Vector<const int> rows,
                  Matrix<float> output) override {
    SUBGEN_CHECK(from.cols == output.cols &&
                 output.rows == static_cast<int64_t>(rows.size()));
    for (const int row : rows) SUBGEN_CHECK(row >= 0 && row < from.rows, row);
    Use();
    const Matrix<const float> in = staging_.In(from);
    const int* ids = staging_.In(rows);
    const Matrix<float> out = staging_.Out(output);
    staging_.Upload();
    cuda::GatherRows(stream_.stream, in, ids, out);
    staging_.Finish();
  }

  void Clear(Matrix<float> matrix) override {
    Use();
    const Matrix<float> out = staging_.Out(matrix);
    staging_.Upload();
    cuda::Fill(stream_.stream, 0.0f, out);
    staging_.Finish();
  }

  void SplitHeads(const HeadLayout& layout, Matrix<const float> token_major,
                  float scale, Matrix<float> head_major) override {
    SUBGEN_CHECK(token_major.rows == layout.tokens &&
                 head_major.rows == layout.rows());
    Use();
    const Matrix<const float> in = staging_.In(token_major);
    const Matrix<float> out = staging_.Out(head_major);
    staging_.Upload();
    cuda::SplitHeads(stream_.stream, layout, in, scale, out);
    staging_.Finish();
  }

  void JoinHeads(const HeadLayout& layout, const SoftmaxPartials& partials,
                 const JoinPlace& place, Matrix<float> token_major) override {
    SUBGEN_CHECK(partials.rows() == layout.rows() &&
                 token_major.rows == layout.tokens &&
                 place.column + place.features <= token_major.cols);
    Use();
    const SoftmaxPartials in = In(partials);
    const Matrix<float> out = staging_.InOut(token_major);
    staging_.Upload();
    cuda::JoinHeads(stream_.stream, layout, in, place, out);
    staging_.Finish();
  }

  void SetEmpty(const SoftmaxPartials& partials) override {
    Use();
    const int64_t rows = partials.rows();
    float* const max_logit = staging_.Out(partials.max_logit);
    float* const partition = staging_.Out(partials.partition);
    const Matrix<float> weighted = staging_.Out(partials.weighted);
    staging_.Upload();
    cuda::Fill(stream_.stream, -std::numeric_limits<float>::infinity(),
               {max_logit, 1, rows});
    cuda::Fill(stream_.stream, 0.0f, {partition, 1, rows});
    cuda::Fill(stream_.stream, 0.0f, weighted);
    staging_.Finish();
  }

  void LogPartition(const SoftmaxPartials& partials,
                    Vector<float> out) override {
    SUBGEN_CHECK(static_cast<int64_t>(out.size()) == partials.rows());
    Use();
    const SoftmaxPartials in = In(partials);
    float* const logs = staging_.Out(out);
    staging_.Upload();
    cuda::LogPartition(stream_.stream, in, logs);
    staging_.Finish();
  }

  void ConvertRows(Vector<const RowCopy> copies) override {
    std::vector<RowCopy> for_host;
    PiecesByFormat<RowCopyPiece> planned;
    Use();
    for (const RowCopy& copy : copies) {
      if (CanConvert(copy.from.format, copy.format)) {
        AddPieces(copy, &planned[copy.from.format]);
      } else {
        for_host.push_back(copy);
      }
    }
    const auto pieces = Send(planned);
    staging_.Upload();
    for (const auto& [format, all] : pieces) {
      CopyRowPieces(stream_.stream, format, all.data(), all.size());
    }
    staging_.Finish();
    Backend::ConvertRows(for_host);
  }

  void Attend(Vector<const AttentionTask> tasks) override {
    Use();
    const AttentionPlan plan = PlanAttention(tasks, blocks_, &staging_);
    const auto pieces = Send(plan.pieces);
    const MergeTarget* targets =
        staging_.In(Vector<const MergeTarget>(plan.targets));
    staging_.Upload();
    for (const auto& [format, all] : pieces) {
      AttendPieces(stream_.stream, format, all.data(), all.size());
    }
    MergePieces(stream_.stream, targets, plan.targets.size());
    staging_.Finish();
  }

  void AccumulateMass(Vector<const AttentionMassTask> tasks) override {
    Use();
    const auto rounds = PlanMass(tasks, &staging_);
    std::vector<std::map<RowFormat, Vector<const MassPiece>>> sent;
    for (const auto& round : rounds) sent.push_back(Send(round));
    staging_.Upload();
    for (const auto& round : sent) {
      for (const auto& [format, all] : round) {
        AccumulateMassPieces(stream_.stream, format, all.data(), all.size());
      }
    }
    staging_.Finish();
  }

  void Distances(Vector<const DistanceTask> tasks) override {
    Use();
    PiecesByFormat<DistancePiece> planned;
    for (const DistanceTask& task : tasks) AddPieces(task, &planned);
    const auto pieces = Send(planned);
    staging_.Upload();
    for (const auto& [format, all] : pieces) {
      DistancesOfPieces(stream_.stream, format, all.data(), all.size());
    }
    staging_.Finish();
  }

  void InsertCenters(Vector<const CenterTask> tasks) override {
    Use();
    const CenterPlan plan = PlanCenters(tasks, &staging_);
    const auto distances = Send(plan.distances);
    const auto heads = Send(plan.heads);
    staging_.Upload();
    for (const auto& [format, all] : distances) {
      TokenDistancesOfPieces(stream_.stream, format, all.data(), all.size());
    }
    for (const auto& [format, all] : heads) {
      InsertCentersOfHeads(stream_.stream, format, all.data(), all.size());
    }
    staging_.Finish();
  }

 private:
  using WeightKey = std::tuple<const std::byte*, int64_t, int64_t, int64_t>;
  static WeightKey Key(const WeightMatrix& weight) {
    return {weight.data, weight.rows, weight.cols, weight.row_stride};
  }

  // The device of a thread is the thread's own.
  void Use() const { CheckCuda(cudaSetDevice(device_), "device"); }

  void CopyWeight(const WeightMatrix& weight, uint8_t* to) {
    const size_t width = weight.row_bytes();
    CheckCuda(
        cudaMemcpy2DAsync(to, width, weight.data, weight.row_stride, width,
                          weight.rows, cudaMemcpyHostToDevice, stream_.stream),
        "copy of a weight");
    CheckCuda(cudaStreamSynchronize(stream_.stream), "copy of a weight");
  }

  WeightMatrix OnDevice(const WeightMatrix& weight) {
    WeightMatrix on_device = weight;
    on_device.row_stride = weight.row_bytes();
    const auto found = kept_.find(Key(weight));
    if (found != kept_.end()) {
      on_device.data = reinterpret_cast<const std::byte*>(found->second.data());
      return on_device;
    }
    std::vector<std::byte> packed;
    for (int64_t i = 0; i < weight.rows; ++i) {
      packed.insert(packed.end(), weight.row(i),
                    weight.row(i) + weight.row_bytes());
    }
    on_device.data = reinterpret_cast<const std::byte*>(
        staging_.InBytes(packed.data(), packed.size()));
    return on_device;
  }

  // Views of the device; only read there.
  SoftmaxPartials In(const SoftmaxPartials& partials) {
    const auto in = [this](Vector<float> host) -> Vector<float> {
      const float* data = staging_.In(Vector<const float>(host));
      return {const_cast<float*>(data), host.size()};
    };
    const Matrix<const float> weighted =
        staging_.In(Matrix<const float>(partials.weighted));
    return {in(partials.max_logit),
            in(partials.partition),
            {const_cast<float*>(weighted.data), weighted.rows, weighted.cols,
             weighted.stride}};
  }

  // Arrays of pieces, put in.
  template <class Piece>
  std::map<RowFormat, Vector<const Piece>> Send(
      const PiecesByFormat<Piece>& pieces) {
    std::map<RowFormat, Vector<const Piece>> sent;
    for (const auto& [format, all] : pieces) {
      sent[format] = {staging_.In(Vector<const Piece>(all)), all.size()};
    }
    return sent;
  }

  void AddPieces(const RowCopy& copy, std::vector<RowCopyPiece>* pieces) {
    const Rows& from = copy.from;
    RowCopyPiece piece;
    piece.dim = static_cast<int>(from.dim);
    piece.format = copy.format;
    piece.from_bytes = RowBytes(from.format, from.dim);
    piece.to_bytes = RowBytes(copy.format, from.dim);
    piece.from = staging_.InBytes(from.data, from.count * piece.from_bytes);
    piece.to = staging_.Out(
        Vector<uint8_t>(reinterpret_cast<uint8_t*>(copy.to), copy.to_bytes()));
    for (int64_t row = 0; row < from.count; row += kRowsOfPiece) {
      piece.count =
          static_cast<int>(std::min<int64_t>(kRowsOfPiece, from.count - row));
      pieces->push_back(piece);
      piece.from += kRowsOfPiece * piece.from_bytes;
      piece.to += kRowsOfPiece * piece.to_bytes;
    }
  }

  void AddPieces(const DistanceTask& task,
                 PiecesByFormat<DistancePiece>* pieces) {
    const Rows& rows = task.rows;
    SUBGEN_CHECK(static_cast<int64_t>(task.squared.size()) == rows.count &&
                 rows.dim <= kMostHeadDim);
    if (rows.count == 0) return;
    DistancePiece piece;
    piece.point = staging_.In(task.point);
    piece.row_bytes = RowBytes(rows.format, rows.dim);
    piece.rows = staging_.InBytes(rows.data, rows.count * piece.row_bytes);
    piece.dim = static_cast<int>(rows.dim);
    piece.directions = task.directions;
    piece.squared = staging_.Out(task.squared);
    for (int64_t row = 0; row < rows.count; row += kDistanceRows) {
      piece.count =
          static_cast<int>(std::min<int64_t>(kDistanceRows, rows.count - row));
      (*pieces)[rows.format].push_back(piece);
      piece.rows += kDistanceRows * piece.row_bytes;
      piece.squared += kDistanceRows;
    }
  }

  const int device_;
  const int64_t blocks_;  // of a grid that fills the device
  Stream stream_;
  DeviceMirror mirror_;
  Staging staging_;
  std::map<WeightKey, DeviceMemory> kept_;
  int64_t kept_bytes_ = 0;
};

}  // namespace
}  // namespace cuda

absl::StatusOr<std::unique_ptr<Backend>> MakeCudaBackend(int device) {
  const absl::StatusOr<int> processors = cuda::OpenDevice(device);
  if (!processors.ok()) {
    return absl::FailedPreconditionError(
        absl::StrCat("backend 'cuda': ", processors.status().message()));
  }
  return std::make_unique<cuda::CudaBackend>(device, *processors);
}

}  // namespace subgen
