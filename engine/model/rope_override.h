// This is what users set of the rotary embedding, over what the model's file
// says.
#pragma once

#include "absl/status/status.h"
#include "engine/config/engine_config.h"
#include "engine/model/rope_scaling.h"

namespace subgen {

// The numbers from least to most are legal.
struct NumberBounds {
  double least = 0.0;
  double most = 0.0;
};

// These bound a rotary embedding, whether a file or a user says it.
inline constexpr NumberBounds kLegalRopeBase = {2.0, 1e12};
inline constexpr NumberBounds kLegalRopeFactor = {1.0, 1e6};
inline constexpr NumberBounds kLegalRopeContext = {1.0, 1 << 30};

// Applies what the user set. A scaling that the user names replaces the file's
// whole, divisors of frequencies included. InvalidArgumentError names the
// setting.
absl::Status OverrideRope(const RopeConfig& config, RopeParameters& parameters);

}  // namespace subgen
