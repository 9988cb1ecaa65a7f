// A GGUF model file (v2, v3) is mapped read-only and checked whole before
// anything is used. Every size is hostile until checked: see the rules in
// gguf_file.cc. Errors name the file, the key or tensor, the value and what is
// legal.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "engine/model/mapped_file.h"
#include "engine/model/model_file.h"

namespace subgen {

class GgufFile {
 public:
  using Array = std::variant<std::vector<int64_t>, std::vector<double>,
                             std::vector<bool>, std::vector<absl::string_view>>;
  using Value =
      std::variant<int64_t, uint64_t, double, bool, absl::string_view, Array>;

  static absl::StatusOr<std::unique_ptr<GgufFile>> Open(
      const std::string& path);
  ~GgufFile();

  const std::string& path() const;
  // Returns the metadata in file order.
  const std::vector<std::pair<std::string, Value>>& metadata() const;
  const std::vector<ModelTensor>& tensors() const;
  int64_t file_bytes() const;
  // Gives away what tensors and strings view, which stay legal as long as it
  // lives.
  MappedFile TakeMapping() &&;

  // These return NotFoundError where the key is absent, InvalidArgumentError
  // where it has another type or does not fit.
  bool Has(absl::string_view key) const;
  absl::StatusOr<int64_t> Integer(absl::string_view key) const;
  absl::StatusOr<double> Number(absl::string_view key) const;  // integers too
  absl::StatusOr<bool> Bool(absl::string_view key) const;
  absl::StatusOr<absl::string_view> String(absl::string_view key) const;
  absl::StatusOr<const std::vector<absl::string_view>*> Strings(
      absl::string_view key) const;
  absl::StatusOr<const std::vector<int64_t>*> Integers(
      absl::string_view key) const;
  absl::StatusOr<const std::vector<double>*> Numbers(
      absl::string_view key) const;

  // Returns nullptr where there is none.
  const ModelTensor* FindTensor(absl::string_view name) const;

 private:
  GgufFile() = default;
  struct Contents;
  std::unique_ptr<Contents> contents_;
};

}  // namespace subgen
