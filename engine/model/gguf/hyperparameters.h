// This reads <architecture>.* keys within bounds, and refuses those that nobody
// read: a setting that the engine does not know may change the arithmetic.
#pragma once

#include <cstdint>
#include <set>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "engine/model/gguf/gguf_file.h"
#include "engine/model/rope_override.h"

namespace subgen {

class Hyperparameters {
 public:
  // Keys are looked up behind the file's general.architecture and a dot.
  explicit Hyperparameters(const GgufFile& file);

  const std::string& architecture() const { return architecture_; }
  bool Has(absl::string_view key);

  // Returns the value of the key, from least to most, finite.
  using Bounds = NumberBounds;
  absl::StatusOr<int64_t> Integer(absl::string_view key, Bounds bounds);
  absl::StatusOr<double> Number(absl::string_view key, Bounds bounds);
  absl::StatusOr<int64_t> IntegerOr(absl::string_view key, Bounds bounds,
                                    int64_t absent);
  absl::StatusOr<double> NumberOr(absl::string_view key, Bounds bounds,
                                  double absent);
  absl::StatusOr<std::string> TextOr(absl::string_view key,
                                     absl::string_view absent);

  // Makes an error at a key: "path: key 'llama.x' is 3, ...".
  absl::Status Refuse(absl::string_view key, absl::string_view message) const;

  // Returns an InvalidArgumentError that names the first key behind the
  // architecture that no call above has asked for.
  absl::Status RefuseOthers() const;

 private:
  std::string Full(absl::string_view key);  // and notes that it is known

  const GgufFile& file_;
  std::string architecture_;
  std::set<std::string> known_;
};

}  // namespace subgen
