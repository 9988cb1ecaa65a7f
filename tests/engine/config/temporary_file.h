// This is a settings file that lives as long as a test.
#pragma once

#include <cstdio>
#include <fstream>
#include <string>

#include "engine/config/config_file.h"
#include "tests/support/model_file.h"

namespace subgen {

class TemporaryYaml {
 public:
  explicit TemporaryYaml(const std::string& text)
      : path_(TestPath("settings.yaml")) {
    std::ofstream(path_, std::ios::binary) << text;
  }
  TemporaryYaml(const TemporaryYaml&) = delete;
  ~TemporaryYaml() { std::remove(path_.c_str()); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

inline absl::StatusOr<EngineConfig> LoadYaml(const std::string& text) {
  const TemporaryYaml file(text);
  return LoadConfig({.yaml_path = file.path()});
}

// Returns what LoadConfig says, with the path of the file as F; nothing where
// it loads.
inline std::string YamlError(const std::string& text) {
  const TemporaryYaml file(text);
  const auto config = LoadConfig({.yaml_path = file.path()});
  std::string message(config.status().message());
  for (size_t at; (at = message.find(file.path())) != std::string::npos;) {
    message.replace(at, file.path().size(), "F");
  }
  return message;
}

inline std::string SetError(const std::string& setting) {
  const auto config = LoadConfig({.settings = {setting}});
  return std::string(config.status().message());
}

}  // namespace subgen
