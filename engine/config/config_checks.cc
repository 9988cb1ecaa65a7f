#include "engine/config/config_checks.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "engine/config/fields.h"
#include "kernels/base/status_macros.h"

namespace subgen {
namespace {

// Writes a setting as "cache.budget_tokens: 8 (a.yaml:3:8)".
std::string Show(const char* key, const EngineConfig& config,
                 const SettingPlaces& places) {
  const auto place = places.find(key);
  return absl::StrCat(key, ": ", FormatField(*FindField(key), config), " (",
                      place == places.end() ? "default" : place->second, ")");
}

absl::Status CheckBudget(const EngineConfig& config,
                         const SettingPlaces& places) {
  const CacheConfig& cache = config.cache;
  std::vector<std::string> given;
  const auto add = [&](bool set, const char* key) {
    if (set) given.push_back(Show(key, config, places));
  };
  // The settings may come from different sources, so an error names the place
  // of each.
  add(cache.budget_tokens > 0, "cache.budget_tokens");
  add(cache.budget_bytes > 0, "cache.budget_bytes");
  add(cache.budget_fraction > 0, "cache.budget_fraction");
  if (given.size() > 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        absl::StrJoin(given, " and "),
        " are budgets, of which one at most is legal; set the others to 0"));
  }
  return absl::OkStatus();
}

absl::Status CheckRanks(const EngineConfig& config,
                        const SettingPlaces& places) {
  // Only ranks as threads are started by the program itself.
  if (config.ranks.count > 1 && config.comm != "threads") {
    return absl::InvalidArgumentError(absl::StrCat(
        Show("ranks.count", config, places), " needs comm: threads, not ",
        Show("comm", config, places)));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckConfig(const EngineConfig& config,
                         const SettingPlaces& places) {
  RETURN_IF_ERROR(CheckBudget(config, places));
  return CheckRanks(config, places);
}

}  // namespace subgen
