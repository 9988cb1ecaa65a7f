// These operations move numbers about; rotations are among them, as they may
// move numbers too.
#include "kernels/cuda/attention/attention.h"
#include "kernels/cuda/attention/hadamard.h"
#include "kernels/cuda/attention/layout.h"
#include "kernels/cuda/attention/partials.h"
#include "kernels/cuda/cuda_backend.h"
#include "kernels/memory/hadamard.h"

namespace subgen::cuda {

namespace {

// Returns views of the device that are only read there.
SoftmaxPartials In(const SoftmaxPartials& partials, Operation* operation) {
  const auto in = [&](Vector<float> host) -> Vector<float> {
    const float* data = operation->In(Vector<const float>(host));
    return {const_cast<float*>(data), host.size()};
  };
  const Matrix<const float> weighted =
      operation->In(Matrix<const float>(partials.weighted));
  return {in(partials.max_logit),
          in(partials.partition),
          {const_cast<float*>(weighted.data), weighted.rows, weighted.cols,
           weighted.stride}};
}

SoftmaxPartials InOut(const SoftmaxPartials& partials, Operation* operation) {
  const auto in_out = [&](Vector<float> host) -> Vector<float> {
    return {operation->InOut(host), host.size()};
  };
  return {in_out(partials.max_logit), in_out(partials.partition),
          operation->InOut(partials.weighted)};
}

}  // namespace

void CudaBackend::GatherRows(Matrix<const float> from, Vector<const int> rows,
                             Matrix<float> output) {
  Operation operation(&staging_);
  SUBGEN_CHECK(from.cols == output.cols &&
               output.rows == static_cast<int64_t>(rows.size()));
  for (const int row : rows) SUBGEN_CHECK(row >= 0 && row < from.rows, row);
  const Matrix<const float> in = operation.In(from);
  const int* const ids = operation.In(rows);
  cuda::GatherRows(&queue_, in, ids, operation.Out(output));
}

void CudaBackend::Clear(Matrix<float> matrix) {
  Operation operation(&staging_);
  cuda::Fill(&queue_, 0.0f, operation.Out(matrix));
}

RotaryAngles CudaBackend::OnDevice(const HeadRotation& rotation,
                                   Operation* operation) {
  const Rotary& rotary = *rotation.rotary;
  return {kept_.Numbers(rotary.inverse_frequency),
          static_cast<int64_t>(rotary.inverse_frequency.size()),
          rotary.magnitude, rotary.interleaved,
          operation->In(rotation.positions)};
}

void CudaBackend::Rotate(const Rotary& rotary, Vector<const int64_t> positions,
                         int64_t head_dim, Matrix<float> heads) {
  Operation operation(&staging_);
  const RotaryAngles angles = OnDevice({&rotary, positions}, &operation);
  SUBGEN_CHECK(2 * angles.pairs <= head_dim && heads.cols % head_dim == 0 &&
               static_cast<int64_t>(positions.size()) == heads.rows);
  cuda::Rotate(&queue_, angles, head_dim, operation.InOut(heads));
}

void CudaBackend::SplitHeads(Vector<const HeadSplit> splits) {
  Operation operation(&staging_);
  const auto [host, device] = operation.Stage<HeadSplitPiece>(splits.size());
  HeadSplitPiece* piece = host;
  int64_t elements = 0;
  for (const HeadSplit& split : splits) {
    const HeadLayout& layout = split.layout;
    const int64_t heads = layout.kv_heads * layout.group;
    const RotaryAngles angles = split.rotation.rotary
                                    ? OnDevice(split.rotation, &operation)
                                    : RotaryAngles();
    SUBGEN_CHECK(2 * angles.pairs <= layout.head_dim &&
                 split.token_major.cols == heads * layout.head_dim &&
                 split.token_major.rows == layout.tokens &&
                 split.head_major.rows == layout.rows());
    elements += layout.rows() * (layout.head_dim - angles.pairs);
    *piece++ = {elements,    angles,
                layout,      operation.In(split.token_major),
                split.scale, operation.Out(split.head_major)};
  }
  cuda::SplitHeads(&queue_, device, elements);
}

void CudaBackend::ApplyHadamard(const HadamardTransform& transform,
                                Matrix<float> rows, bool back) {
  Operation operation(&staging_);
  SUBGEN_CHECK(rows.cols == transform.dim() && rows.cols <= kMostHeadDim);
  const DeviceHadamard on_device = {kept_.Numbers(transform.signs()),
                                    transform.block(), back};
  cuda::ApplyHadamard(&queue_, on_device, operation.InOut(rows));
}

void CudaBackend::JoinHeads(const HeadLayout& layout,
                            const SoftmaxPartials& partials,
                            const JoinPlace& place, Matrix<float> token_major) {
  Operation operation(&staging_);
  SUBGEN_CHECK(partials.rows() == layout.rows() &&
               token_major.rows == layout.tokens &&
               place.column + place.features <= token_major.cols);
  const SoftmaxPartials in = In(partials, &operation);
  cuda::JoinHeads(&queue_, layout, in, place, operation.InOut(token_major));
}

void CudaBackend::SetEmpty(const SoftmaxPartials& partials) {
  Operation operation(&staging_);
  const size_t size = partials.rows();
  cuda::SetEmpty(&queue_, {{operation.Out(partials.max_logit), size},
                           {operation.Out(partials.partition), size},
                           operation.Out(partials.weighted)});
}

void CudaBackend::LogPartition(const SoftmaxPartials& partials,
                               Vector<float> out) {
  Operation operation(&staging_);
  SUBGEN_CHECK(static_cast<int64_t>(out.size()) == partials.rows());
  const SoftmaxPartials in = In(partials, &operation);
  cuda::LogPartition(&queue_, in, operation.Out(out));
}

void CudaBackend::RescalePartials(Vector<const float> own_max,
                                  const SoftmaxPartials& partials) {
  Operation operation(&staging_);
  SUBGEN_CHECK(static_cast<int64_t>(own_max.size()) == partials.rows());
  const float* const own = operation.In(own_max);
  cuda::RescalePartials(&queue_, own, InOut(partials, &operation));
}

void CudaBackend::MergePacked(Vector<const float> packed,
                              const SoftmaxPartials& into) {
  Operation operation(&staging_);
  const int64_t each = into.rows() * (into.weighted.cols + 2);
  SUBGEN_CHECK(each == 0 || packed.size() % each == 0);
  const int64_t parts = each == 0 ? 0 : packed.size() / each;
  const float* const in = operation.In(packed);
  cuda::MergePacked(&queue_, in, parts, InOut(into, &operation));
}

}  // namespace subgen::cuda
