// The YAML parser calls this: it builds the settings, and keeps the first
// error.
#pragma once

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/mark.h>

#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "engine/config/fields.h"

namespace subgen {

class YamlEvents final : public YAML::EventHandler {
 public:
  // `source` begins every place. With a `key` the document is its value, and
  // places are the source alone; else it is a map of settings.
  YamlEvents(std::string source, std::string key);

  const absl::Status& status() const { return status_; }
  std::vector<Setting> TakeSettings() { return std::move(settings_); }
  std::string Place(const YAML::Mark& mark) const;

  void OnDocumentStart(const YAML::Mark& mark) override;
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override;
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override;
  void OnScalar(const YAML::Mark& mark, const std::string& tag,
                YAML::anchor_t anchor, const std::string& value) override;
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag,
                       YAML::anchor_t anchor,
                       YAML::EmitterStyle::value style) override;
  void OnSequenceEnd() override;
  void OnMapStart(const YAML::Mark& mark, const std::string& tag,
                  YAML::anchor_t anchor,
                  YAML::EmitterStyle::value style) override;
  void OnMapEnd() override;

 private:
  void Fail(const YAML::Mark& mark, const std::string& message);
  // Returns false after an error, or where the node has an anchor or a tag.
  bool Accept(const YAML::Mark& mark, const std::string& tag,
              YAML::anchor_t anchor);
  void TakeKey(const YAML::Mark& mark, const std::string& name);
  // Puts one value of the key where it belongs: a new setting or the open list.
  void TakeValue(const YAML::Mark& mark, Setting::Kind kind,
                 const std::string& value);

  const std::string source_;
  const bool one_value_;
  absl::Status status_;
  std::vector<Setting> settings_;
  std::set<std::string> seen_;
  std::vector<std::string> sections_;  // of the open maps; "" is the top
  std::string key_;                    // whose value comes next; empty: a key
  YAML::Mark key_mark_;
  bool in_list_ = false;
  int documents_ = 0;
};

}  // namespace subgen
