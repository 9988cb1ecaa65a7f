// These are dense operations on one row of a matrix. The file is compiled once
// per target.
#if defined(SUBGEN_KERNELS_CPU_DENSE_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SUBGEN_KERNELS_CPU_DENSE_ROWS_INL_H_
#undef SUBGEN_KERNELS_CPU_DENSE_ROWS_INL_H_
#else
#define SUBGEN_KERNELS_CPU_DENSE_ROWS_INL_H_
#endif

#include <hwy/contrib/math/math-inl.h>
#include <hwy/highway.h>

#include <cmath>

#include "kernels/cpu/dense/rotary_angles.h"
#include "kernels/memory/view.h"

HWY_BEFORE_NAMESPACE();
namespace subgen::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Calls work(d, i) for whole vectors of [0, count), then number by number.
template <class Work>
HWY_INLINE void ForVectors(int64_t count, const Work& work) {
  const hn::ScalableTag<float> d;
  const hn::CappedTag<float, 1> one;
  const int64_t lanes = hn::Lanes(d);
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) work(d, i);
  for (; i < count; ++i) work(one, i);
}

void NormRow(Vector<const float> x, Vector<const float> gain, float epsilon,
             float* out) {
  const hn::ScalableTag<float> d;
  const int64_t count = x.size(), lanes = hn::Lanes(d);
  auto squares = hn::Zero(d);
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    const auto v = hn::LoadU(d, x.data() + i);
    squares = hn::MulAdd(v, v, squares);
  }
  float sum = hn::GetLane(hn::SumOfLanes(d, squares));
  for (; i < count; ++i) sum += x[i] * x[i];
  const float scale =
      1.0f / std::sqrt(sum / static_cast<float>(count) + epsilon);
  ForVectors(count, [&](auto tag, int64_t j) HWY_ATTR {
    const auto scaled =
        hn::Mul(hn::LoadU(tag, x.data() + j), hn::Set(tag, scale));
    hn::StoreU(hn::Mul(scaled, hn::LoadU(tag, gain.data() + j)), tag, out + j);
  });
}

// Computes gate / (1 + exp(-gate)) by way of exp(-|gate|), which cannot
// overflow.
void SiluRow(Vector<const float> up, float* gate) {
  ForVectors(up.size(), [&](auto tag, int64_t j) HWY_ATTR {
    const auto x = hn::LoadU(tag, gate + j);
    const auto one = hn::Set(tag, 1.0f);
    const auto small = hn::Exp(tag, hn::Neg(hn::Abs(x)));
    const auto top = hn::IfThenElse(hn::Lt(x, hn::Zero(tag)), small, one);
    const auto silu = hn::Div(hn::Mul(x, top), hn::Add(one, small));
    hn::StoreU(hn::Mul(silu, hn::LoadU(tag, up.data() + j)), tag, gate + j);
  });
}

void AddToRow(Vector<const float> x, float* accumulator) {
  ForVectors(x.size(), [&](auto tag, int64_t j) HWY_ATTR {
    hn::StoreU(
        hn::Add(hn::LoadU(tag, accumulator + j), hn::LoadU(tag, x.data() + j)),
        tag, accumulator + j);
  });
}

void RotateHead(const RotaryAngles& angles, float* head) {
  ForVectors(angles.pairs, [&](auto tag, int64_t j) HWY_ATTR {
    const auto cosine = hn::LoadU(tag, angles.cosine + j);
    const auto sine = hn::LoadU(tag, angles.sine + j);
    auto x = hn::Zero(tag), y = hn::Zero(tag);
    if (angles.interleaved) {
      hn::LoadInterleaved2(tag, head + 2 * j, x, y);
    } else {
      x = hn::LoadU(tag, head + j);
      y = hn::LoadU(tag, head + angles.pairs + j);
    }
    const auto rotated_x = hn::NegMulAdd(y, sine, hn::Mul(x, cosine));
    const auto rotated_y = hn::MulAdd(x, sine, hn::Mul(y, cosine));
    if (angles.interleaved) {
      hn::StoreInterleaved2(rotated_x, rotated_y, tag, head + 2 * j);
    } else {
      hn::StoreU(rotated_x, tag, head + j);
      hn::StoreU(rotated_y, tag, head + angles.pairs + j);
    }
  });
}

}  // namespace subgen::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
