#include "launch/evaluation/plan_reader.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "kernels/base/quoted.h"

namespace subgen {

PlanReader::PlanReader(YAML::Node map, std::string place)
    : map_(std::move(map)), place_(std::move(place)) {
  if (map_.IsDefined() && !map_.IsNull() && !map_.IsMap()) {
    Fail("", "must be a map of keys and values");
    map_ = YAML::Node();
  }
}

void PlanReader::Fail(absl::string_view key, const std::string& message) {
  if (!status_.ok()) return;
  status_ = absl::InvalidArgumentError(
      absl::StrCat(place_, ": ", key, key.empty() ? "" : " ", message));
}

YAML::Node PlanReader::Take(const char* key) {
  read_.insert(key);
  if (!map_.IsMap()) return YAML::Node();
  const YAML::Node& map = map_;  // a const look-up adds no key
  const YAML::Node value = map[key];
  return value.IsDefined() ? value : YAML::Node();
}

std::vector<std::string> PlanReader::Scalars(const char* key) {
  const YAML::Node value = Take(key);
  if (value.IsNull()) return {};
  if (value.IsScalar()) return {value.Scalar()};
  std::vector<std::string> scalars;
  for (const YAML::Node& each : value) {
    if (!value.IsSequence() || !each.IsScalar()) {
      Fail(key, "must be a value or a list of values");
      return {};
    }
    scalars.push_back(each.Scalar());
  }
  if (scalars.empty()) Fail(key, "is an empty list; name at least one");
  return scalars;
}

bool PlanReader::ParseNumber(const char* key, const std::string& text,
                             NumberRange legal, double* number) {
  if (absl::SimpleAtod(text, number) && *number >= legal.low &&
      *number <= legal.high) {
    return true;
  }
  Fail(key, absl::StrCat("must be from ", legal.low, " to ", legal.high,
                         ", not ", Quoted(text)));
  return false;
}

bool PlanReader::ParseWhole(const char* key, const std::string& text,
                            NumberRange legal, int64_t* number) {
  double parsed = 0.0;
  if (!ParseNumber(key, text, legal, &parsed)) return false;
  if (parsed != std::floor(parsed)) {
    Fail(key, absl::StrCat("must be a whole number, not ", Quoted(text)));
  }
  *number = static_cast<int64_t>(parsed);
  return true;
}

std::string PlanReader::CheckName(const char* key, const std::string& text,
                                  const std::vector<std::string>& legal) {
  if (!legal.empty() &&
      std::find(legal.begin(), legal.end(), text) == legal.end()) {
    Fail(key, absl::StrCat("has no ", Quoted(text), "; legal are ",
                           absl::StrJoin(legal, ", ")));
  }
  return text;
}

void PlanReader::Read(const char* key, NumberRange legal, int64_t* value) {
  const std::vector<std::string> found = Scalars(key);
  if (found.size() > 1) Fail(key, "must be one number");
  if (found.size() == 1) ParseWhole(key, found[0], legal, value);
}

void PlanReader::Read(const char* key, bool* value) {
  std::string text = *value ? "true" : "false";
  Read(key, {"true", "false"}, &text);
  *value = text == "true";
}

void PlanReader::Read(const char* key, NumberRange legal,
                      std::vector<int64_t>* values) {
  const std::vector<std::string> found = Scalars(key);
  if (!found.empty()) values->clear();
  for (const std::string& text : found) {
    ParseWhole(key, text, legal, &values->emplace_back());
  }
}

void PlanReader::Read(const char* key, NumberRange legal,
                      std::vector<double>* values) {
  const std::vector<std::string> found = Scalars(key);
  if (!found.empty()) values->clear();
  for (const std::string& text : found) {
    ParseNumber(key, text, legal, &values->emplace_back());
  }
}

void PlanReader::Read(const char* key, const std::vector<std::string>& legal,
                      std::vector<std::string>* values) {
  const std::vector<std::string> found = Scalars(key);
  if (!found.empty()) values->clear();
  for (const std::string& text : found) {
    values->push_back(CheckName(key, text, legal));
  }
}

void PlanReader::Read(const char* key, const std::vector<std::string>& legal,
                      std::string* value) {
  const std::vector<std::string> found = Scalars(key);
  if (found.size() > 1) Fail(key, "must be one value");
  if (found.size() == 1) *value = CheckName(key, found[0], legal);
}

void PlanReader::ReadMap(const char* key,
                         const std::function<void(PlanReader&)>& read) {
  PlanReader inner(Take(key), absl::StrCat(place_, ": ", key));
  read(inner);
  if (status_.ok()) status_ = inner.Finish();
}

void PlanReader::ReadMaps(const char* key,
                          const std::function<void(PlanReader&)>& read) {
  const YAML::Node list = Take(key);
  if (list.IsNull()) return;
  if (!list.IsSequence()) return Fail(key, "must be a list");
  for (size_t i = 0; i < list.size(); ++i) {
    PlanReader inner(list[i], absl::StrCat(place_, ": ", key, "[", i, "]"));
    read(inner);
    if (status_.ok()) status_ = inner.Finish();
  }
}

std::vector<std::string> PlanReader::Rest() {
  std::vector<std::string> rest;
  if (!map_.IsMap()) return rest;
  for (const auto& entry : map_) {
    const std::string key = entry.first.IsScalar() ? entry.first.Scalar() : "";
    if (key.empty() || !entry.second.IsScalar()) {
      Fail(key, "must be a key with one value");
    } else if (read_.insert(key).second) {
      rest.push_back(absl::StrCat(key, "=", entry.second.Scalar()));
    }
  }
  return rest;
}

absl::Status PlanReader::Finish() {
  if (!map_.IsMap()) return status_;
  for (const auto& entry : map_) {
    const std::string key = entry.first.IsScalar() ? entry.first.Scalar() : "?";
    if (!read_.contains(key)) {
      Fail("", absl::StrCat("unknown key ", Quoted(key), "; legal are ",
                            absl::StrJoin(read_, ", ")));
    }
  }
  return status_;
}

}  // namespace subgen
