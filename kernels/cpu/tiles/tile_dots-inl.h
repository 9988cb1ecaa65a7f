// Computes integer dot products of a block of weights, one row per lane, with
// tokens. Only tile_products-inl.h includes this file.
#pragma once

#include <array>
#include <type_traits>

#include "kernels/cpu/tiles/quantized_tokens.h"
#include "kernels/cpu/tiles/tile_columns-inl.h"

HWY_PUSH_ATTRIBUTES(SUBGEN_TILE_TARGET)
namespace subgen::cpu {
namespace {

template <int kTokens>
using Tokens = std::array<QuantizedToken, kTokens>;

// A block is multiplied in steps: weights as an instruction takes them. If
// quants are in halves, step g is the four columns from 4 g on, in bytes. If
// they are in words, steps 2 g and 2 g + 1 are the even and the odd ones of
// those columns.
constexpr bool kHalves = Simd::kOrder == QuantOrder::kHalves;
constexpr int kStepsOfGroup = kHalves ? 1 : 2;
constexpr int kSteps = 8 * kStepsOfGroup;

// Makes a step from the bytes that Columns gives.
inline Ints StepOf(Ints columns, int step) {
  if constexpr (kHalves) return columns;
  typedef uint16_t Words __attribute__((vector_size(sizeof(Ints))));
  return (Ints)(step % 2 == 0 ? (Words)columns & 0xff : (Words)columns >> 8);
}

// Returns where the n-th step of a block's dot lies, or that of a half of it,
// whose scale is its own. Steps that read the same bytes follow one another.
template <int kScalesOfBlock>
constexpr int StepAt(int half, int n) {
  const int group = n / kStepsOfGroup;
  const int at =
      kScalesOfBlock == 2 ? 4 * half + group : group / 2 + 4 * (group % 2);
  return kStepsOfGroup * at + n % kStepsOfGroup;
}

// In both kinds below, numbers of a token are spread once for all vectors, and
// steps are unpacked once for all tokens. Set takes the dots of block b of rows
// and block `column` of tokens, or of one half of both; rows.Step(v, b, step)
// are its steps.

// Takes quants as two bytes whose dots are kept apart, for instructions that
// add four products of bytes to a lane.
template <int kVectors, int kTokens>
struct HalvesDots {
  template <int kHalf, class Rows>
  inline void Set(const Rows& rows, const Tokens<kTokens>& tokens, int64_t b,
                  int64_t column) {
    for (int v = 0; v < kVectors; ++v) {
      for (int t = 0; t < kTokens; ++t) high[v][t] = low[v][t] = Ints{};
    }
#pragma GCC unroll 16
    for (int n = 0; n < kSteps / Rows::kScalesOfBlock; ++n) {
      const int step = StepAt<Rows::kScalesOfBlock>(kHalf, n);
      Ints columns[kVectors];
      for (int v = 0; v < kVectors; ++v) columns[v] = rows.Step(v, b, step);
      for (int t = 0; t < kTokens; ++t) {
        const std::byte* const token =
            tokens[t].quants + column * kBlockQuantBytes + 4 * step;
        Add(columns, Spread(token), t, high);
        Add(columns, Spread(token + kBlockQuants), t, low);
      }
    }
  }
  inline Ints Dot(int v, int t) const { return (high[v][t] << 8) + low[v][t]; }

 private:
  using Dots = Ints[kVectors][kTokens];
  static inline void Add(const Ints (&columns)[kVectors], Ints four, int t,
                         Dots& dots) {
    for (int v = 0; v < kVectors; ++v) {
      dots[v][t] = Simd::AddDots(dots[v][t], columns[v], four);
    }
  }

  Dots high, low;
};

// Takes quants as words, for instructions that add two products of words to a
// lane. Weights are unsigned and less than 256, so a dot of 32 columns is at
// most 32 * 255 * 32,639 < 2^28.
template <int kVectors, int kTokens>
struct WordsDots {
  template <int kHalf, class Rows>
  inline void Set(const Rows& rows, const Tokens<kTokens>& tokens, int64_t b,
                  int64_t column) {
    for (auto& vector : dots) {
      for (auto& token : vector) {
        for (Ints& dot : token) dot = Ints{};
      }
    }
#pragma GCC unroll 16
    for (int n = 0; n < kSteps / Rows::kScalesOfBlock; ++n) {
      const int step = StepAt<Rows::kScalesOfBlock>(kHalf, n);
      Ints columns[kVectors];
      for (int v = 0; v < kVectors; ++v) columns[v] = rows.Step(v, b, step);
      for (int t = 0; t < kTokens; ++t) {
        const Ints two =
            Spread(tokens[t].quants + column * kBlockQuantBytes + 4 * step);
        for (int v = 0; v < kVectors; ++v) {
          Ints& dot = dots[v][t][step % kSums];
          dot = Simd::AddDots(dot, columns[v], two);
        }
      }
    }
  }
  inline Ints Dot(int v, int t) const {
    Ints dot = dots[v][t][0];
    for (int i = 1; i < kSums; ++i) dot += dots[v][t][i];
    return dot;
  }

 private:
  // A single token takes two sums, because one would wait for itself.
  static constexpr int kSums = kTokens == 1 ? 2 : 1;

  Ints dots[kVectors][kTokens][kSums];
};

template <int kVectors, int kTokens>
using BlockDots = std::conditional_t<kHalves, HalvesDots<kVectors, kTokens>,
                                     WordsDots<kVectors, kTokens>>;

}  // namespace
}  // namespace subgen::cpu
HWY_POP_ATTRIBUTES
