// A reader reads one map of a YAML file into variables, and remembers the first
// mistake.
#pragma once

#include <yaml-cpp/yaml.h>

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace subgen {

struct NumberRange {
  double low = 0.0;
  double high = 0.0;
};

class PlanReader {
 public:
  // `place` begins every error: a file, then the keys that lead here.
  PlanReader(YAML::Node map, std::string place);

  // A key that is absent leaves the variable as it is.
  void Read(const char* key, NumberRange legal, int64_t* value);
  void Read(const char* key, bool* value);
  void Read(const char* key, NumberRange legal, std::vector<int64_t>* values);
  void Read(const char* key, NumberRange legal, std::vector<double>* values);
  // If `legal` is empty, any text is.
  void Read(const char* key, const std::vector<std::string>& legal,
            std::vector<std::string>* values);
  void Read(const char* key, const std::vector<std::string>& legal,
            std::string* value);
  void ReadMap(const char* key, const std::function<void(PlanReader&)>& read);
  void ReadMaps(const char* key, const std::function<void(PlanReader&)>& read);
  // Returns every key that was not read yet, as "key=value".
  std::vector<std::string> Rest();

  // Adds an error of the caller's.
  void Fail(absl::string_view key, const std::string& message);
  // Returns the first error; a key that nobody read is one.
  absl::Status Finish();

 private:
  // Returns the value of a key, which may be null, and marks it as read.
  YAML::Node Take(const char* key);
  std::vector<std::string> Scalars(const char* key);
  bool ParseNumber(const char* key, const std::string& text, NumberRange legal,
                   double* number);
  bool ParseWhole(const char* key, const std::string& text, NumberRange legal,
                  int64_t* number);
  std::string CheckName(const char* key, const std::string& text,
                        const std::vector<std::string>& legal);

  YAML::Node map_;
  std::string place_;
  std::set<std::string> read_;
  absl::Status status_;
};

}  // namespace subgen
