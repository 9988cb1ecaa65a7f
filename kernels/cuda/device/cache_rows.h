// Reads rows of a cache by 8 numbers, in the formats of kernels/memory. All of
// it is for host and device.
#pragma once

#include "kernels/cuda/device/numbers.h"
#include "kernels/memory/row_format.h"

namespace subgen::cuda {

// Says where 8 numbers of a quantized row lie: the block's bytes, and the
// number in a block of `size` numbers.
struct RowBlockPlace {
  const uint8_t* block;
  int at;
  int size;
};
SUBGEN_HOST_DEVICE RowBlockPlace PlaceOf(const uint8_t* row, int dim, int first,
                                         bool q3) {
  const int size = dim % 64 == 0 ? 64 : 32;
  const int bytes = 4 + (q3 ? size / 8 * 3 : size / 2);
  return {row + first / size * bytes, first % size, size};
}

SUBGEN_HOST_DEVICE void LoadFloats(const uint8_t* row, int first, float* out) {
  const float4* from = reinterpret_cast<const float4*>(row + 4 * first);
  const float4 low = from[0], high = from[1];
  out[0] = low.x, out[1] = low.y, out[2] = low.z, out[3] = low.w;
  out[4] = high.x, out[5] = high.y, out[6] = high.z, out[7] = high.w;
}

template <RowFormat format>
SUBGEN_HOST_DEVICE float FromHalf(uint32_t bits) {
  return format == RowFormat::kBF16 ? FromBF16(bits) : FromF16(bits);
}

template <RowFormat format>
SUBGEN_HOST_DEVICE void LoadHalves(const uint8_t* row, int first, float* out) {
  const uint4 words = *reinterpret_cast<const uint4*>(row + 2 * first);
  const uint32_t word[4] = {words.x, words.y, words.z, words.w};
  for (int i = 0; i < 4; ++i) {
    out[2 * i] = FromHalf<format>(word[i] & 0xffff);
    out[2 * i + 1] = FromHalf<format>(word[i] >> 16);
  }
}

SUBGEN_HOST_DEVICE void LoadQ8(const uint8_t* row, int first, float* out) {
  const uint8_t* block = row + first / 32 * 34;
  const float scale = FromF16(Load2(block));
  for (int i = 0; i < 8; i += 4) {
    const uint32_t quants = Load4(block + 2 + first % 32 + i);
    for (int j = 0; j < 4; ++j) {
      out[i + j] = scale * static_cast<int8_t>(ByteOf(quants, j));
    }
  }
}

SUBGEN_HOST_DEVICE void LoadQ4(const uint8_t* row, int dim, int first,
                               float* out) {
  const RowBlockPlace place = PlaceOf(row, dim, first, false);
  const float scale = FromF16(Load2(place.block));
  const float minimum = FromF16(Load2(place.block + 2));
  const int half = place.size / 2;
  const uint8_t* quants = place.block + 4 + place.at % half;
  const int shift = place.at < half ? 0 : 4;
  for (int i = 0; i < 8; ++i) {
    out[i] = scale * (quants[i] >> shift & 15) + minimum;
  }
}

SUBGEN_HOST_DEVICE void LoadQ3(const uint8_t* row, int dim, int first,
                               float* out) {
  const RowBlockPlace place = PlaceOf(row, dim, first, true);
  const float scale = FromF16(Load2(place.block));
  const float minimum = FromF16(Load2(place.block + 2));
  const uint8_t* bytes = place.block + 4 + place.at / 8 * 3;
  const uint32_t bits = bytes[0] | bytes[1] << 8 | bytes[2] << 16;
  for (int i = 0; i < 8; ++i) {
    out[i] = scale * static_cast<int>(bits >> 3 * i & 7) + minimum;
  }
}

// Reads 8 numbers where rows of `dim` numbers do not start at multiples of 16
// bytes.
template <RowFormat format>
SUBGEN_HOST_DEVICE void LoadEach(const uint8_t* row, int dim, int first,
                                 float* out) {
  for (int i = 0; i < 8; ++i) {
    out[i] = 0.0f;
    if (first + i >= dim) continue;
    if (format == RowFormat::kF32) {
      out[i] = reinterpret_cast<const float*>(row)[first + i];
    } else {
      out[i] = FromHalf<format>(Load2(row + 2 * (first + i)));
    }
  }
}

// Reads numbers [first, first + 8) of a row of `dim`; they are zero beyond it.
// first is a multiple of 8. Rows lie packed behind an address that is a
// multiple of 16.
template <RowFormat format>
SUBGEN_HOST_DEVICE void LoadRow8(const uint8_t* row, int dim, int first,
                                 float* out) {
  if constexpr (format == RowFormat::kQ8) {
    LoadQ8(row, first, out);
  } else if constexpr (format == RowFormat::kQ4) {
    LoadQ4(row, dim, first, out);
  } else if constexpr (format == RowFormat::kQ3) {
    LoadQ3(row, dim, first, out);
  } else if (dim % 8 != 0) {
    LoadEach<format>(row, dim, first, out);
  } else if constexpr (format == RowFormat::kF32) {
    LoadFloats(row, first, out);
  } else {
    LoadHalves<format>(row, first, out);
  }
}

}  // namespace subgen::cuda
