#include "engine/cache/clusters.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace subgen {

int64_t ClusterOptions::Bytes(RowLayout layout, int64_t samples) {
  return (samples + 1) * layout.row_bytes() + samples * sizeof(float) +
         sizeof(int32_t);
}

Clusters::Clusters(const SketchPlace& place, const ClusterOptions& options)
    : place_(place),
      options_(options),
      squared_radius_(options.radius * options.radius),
      representatives_(place.layout, options.limit, RowStore::Holds::kKeys),
      samples_(place.layout, options.limit * options.samples,
               RowStore::Holds::kKeys),
      counts_(options.limit),
      bias_(options.limit * options.samples) {}

int64_t Clusters::bytes() const {
  return representatives_.bytes() + samples_.bytes() + counts_.bytes() +
         bias_.bytes();
}

void Clusters::SetBias(int64_t cluster) {
  const int64_t t = options_.samples;
  const double weight = static_cast<double>(counts_[cluster]) / t;
  const float bias = static_cast<float>(std::log(weight));
  for (int64_t i = 0; i < t; ++i) bias_[cluster * t + i] = bias;
}

void Clusters::Join(int64_t nearest, EncodedRow key, Draws* draws) {
  const int64_t t = options_.samples;
  const double probability = 1.0 / ++counts_[nearest];
  draws->Successes(t, probability,
                   [&](int64_t i) { samples_.Set(nearest * t + i, key); });
  SetBias(nearest);
}

void Clusters::Open(EncodedRow key) {
  const int64_t cluster = size(), t = options_.samples;
  representatives_.Set(cluster, key);
  for (int64_t i = 0; i < t; ++i) samples_.Set(cluster * t + i, key);
  counts_.Resize(cluster + 1);
  bias_.Resize((cluster + 1) * t);
  counts_[cluster] = 1;
  SetBias(cluster);
}

void Clusters::Distances(int64_t row, int64_t count,
                         Vector<float> squared) const {
  std::vector<float> key(place_.layout.head_dim);
  representatives_.DecodeKey(row, key);
  const DistanceTask task = {key, representatives_.View(0, count).keys,
                             squared.first(count)};
  place_.backend->Distances({&task, 1});
}

std::vector<int64_t> Clusters::Double(Draws* draws) {
  const int64_t before = size();
  std::vector<float> squared(before);
  float smallest = std::numeric_limits<float>::infinity();
  for (int64_t i = 1; i < before; ++i) {
    Distances(i, i, squared);
    smallest = std::min(
        smallest, *std::min_element(squared.begin(), squared.begin() + i));
  }
  squared_radius_ =
      std::max(4.0 * squared_radius_, static_cast<double>(smallest));
  std::vector<int64_t> place(before, 0);
  int64_t kept = std::min<int64_t>(before, 1);
  for (int64_t i = 1; i < before; ++i) {
    Distances(i, kept, squared);
    const int64_t nearest =
        std::min_element(squared.begin(), squared.begin() + kept) -
        squared.begin();
    if (Covers(squared[nearest])) {
      MergeInto(nearest, i, draws);
      place[i] = nearest;
    } else {
      Move(i, kept);
      place[i] = kept++;
    }
  }
  representatives_.Resize(kept);
  samples_.Resize(kept * options_.samples);
  counts_.Resize(kept);
  bias_.Resize(kept * options_.samples);
  return place;
}

void Clusters::MergeInto(int64_t into, int64_t from, Draws* draws) {
  const int64_t t = options_.samples;
  counts_[into] += counts_[from];
  const double share = static_cast<double>(counts_[from]) / counts_[into];
  draws->Successes(t, share, [&](int64_t i) {
    samples_.Set(into * t + i, samples_.row(from * t + i));
  });
  SetBias(into);
}

void Clusters::Move(int64_t from, int64_t to) {
  const int64_t t = options_.samples;
  representatives_.Set(to, representatives_.row(from));
  for (int64_t i = 0; i < t; ++i) {
    samples_.Set(to * t + i, samples_.row(from * t + i));
  }
  counts_[to] = counts_[from];
  SetBias(to);
}

WeightedRows Clusters::View() const {
  WeightedRows view = samples_.View();
  view.partition_bias = bias_.span();
  return view;
}

void Clusters::Save(ByteWriter* out) const {
  out->Put(squared_radius_);
  representatives_.Save(out);
  samples_.Save(out);
  counts_.Save(out);
}

absl::Status Clusters::Load(ByteReader* in, int64_t entered) {
  RETURN_IF_ERROR(in->Get(&squared_radius_));
  RETURN_IF_ERROR(CheckSaved(squared_radius_ >= 0.0, "the radius"));
  RETURN_IF_ERROR(representatives_.Load(in));
  RETURN_IF_ERROR(samples_.Load(in));
  RETURN_IF_ERROR(counts_.Load(in));
  const int64_t clusters = counts_.size();
  RETURN_IF_ERROR(CheckSaved(representatives_.size() == clusters &&
                                 samples_.size() == clusters * options_.samples,
                             "the number of clusters"));
  bias_.Resize(samples_.size());
  int64_t sum = 0;
  for (int64_t i = 0; i < clusters; ++i) {
    RETURN_IF_ERROR(CheckSaved(counts_[i] >= 1, "a count"));
    sum += counts_[i];
    SetBias(i);
  }
  return CheckSaved(sum == entered, "the sum of the counts");
}

}  // namespace subgen
