#include "engine/model/head_shares.h"

#include <algorithm>
#include <cmath>

namespace subgen {
namespace {

constexpr double kExponent = 5.0, kLeast = 0.1;
constexpr double kStep = 1.0 / 32;  // of shares, so that rounding seldom shows
constexpr double kGrowth = 1.125;   // of a sequence, from limits to limits

}  // namespace

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

}  // namespace subgen
