#include "engine/model/head_shares.h"

#include <algorithm>
#include <cmath>

#include "kernels/base/random.h"

namespace subgen {
namespace {

constexpr int64_t kTurns = 8;  // places of the tokens in the context
constexpr double kExponent = 5.0, kLeast = 0.1;
constexpr double kStep = 1.0 / 32;  // of shares, so that rounding seldom shows
constexpr double kGrowth = 1.125;   // of a sequence, from limits to limits

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

std::vector<double> SharesBySpreads(const std::vector<double>& spreads,
                                    double most) {
  const size_t heads = spreads.size();
  double total = 0.0;
  std::vector<double> weights, shares(heads, 1.0);
  for (const double spread : spreads) {
    weights.push_back(std::pow(spread, kExponent));
    total += weights.back();
  }
  if (!(total > 0.0) || !std::isfinite(total)) return shares;
  std::vector<bool> full(heads, false);
  double rest = (1.0 - kLeast) * heads;
  for (bool changed = true; changed;) {
    changed = false;
    const double scale = total > 0.0 ? rest / total : 0.0;
    for (size_t i = 0; i < heads; ++i) {
      if (full[i]) continue;
      shares[i] = kLeast + scale * weights[i];
      if (shares[i] < most) continue;
      shares[i] = most;
      full[i] = changed = true;
      rest -= most - kLeast;
      total -= weights[i];
    }
  }
  for (double& share : shares) share = std::floor(share / kStep) * kStep;
  return shares;
}

std::vector<HeadShares> SharesOverTime(const std::vector<double>& spreads,
                                       double most) {
  std::vector<HeadShares> steps;
  for (double now = 1.0; now < most;) {
    now = std::ceil(now * kGrowth / kStep) * kStep;
    steps.push_back({now, SharesBySpreads(spreads, now)});
    const std::vector<double>& shares = steps.back().shares;
    if (*std::max_element(shares.begin(), shares.end()) < now) break;
  }
  return steps;
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
    for (int64_t turn = 0; turn < kTurns; ++turn) {
      const Matrix<float> turned(keys.data(), rows, dim);
      std::copy_n(step.keys.row(head * rows).data(), rows * dim, keys.data());
      if (transform_ != nullptr) transform_->Undo(turned);
      const std::vector<int64_t> positions(
          rows, turn * shape_.context_tokens / kTurns);
      backend_.Rotate(shape_.rotary, positions, dim, turned);
      Count(turned, &sums_[head]);
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

}  // namespace subgen
