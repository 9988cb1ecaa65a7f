// The type alone: arithmetic on it is mma.h's.
#pragma once

#include <cstdint>

struct __nv_bfloat16 {
  uint16_t bits;
};
