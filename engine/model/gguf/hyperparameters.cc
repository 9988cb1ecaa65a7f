#include "engine/model/gguf/hyperparameters.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "kernels/base/quoted.h"
#include "kernels/base/status_macros.h"

namespace subgen {

Hyperparameters::Hyperparameters(const GgufFile& file) : file_(file) {
  // The key is present in every file that Open has let through.
  architecture_ = std::string(*file.String("general.architecture"));
}

std::string Hyperparameters::Full(absl::string_view key) {
  return *known_.insert(absl::StrCat(architecture_, ".", key)).first;
}

bool Hyperparameters::Has(absl::string_view key) {
  return file_.Has(Full(key));
}

absl::StatusOr<int64_t> Hyperparameters::Integer(absl::string_view key,
                                                 Bounds bounds) {
  ASSIGN_OR_RETURN(const int64_t value, file_.Integer(Full(key)));
  if (value >= bounds.least && value <= bounds.most) return value;
  return Refuse(key, absl::StrCat("is ", value, ", ", bounds.least, " to ",
                                  bounds.most, " is legal"));
}

absl::StatusOr<double> Hyperparameters::Number(absl::string_view key,
                                               Bounds bounds) {
  ASSIGN_OR_RETURN(const double value, file_.Number(Full(key)));
  if (value >= bounds.least && value <= bounds.most) return value;
  return Refuse(key, absl::StrCat("is ", value, ", ", bounds.least, " to ",
                                  bounds.most, " is legal"));
}

absl::StatusOr<int64_t> Hyperparameters::IntegerOr(absl::string_view key,
                                                   Bounds bounds,
                                                   int64_t absent) {
  if (!Has(key)) return absent;
  return Integer(key, bounds);
}

absl::StatusOr<double> Hyperparameters::NumberOr(absl::string_view key,
                                                 Bounds bounds, double absent) {
  if (!Has(key)) return absent;
  return Number(key, bounds);
}

absl::StatusOr<std::string> Hyperparameters::TextOr(absl::string_view key,
                                                    absl::string_view absent) {
  if (!Has(key)) return std::string(absent);
  ASSIGN_OR_RETURN(const absl::string_view text, file_.String(Full(key)));
  return std::string(text);
}

absl::Status Hyperparameters::Refuse(absl::string_view key,
                                     absl::string_view message) const {
  return absl::InvalidArgumentError(
      absl::StrCat(file_.path(), ": metadata key '", architecture_, ".", key,
                   "' ", message));
}

absl::Status Hyperparameters::RefuseOthers() const {
  const std::string prefix = architecture_ + ".";
  for (const auto& [key, value] : file_.metadata()) {
    if (!absl::StartsWith(key, prefix) || known_.count(key) > 0) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        file_.path(), ": metadata key ", Quoted(key),
        " is a setting of the model that this engine does not know"));
  }
  return absl::OkStatus();
}

}  // namespace subgen
