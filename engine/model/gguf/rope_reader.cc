#include "engine/model/gguf/rope_reader.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "engine/model/rope_override.h"
#include "kernels/base/quoted.h"
#include "kernels/base/status_macros.h"

namespace subgen {
namespace {

using Type = RopeScaling::Type;
using Bounds = Hyperparameters::Bounds;

constexpr Bounds kTurns = {1e-3, 1e6};
constexpr Bounds kMagnitude = {1e-3, 1e3};

absl::StatusOr<RopeScaling> ReadScaling(Hyperparameters& keys) {
  RopeScaling scaling;
  ASSIGN_OR_RETURN(const auto linear,
                   keys.NumberOr("rope.scale_linear", kLegalRopeFactor, 1.0));
  ASSIGN_OR_RETURN(scaling.factor, keys.NumberOr("rope.scaling.factor",
                                                 kLegalRopeFactor, linear));
  // This is llama.cpp's convention: without a type, a factor is linear.
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
  const ModelTensor* tensor = file.FindTensor("rope_freqs.weight");
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
                   keys.NumberOr("rope.freq_base", kLegalRopeBase, 10000.0));
  ASSIGN_OR_RETURN(parameters.scaling, ReadScaling(keys));
  RETURN_IF_ERROR(ReadYarn(keys, parameters.scaling));
  ASSIGN_OR_RETURN(const int64_t context,
                   keys.Integer("context_length", kLegalRopeContext));
  ASSIGN_OR_RETURN(parameters.scaling.original_context,
                   keys.IntegerOr("rope.scaling.original_context_length",
                                  kLegalRopeContext, context));
  keys.Has("rope.scaling.finetuned");  // says how it was trained, no more
  ASSIGN_OR_RETURN(parameters.frequency_divisors,
                   ReadDivisors(file, parameters.dimension));
  RETURN_IF_ERROR(OverrideRope(config, parameters));
  return parameters;
}

}  // namespace subgen
