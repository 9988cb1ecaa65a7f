#include "engine/model/rope_reader.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "engine/model/gguf_cursor.h"
#include "kernels/base/quoted.h"
#include "kernels/base/status_macros.h"

namespace subgen {
namespace {

using Type = RopeScaling::Type;
using Bounds = Hyperparameters::Bounds;

constexpr Bounds kBase = {2.0, 1e12};
constexpr Bounds kFactor = {1.0, 1e6};
constexpr Bounds kContext = {1.0, 1 << 30};
constexpr Bounds kTurns = {1e-3, 1e6};
constexpr Bounds kMagnitude = {1e-3, 1e3};

absl::StatusOr<RopeScaling> ReadScaling(Hyperparameters& keys) {
  RopeScaling scaling;
  ASSIGN_OR_RETURN(const auto linear,
                   keys.NumberOr("rope.scale_linear", kFactor, 1.0));
  ASSIGN_OR_RETURN(scaling.factor,
                   keys.NumberOr("rope.scaling.factor", kFactor, linear));
  // The convention of llama.cpp: without a type, a factor is linear.
  ASSIGN_OR_RETURN(const std::string type,
                   keys.TextOr("rope.scaling.type",
                               scaling.factor == 1.0 ? "none" : "linear"));
  if (type == "linear") {
    scaling.type = Type::kLinear;
  } else if (type == "yarn") {
    scaling.type = Type::kYarn;
  } else if (type != "none") {
    return keys.Refuse("rope.scaling.type",
                       absl::StrCat("is ", Quoted(type),
                                    "; none, linear and yarn are supported"));
  } else if (scaling.factor != 1.0) {
    return keys.Refuse(
        "rope.scaling.factor",
        absl::StrCat("is ", scaling.factor, ", but rope.scaling.type is none"));
  }
  return scaling;
}

absl::Status ReadYarn(Hyperparameters& keys, RopeScaling& scaling) {
  ASSIGN_OR_RETURN(
      scaling.beta_fast,
      keys.NumberOr("rope.scaling.yarn_beta_fast", kTurns, scaling.beta_fast));
  ASSIGN_OR_RETURN(
      scaling.beta_slow,
      keys.NumberOr("rope.scaling.yarn_beta_slow", kTurns, scaling.beta_slow));
  ASSIGN_OR_RETURN(scaling.extrapolation,
                   keys.NumberOr("rope.scaling.yarn_ext_factor", {1e-3, 1.0},
                                 scaling.extrapolation));
  ASSIGN_OR_RETURN(
      scaling.log_multiplier,
      keys.NumberOr("rope.scaling.yarn_log_multiplier", {0.0, 1e3}, 0.0));
  ASSIGN_OR_RETURN(scaling.attention_factor,
                   keys.NumberOr("rope.scaling.attn_factor", kMagnitude, 1.0));
  if (scaling.attention_factor != 1.0 && scaling.type != Type::kYarn) {
    return keys.Refuse("rope.scaling.attn_factor",
                       absl::StrCat("is ", scaling.attention_factor,
                                    ", supported with yarn only"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<float>> ReadDivisors(const GgufFile& file,
                                                int64_t dimension) {
  const GgufTensor* tensor = file.FindTensor("rope_freqs.weight");
  if (tensor == nullptr) return std::vector<float>();
  const auto error = [&](absl::string_view message) {
    return absl::InvalidArgumentError(
        absl::StrCat(file.path(), ": tensor 'rope_freqs.weight' ", message));
  };
  if (tensor->shape != std::vector<int64_t>{dimension / 2} ||
      BlockSize(tensor->format) != 1) {
    return error(absl::StrCat("must be ", dimension / 2,
                              " numbers in F32, F16 or BF16"));
  }
  std::vector<float> divisors(dimension / 2);
  Dequantize(tensor->format, tensor->data.data(), divisors);
  for (float divisor : divisors) {
    if (!(divisor > 0.0f && std::isfinite(divisor))) {
      return error(absl::StrCat("contains ", divisor,
                                ", finite positive numbers are legal"));
    }
  }
  return divisors;
}

absl::Status CheckSetting(absl::string_view key, double value, Bounds bounds) {
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

// The user's settings over the file's.
absl::Status Override(const RopeConfig& config, RopeParameters& parameters) {
  RopeScaling& scaling = parameters.scaling;
  if (config.frequency_base != 0.0) {
    RETURN_IF_ERROR(
        CheckSetting("rope.frequency_base", config.frequency_base, kBase));
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
    RETURN_IF_ERROR(CheckSetting("rope.factor", config.factor, kFactor));
    scaling.factor = config.factor;
  }
  if (config.original_context != 0) {
    RETURN_IF_ERROR(CheckSetting("rope.original_context",
                                 config.original_context, kContext));
    scaling.original_context = config.original_context;
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<RopeParameters> ReadRope(const GgufFile& file,
                                        Hyperparameters& keys, int64_t head_dim,
                                        const RopeConfig& config) {
  RopeParameters parameters;
  const Bounds dimensions = {2.0, static_cast<double>(head_dim)};
  ASSIGN_OR_RETURN(parameters.dimension, keys.IntegerOr("rope.dimension_count",
                                                        dimensions, head_dim));
  if (parameters.dimension % 2 != 0) {
    return keys.Refuse(
        "rope.dimension_count",
        absl::StrCat("is ", parameters.dimension, ", an even number is legal"));
  }
  ASSIGN_OR_RETURN(parameters.frequency_base,
                   keys.NumberOr("rope.freq_base", kBase, 10000.0));
  ASSIGN_OR_RETURN(parameters.scaling, ReadScaling(keys));
  RETURN_IF_ERROR(ReadYarn(keys, parameters.scaling));
  ASSIGN_OR_RETURN(const int64_t context,
                   keys.Integer("context_length", kContext));
  ASSIGN_OR_RETURN(parameters.scaling.original_context,
                   keys.IntegerOr("rope.scaling.original_context_length",
                                  kContext, context));
  keys.Has("rope.scaling.finetuned");  // says how it was trained, no more
  ASSIGN_OR_RETURN(parameters.frequency_divisors,
                   ReadDivisors(file, parameters.dimension));
  RETURN_IF_ERROR(Override(config, parameters));
  return parameters;
}

}  // namespace subgen
