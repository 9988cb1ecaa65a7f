#include "engine/model/rope_override.h"

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "kernels/base/quoted.h"
#include "kernels/base/status_macros.h"

namespace subgen {
namespace {

using Type = RopeScaling::Type;

absl::Status CheckSetting(absl::string_view key, double value,
                          NumberBounds bounds) {
  if (value >= bounds.least && value <= bounds.most) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("setting ", key, ": ", value,
                                                 ", ", bounds.least, " to ",
                                                 bounds.most, " is legal"));
}

absl::StatusOr<Type> ParseScaling(absl::string_view name) {
  if (name == "none") return Type::kNone;
  if (name == "linear") return Type::kLinear;
  if (name == "llama3") return Type::kLlama3;
  if (name == "yarn") return Type::kYarn;
  return absl::InvalidArgumentError(
      absl::StrCat("setting rope.scaling: ", Quoted(name),
                   ", legal are none, linear, llama3, yarn"));
}

}  // namespace

absl::Status OverrideRope(const RopeConfig& config,
                          RopeParameters& parameters) {
  RopeScaling& scaling = parameters.scaling;
  if (config.frequency_base != 0.0) {
    RETURN_IF_ERROR(CheckSetting("rope.frequency_base", config.frequency_base,
                                 kLegalRopeBase));
    parameters.frequency_base = config.frequency_base;
  }
  if (!config.scaling.empty()) {
    const double original_context = scaling.original_context;
    scaling = RopeScaling();
    scaling.original_context = original_context;
    parameters.frequency_divisors.clear();
    ASSIGN_OR_RETURN(scaling.type, ParseScaling(config.scaling));
  }
  const bool scales = scaling.type != Type::kNone;
  if (!scales && (config.factor != 0.0 || config.original_context != 0)) {
    return absl::InvalidArgumentError(
        "settings rope.factor and rope.original_context need rope.scaling: "
        "linear, llama3 or yarn");
  }
  if (config.factor != 0.0 || (scales && !config.scaling.empty())) {
    RETURN_IF_ERROR(
        CheckSetting("rope.factor", config.factor, kLegalRopeFactor));
    scaling.factor = config.factor;
  }
  if (config.original_context != 0) {
    RETURN_IF_ERROR(CheckSetting("rope.original_context",
                                 config.original_context, kLegalRopeContext));
    scaling.original_context = config.original_context;
  }
  return absl::OkStatus();
}

}  // namespace subgen
