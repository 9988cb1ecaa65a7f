#include "engine/config/fields.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <type_traits>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "engine/config/text.h"
#include "kernels/base/quoted.h"

namespace subgen {
namespace {

template <class T>
constexpr bool kIsText = std::is_same_v<T, std::string>;
template <class T>
constexpr bool kIsList = std::is_same_v<T, std::vector<std::string>>;

// Returns the shortest text that reads back to the same number.
std::string FormatNumber(double value) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof(text), value);
  return std::string(text, end.ptr);
}

// Writes whole numbers as they are, never as 1e+09.
std::string FormatBound(double value) {
  const bool whole = value == std::floor(value) && std::abs(value) < 1e16;
  return whole ? absl::StrCat(static_cast<int64_t>(value))
               : FormatNumber(value);
}

bool IsLegal(const Legal& legal, double value) {
  if (!legal.numbers.empty()) {
    return std::ranges::count(legal.numbers, value) > 0;
  }
  return (legal.above_low ? value > legal.low : value >= legal.low) &&
         (legal.below_high ? value < legal.high : value <= legal.high);
}

// Each Parse takes a legal value and returns true, or returns false.
bool Parse(const std::string& text, const Legal& legal, double* out) {
  double value = 0.0;
  if (!absl::SimpleAtod(text, &value) || !std::isfinite(value) ||
      !IsLegal(legal, value)) {
    return false;
  }
  *out = value == 0.0 ? 0.0 : value;  // no minus zero
  return true;
}

template <class Integer>
requires std::is_integral_v<Integer>
bool Parse(const std::string& text, const Legal& legal, Integer* out) {
  Integer value = 0;
  if (!absl::SimpleAtoi(text, &value)) return false;
  if constexpr (std::is_signed_v<Integer>) {
    if (!IsLegal(legal, static_cast<double>(value))) return false;
  }
  *out = value;
  return true;
}

bool IsLegal(const Legal& legal, const std::string& text) {
  return legal.names.empty() || std::ranges::count(legal.names, text) > 0;
}

bool Parse(const std::string& text, const Legal& legal, std::string* out) {
  const bool known = IsLegal(legal, text);
  if (known) *out = text;
  return known;
}

bool Parse(const Setting& setting, const Legal&,
           std::vector<std::string>* out) {
  if (setting.kind == Setting::Kind::kNull) {
    out->clear();
    return true;
  }
  if (setting.kind != Setting::Kind::kList) return false;
  // An empty stop string would end every answer at once.
  for (const std::string& value : setting.values) {
    if (value.empty()) return false;
  }
  *out = setting.values;
  return true;
}

template <class T>
bool Parse(const Setting& setting, const Legal& legal, T* out) {
  // A number in quotes is a string, as in YAML.
  const bool scalar = setting.kind == Setting::Kind::kPlain ||
                      (setting.kind == Setting::Kind::kQuoted && kIsText<T>);
  return scalar && Parse(setting.values[0], legal, out);
}

std::string Written(const Setting& setting) {
  switch (setting.kind) {
    case Setting::Kind::kNull:
      return "nothing";
    case Setting::Kind::kList:
      return absl::StrCat("[", Quoted(absl::StrJoin(setting.values, ", ")),
                          "]");
    case Setting::Kind::kQuoted:
      return absl::StrCat("the string ", Quoted(setting.values[0]));
    default:
      return Quoted(setting.values[0]);
  }
}

size_t Likeness(absl::string_view key, absl::string_view legal) {
  const absl::string_view last = legal.substr(legal.rfind('.') + 1);
  const absl::string_view key_last = key.substr(key.rfind('.') + 1);
  size_t likeness = std::min(2 * EditDistance(key, legal),
                             2 * EditDistance(key_last, last) + 1);
  // A key of the same section that begins so is near: "cache.budgt".
  const auto section = [](absl::string_view k) {
    return k.substr(0, k.rfind('.') + 1);
  };
  if (section(key) == section(legal) && key_last.size() >= 3) {
    const absl::string_view begin = last.substr(0, key_last.size());
    likeness = std::min(likeness, 2 * EditDistance(key_last, begin) + 3);
  }
  return likeness;
}

}  // namespace

const Field* FindField(absl::string_view key) {
  for (const Field& field : Fields()) {
    if (field.key == key) return &field;
  }
  return nullptr;
}

