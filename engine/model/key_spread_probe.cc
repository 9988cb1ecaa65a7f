#include "engine/model/key_spread_probe.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "engine/cache/step_work.h"
#include "kernels/base/random.h"
#include "kernels/base/status_macros.h"

namespace subgen {
namespace {

constexpr int64_t kPlaces = 8;  // of the tokens in the context

}  // namespace

double KeySpread(Vector<const float> sums) {
  const int64_t dim = (static_cast<int64_t>(sums.size()) - 2) / 2;
  const double count = sums[2 * dim + 1];
  double unit = 0.0, mean = 0.0;
  for (int64_t i = 0; i < dim; ++i) {
    unit += std::pow(sums[i] / count, 2);
    mean += std::pow(sums[dim + i] / count, 2);
  }
  return std::max(0.0, 1.0 - unit) *
         std::sqrt(std::max(0.0, sums[2 * dim] / count - mean));
}

int MeasuredToken(int64_t i, int64_t vocabulary) {
  const double random = CounterRandom(0, 0, 0, i).Uniform(0);
  const double id =
      std::exp(random * std::log(static_cast<double>(vocabulary)));
  return static_cast<int>(std::min<int64_t>(id, vocabulary - 1));
}

KeySpreadProbe::KeySpreadProbe(std::unique_ptr<CachePolicy> exact,
                               const CacheShape& shape,
                               const HadamardTransform* transform,
                               Backend& backend)
    : ForwardingPolicy(std::move(exact)),
      shape_(shape),
      transform_(transform),
      backend_(backend),
      sums_(shape.kv_heads, std::vector<double>(KeySumsSize(shape.head_dim))) {}

void KeySpreadProbe::Append(const LayerStep& step) {
  const int64_t dim = shape_.head_dim, rows = step.owned;
  std::vector<float> keys(rows * dim);
  ReadByHost(backend_, Numbers(step.keys));
  for (int head = 0; head < shape_.kv_heads; ++head) {
    for (int64_t place = 0; place < kPlaces; ++place) {
      const Matrix<float> rotated(keys.data(), rows, dim);
      std::copy_n(step.keys.row(head * rows).data(), rows * dim, keys.data());
      if (transform_ != nullptr) transform_->Undo(rotated);
      const std::vector<int64_t> positions(
          rows, place * shape_.context_tokens / kPlaces);
      backend_.Rotate(shape_.rotary, positions, dim, rotated);
      Count(rotated, &sums_[head]);
    }
  }
  inner().Append(step);
}

void KeySpreadProbe::Count(Matrix<const float> keys,
                           std::vector<double>* sums) const {
  const int64_t dim = keys.cols;
  for (int64_t row = 0; row < keys.rows; ++row) {
    const Vector<const float> key = keys.row(row);
    double squares = 0.0;
    for (const float x : key) squares += static_cast<double>(x) * x;
    const double scale = squares > 0.0 ? 1.0 / std::sqrt(squares) : 0.0;
    for (int64_t i = 0; i < dim; ++i) {
      (*sums)[i] += scale * key[i];
      (*sums)[dim + i] += key[i];
    }
    (*sums)[2 * dim] += squares;
    (*sums)[2 * dim + 1] += 1.0;
  }
}

std::vector<float> KeySpreadProbe::Sums(int head) const {
  return std::vector<float>(sums_[head].begin(), sums_[head].end());
}

PolicyFactory KeySpreadProbes::Factory() {
  return
      [this](const CacheConfig& config, const CacheShape& shape,
             StepWork& work) -> absl::StatusOr<std::unique_ptr<CachePolicy>> {
        ASSIGN_OR_RETURN(auto exact, MakeCachePolicy(config, shape, work));
        auto probe = std::make_unique<KeySpreadProbe>(
            std::move(exact), shape, transform_, work.backend());
        layers_.push_back({probe.get(), shape});
        return probe;
      };
}

std::vector<double> KeySpreadProbes::Spreads(int64_t kv_heads,
                                             Communicator& world) const {
  const int64_t size = KeySumsSize(layers_.at(0).shape.head_dim);
  std::vector<float> sums(layers_.size() * kv_heads * size);
  for (const auto& [probe, shape] : layers_) {
    for (int head = 0; head < shape.kv_heads; ++head) {
      const std::vector<float> mine = probe->Sums(head);
      const int64_t at =
          (shape.layer * kv_heads + shape.first_kv_head + head) * size;
      std::copy(mine.begin(), mine.end(), sums.begin() + at);
    }
  }
  world.AllReduce(sums, ReduceOp::kSum);
  std::vector<double> spreads;
  for (size_t at = 0; at < sums.size(); at += size) {
    spreads.push_back(KeySpread(Vector<const float>(sums).subspan(at, size)));
  }
  return spreads;
}

}  // namespace subgen
