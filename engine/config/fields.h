// This is the table of settings: one row per field of EngineConfig. It drives
// the YAML file, the environment, --set, --dump_config and their errors.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "engine/config/engine_config.h"

namespace subgen {

// This is where a field lives in one EngineConfig.
using FieldTarget = std::variant<int*, int64_t*, uint64_t*, double*,
                                 std::string*, std::vector<std::string>*>;

// This is what a field may hold: numbers between low and high or, where there
// are `numbers`, one of those; one of `names` (empty: any text). Nothing else
// says what is legal for a setting by itself.
struct Legal {
  double low = 0.0;
  double high = 0.0;
  bool above_low = false;   // low itself is not legal
  bool below_high = false;  // high itself is not legal
  std::vector<absl::string_view> names = {};
  std::vector<int> numbers = {};
};

struct Field {
  absl::string_view key;  // as in YAML: "cache.subgen.radius"
  FieldTarget (*target)(EngineConfig& config);
  Legal legal;
  absl::string_view help;  // one line
};

// This is a value as it was written, before its type is known.
struct Setting {
  enum class Kind { kPlain, kQuoted, kNull, kList };
  std::string key;
  std::string place;  // "a.yaml:3:8", "--set", "environment"
  Kind kind = Kind::kPlain;
  std::vector<std::string> values;  // one, or those of the list
};

// Returns the fields, grouped by section, in the order of EngineConfig.
absl::Span<const Field> Fields();

// Returns nullptr where there is none.
const Field* FindField(absl::string_view key);
// Tells whether the text is a prefix of keys, as "cache" and "cache.subgen".
bool IsSection(absl::string_view key);
// Returns the legal key that looks most like `key`.
absl::string_view NearestKey(absl::string_view key);
bool HoldsList(const Field& field);
// Returns a name such as SUBGEN_CACHE_SUBGEN_RADIUS.
std::string EnvironmentName(absl::string_view key);

// Returns a text such as "must be an integer from 0 to 4096".
std::string DescribeLegal(const Field& field);

// Sets a field. Errors read "place: key must be ..., not ...".
absl::Status SetField(const Field& field, const Setting& setting,
                      EngineConfig& config);
// Checks in the same way the fields of a cache that no text was read into.
// Errors read "cache.when = later: must be one of ...".
absl::Status CheckCacheFields(const CacheConfig& config);
// Returns the value as YAML that reads back to the same.
std::string FormatField(const Field& field, const EngineConfig& config);

}  // namespace subgen