bool IsSection(absl::string_view key) {
  for (const Field& field : Fields()) {
    if (field.key.size() > key.size() && field.key[key.size()] == '.' &&
        field.key.substr(0, key.size()) == key) {
      return true;
    }
  }
  return false;
}

absl::string_view NearestKey(absl::string_view key) {
  constexpr size_t kMost = 100;  // the distance is quadratic
  key = key.substr(0, kMost);
  absl::string_view nearest;
  size_t best = std::numeric_limits<size_t>::max();
  for (const Field& field : Fields()) {
    const size_t distance = Likeness(key, field.key);
    if (distance < best) {
      best = distance;
      nearest = field.key;
    }
  }
  return nearest;
}

bool HoldsList(const Field& field) {
  EngineConfig shape;
  return std::holds_alternative<std::vector<std::string>*>(field.target(shape));
}

std::string EnvironmentName(absl::string_view key) {
  return absl::StrCat(
      "SUBGEN_", absl::AsciiStrToUpper(absl::StrReplaceAll(key, {{".", "_"}})));
}

std::string DescribeLegal(const Field& field) {
  EngineConfig shape;
  return std::visit(
      [&field](auto* target) -> std::string {
        using T = std::remove_pointer_t<decltype(target)>;
        const Legal& legal = field.legal;
        if constexpr (kIsList<T>) {
          return "must be a list of strings such as [\"a\", \"b\"], none empty";
        } else if constexpr (std::is_same_v<T, uint64_t>) {
          return "must be an integer from 0 to 18446744073709551615";
        } else if constexpr (!kIsText<T>) {
          if (!legal.numbers.empty()) {
            return absl::StrCat("must be ",
                                absl::StrJoin(legal.numbers, " or "));
          }
          return absl::StrCat(
              "must be ", std::is_integral_v<T> ? "an integer" : "a number",
              legal.above_low ? " above " : " from ", FormatBound(legal.low),
              legal.below_high ? " to below " : " to ",
              FormatBound(legal.high));
        } else if (legal.names.empty()) {
          return "must be a string";
        } else {
          const auto quote_empty = [](std::string* out, absl::string_view s) {
            absl::StrAppend(out, s.empty() ? "\"\"" : s);
          };
          return absl::StrCat("must be one of ",
                              absl::StrJoin(legal.names, ", ", quote_empty));
        }
      },
      field.target(shape));
}

absl::Status SetField(const Field& field, const Setting& setting,
                      EngineConfig& config) {
  const bool taken = std::visit(
      [&](auto* target) { return Parse(setting, field.legal, target); },
      field.target(config));
  if (taken) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(setting.place, ": ", field.key,
                                                 " ", DescribeLegal(field),
                                                 ", not ", Written(setting)));
}

absl::Status CheckCacheFields(const CacheConfig& config) {
  EngineConfig engine;
  engine.cache = config;
  for (const Field& field : Fields()) {
    // Policies are those of their own table, which programs may add to.
    if (!absl::StartsWith(field.key, "cache.") || field.key == "cache.policy") {
      continue;
    }
    const bool legal = std::visit(
        [&field](auto* target) {
          using T = std::remove_pointer_t<decltype(target)>;
          if constexpr (kIsList<T> || std::is_same_v<T, uint64_t>) {
            return true;
          } else if constexpr (kIsText<T>) {
            return IsLegal(field.legal, *target);
          } else {
            return IsLegal(field.legal, static_cast<double>(*target));
          }
        },
        field.target(engine));
    if (legal) continue;
    return absl::InvalidArgumentError(absl::StrCat(field.key, " = ",
                                                   FormatField(field, engine),
                                                   ": ", DescribeLegal(field)));
  }
  return absl::OkStatus();
}

std::string FormatField(const Field& field, const EngineConfig& config) {
  EngineConfig copy = config;  // targets are writable
  return std::visit(
      [](auto* target) -> std::string {
        using T = std::remove_pointer_t<decltype(target)>;
        if constexpr (kIsList<T>) {
          const auto quote = [](std::string* out, const std::string& value) {
            absl::StrAppend(out, YamlQuoted(value));
          };
          return absl::StrCat("[", absl::StrJoin(*target, ", ", quote), "]");
        } else if constexpr (kIsText<T>) {
          return YamlQuoted(*target);
        } else if constexpr (std::is_same_v<T, double>) {
          return FormatNumber(*target);
        } else {
          return absl::StrCat(*target);
        }
      },
      field.target(copy));
}

}  // namespace subgen
