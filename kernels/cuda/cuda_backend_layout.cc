// What moves numbers about, and rotations, which may move them too.
#include "kernels/cuda/attention/attention.h"
#include "kernels/cuda/attention/hadamard.h"
#include "kernels/cuda/attention/layout.h"
#include "kernels/cuda/attention/partials.h"
#include "kernels/cuda/cuda_backend.h"
#include "kernels/memory/hadamard.h"

namespace subgen::cuda {

SoftmaxPartials CudaBackend::In(const SoftmaxPartials& partials) {
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

SoftmaxPartials CudaBackend::InOut(const SoftmaxPartials& partials) {
  const auto in_out = [this](Vector<float> host) -> Vector<float> {
    return {staging_.InOut(host), host.size()};
  };
  return {in_out(partials.max_logit), in_out(partials.partition),
          staging_.InOut(partials.weighted)};
}

void CudaBackend::GatherRows(Matrix<const float> from, Vector<const int> rows,
                             Matrix<float> output) {
  SUBGEN_CHECK(from.cols == output.cols &&
               output.rows == static_cast<int64_t>(rows.size()));
  for (const int row : rows) SUBGEN_CHECK(row >= 0 && row < from.rows, row);
  const Matrix<const float> in = staging_.In(from);
  const int* const ids = staging_.In(rows);
  cuda::GatherRows(&queue_, in, ids, staging_.Out(output));
  staging_.Finish();
}

void CudaBackend::Clear(Matrix<float> matrix) {
  cuda::Fill(&queue_, 0.0f, staging_.Out(matrix));
  staging_.Finish();
}

RotaryAngles CudaBackend::OnDevice(const HeadRotation& rotation) {
  const Rotary& rotary = *rotation.rotary;
  return {kept_.Numbers(rotary.inverse_frequency),
          static_cast<int64_t>(rotary.inverse_frequency.size()),
          rotary.magnitude, rotary.interleaved,
          staging_.In(rotation.positions)};
}

void CudaBackend::Rotate(const Rotary& rotary, Vector<const int64_t> positions,
                         int64_t head_dim, Matrix<float> heads) {
  const RotaryAngles angles = OnDevice({&rotary, positions});
  SUBGEN_CHECK(2 * angles.pairs <= head_dim && heads.cols % head_dim == 0 &&
               static_cast<int64_t>(positions.size()) == heads.rows);
  cuda::Rotate(&queue_, angles, head_dim, staging_.InOut(heads));
  staging_.Finish();
}

void CudaBackend::SplitHeads(Vector<const HeadSplit> splits) {
  const auto [host, device] = staging_.Stage<HeadSplitPiece>(splits.size());
  HeadSplitPiece* piece = host;
  int64_t elements = 0;
  for (const HeadSplit& split : splits) {
    const HeadLayout& layout = split.layout;
    const int64_t heads = layout.kv_heads * layout.group;
    const RotaryAngles angles =
        split.rotation.rotary ? OnDevice(split.rotation) : RotaryAngles();
    SUBGEN_CHECK(2 * angles.pairs <= layout.head_dim &&
                 split.token_major.cols == heads * layout.head_dim &&
                 split.token_major.rows == layout.tokens &&
                 split.head_major.rows == layout.rows());
    elements += layout.rows() * (layout.head_dim - angles.pairs);
    *piece++ = {
        elements,    angles,
        layout,      staging_.In(Matrix<const float>(split.token_major)),
        split.scale, staging_.Out(split.head_major)};
  }
  cuda::SplitHeads(&queue_, device, elements);
  staging_.Finish();
}

void CudaBackend::ApplyHadamard(const HadamardTransform& transform,
                                Matrix<float> rows, bool back) {
  SUBGEN_CHECK(rows.cols == transform.dim() && rows.cols <= kMostHeadDim);
  const DeviceHadamard on_device = {kept_.Numbers(transform.signs()),
                                    transform.block(), back};
  cuda::ApplyHadamard(&queue_, on_device, staging_.InOut(rows));
  staging_.Finish();
}

void CudaBackend::JoinHeads(const HeadLayout& layout,
                            const SoftmaxPartials& partials,
                            const JoinPlace& place, Matrix<float> token_major) {
  SUBGEN_CHECK(partials.rows() == layout.rows() &&
               token_major.rows == layout.tokens &&
               place.column + place.features <= token_major.cols);
  const SoftmaxPartials in = In(partials);
  cuda::JoinHeads(&queue_, layout, in, place, staging_.InOut(token_major));
  staging_.Finish();
}

void CudaBackend::SetEmpty(const SoftmaxPartials& partials) {
  const size_t size = partials.rows();
  cuda::SetEmpty(&queue_, {{staging_.Out(partials.max_logit), size},
                           {staging_.Out(partials.partition), size},
                           staging_.Out(partials.weighted)});
  staging_.Finish();
}

void CudaBackend::LogPartition(const SoftmaxPartials& partials,
                               Vector<float> out) {
  SUBGEN_CHECK(static_cast<int64_t>(out.size()) == partials.rows());
  const SoftmaxPartials in = In(partials);
  cuda::LogPartition(&queue_, in, staging_.Out(out));
  staging_.Finish();
}

void CudaBackend::RescalePartials(Vector<const float> own_max,
                                  const SoftmaxPartials& partials) {
  SUBGEN_CHECK(static_cast<int64_t>(own_max.size()) == partials.rows());
  const float* const own = staging_.In(own_max);
  cuda::RescalePartials(&queue_, own, InOut(partials));
  staging_.Finish();
}

void CudaBackend::MergePacked(Vector<const float> packed,
                              const SoftmaxPartials& into) {
  const int64_t each = into.rows() * (into.weighted.cols + 2);
  SUBGEN_CHECK(each == 0 || packed.size() % each == 0);
  const int64_t parts = each == 0 ? 0 : packed.size() / each;
  const float* const in = staging_.In(packed);
  cuda::MergePacked(&queue_, in, parts, InOut(into));
  staging_.Finish();
}

}  // namespace subgen::cuda
