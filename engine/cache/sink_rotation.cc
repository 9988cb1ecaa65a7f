#include "engine/cache/sink_rotation.h"

#include <cmath>
#include <utility>

namespace subgen {

SinkRotation::SinkRotation(const Rotary& rotary, int64_t delta,
                           std::optional<HadamardTransform> transform)
    : interleaved_(rotary.interleaved), transform_(std::move(transform)) {
  for (const double frequency : rotary.inverse_frequency) {
    cosine_.push_back(std::cos(delta * frequency));
    sine_.push_back(std::sin(delta * frequency));
  }
}

void SinkRotation::Rotate(const Rows& keys, Vector<float> out) const {
  const size_t pairs = cosine_.size();
  for (int64_t i = 0; i < keys.count; ++i) {
    const Vector<float> key = out.subspan(i * keys.dim, keys.dim);
    DecodeRow(keys.format, keys.row(i), key);
    const Matrix<float> row(key.data(), 1, keys.dim);
    if (transform_) transform_->Undo(row);
    for (size_t pair = 0; pair < pairs; ++pair) {
      float& x = key[interleaved_ ? 2 * pair : pair];
      float& y = key[interleaved_ ? 2 * pair + 1 : pair + pairs];
      const double rotated_x = x * cosine_[pair] - y * sine_[pair];
      const double rotated_y = x * sine_[pair] + y * cosine_[pair];
      x = static_cast<float>(rotated_x);
      y = static_cast<float>(rotated_y);
    }
    if (transform_) transform_->Apply(row);
  }
}

}  // namespace subgen
