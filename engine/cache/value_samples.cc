#include "engine/cache/value_samples.h"

#include <cmath>
#include <limits>
#include <vector>

namespace subgen {

ValueSamples::ValueSamples(const SketchPlace& place, int64_t slots)
    : place_(place),
      slots_(slots),
      store_(place.layout, slots),
      log_norm_(slots),
      value_bias_(slots),
      partition_bias_(slots) {}

void ValueSamples::Resize(int64_t rows) {
  store_.Resize(rows);
  log_norm_.Resize(rows);
  value_bias_.Resize(rows);
  partition_bias_.Resize(rows);
  for (float& bias : partition_bias_.span()) {
    bias = -std::numeric_limits<float>::infinity();
  }
}

void ValueSamples::Insert(EncodedRow row, Draws* draws) {
  std::vector<float> value(place_.layout.head_dim);
  DecodeRow(place_.layout.format, row.value, value);
  double squared = 0.0;
  for (const float v : value) squared += static_cast<double>(v) * v;
  if (!(squared > 0.0)) return;
  squared_norms_ += squared;
  if (rows() == 0) Resize(slots_);  // the first token enters every slot
  draws->Successes(slots_, squared / squared_norms_, [&](int64_t i) {
    store_.Set(i, row);
    log_norm_[i] = static_cast<float>(std::log(squared));
  });
}

void ValueSamples::UpdateBias() {
  const double log_weight = std::log(squared_norms_ / slots_);
  for (int64_t i = 0; i < rows(); ++i) {
    value_bias_[i] = static_cast<float>(log_weight - log_norm_[i]);
  }
}

WeightedRows ValueSamples::View() const {
  WeightedRows view = store_.View();
  view.partition_bias = partition_bias_.span();
  view.value_bias = value_bias_.span();
  return view;
}

int64_t ValueSamples::bytes() const {
  return store_.bytes() + log_norm_.bytes() + value_bias_.bytes() +
         partition_bias_.bytes();
}

void ValueSamples::Save(ByteWriter* out) const {
  out->Put(squared_norms_);
  store_.Save(out);
  log_norm_.Save(out);
}

absl::Status ValueSamples::Load(ByteReader* in) {
  RETURN_IF_ERROR(in->Get(&squared_norms_));
  RETURN_IF_ERROR(store_.Load(in));
  RETURN_IF_ERROR(log_norm_.Load(in));
  RETURN_IF_ERROR(
      CheckSaved(squared_norms_ >= 0.0 && log_norm_.size() == rows() &&
                     (rows() == slots_ ? squared_norms_ > 0.0 : rows() == 0),
                 "the value samples"));
  Resize(rows());
  UpdateBias();
  return absl::OkStatus();
}

}  // namespace subgen
