// Products of tiles of 16 weight rows, a row a lane, with tokens whose numbers
// are spread over all lanes. Included by a file an instruction set, after
// SUBGEN_INTEGER_TARGET and Simd, its operations:
//   kLanes, kOrder, Ints and Floats: vectors of int32 and float32
//   AddDots(sums, columns, quants): to each lane four products of a byte with a
//     signed one (kHalves), or two of words (kWords)
//   kSigned: whether the former byte is signed too
//   FromHalves(numbers): f16 to float32
//   MultiplyAdd(x, y, z): x y + z, rounded once
#pragma once

#include <algorithm>

#include "kernels/cpu/integer_dots-inl.h"
#include "kernels/cpu/integer_linear.h"

HWY_PUSH_ATTRIBUTES(SUBGEN_INTEGER_TARGET)
namespace subgen::cpu {
namespace {

constexpr int64_t kChunkBlocks = 16;  // summed up by themselves
constexpr int64_t kTileVectors = kTileRows / kLanes;
// Of many tokens, two vectors or a tile by as many as fit in registers.
constexpr int64_t kManyTiles = std::max<int64_t>(2 / kTileVectors, 1);
constexpr int64_t kManyTokens = 8 / (kManyTiles * kTileVectors);
static_assert(kManyTiles <= IntegerSet::kScratchTiles);

// What was added to the quants.
template <class Tile>
constexpr int kOffset = 0;
template <>
constexpr int kOffset<TileQ4_0> = 8;
template <>
constexpr int kOffset<TileQ8_0> = Simd::kSigned ? 0 : 128;

// sum + the product of vector v of rows with block b of a token, of which the
// dots of quants are given.
template <class Tile>
inline Floats AddScaled(const RowVectors<Tile>& rows, int v,
                        const QuantizedToken& token, int64_t b, Ints dot,
                        Floats sum) {
  const Tile& tile = rows.tile(v, b);
  const int64_t row = rows.FirstRow(v);
  if constexpr (kOffset<Tile> != 0) dot -= kOffset<Tile> * token.counts[b];
  const Floats scale = Simd::FromHalves(tile.scales + row) * token.scales[b];
  sum = Simd::MultiplyAdd(__builtin_convertvector(dot, Floats), scale, sum);
  if constexpr (requires { tile.minima; }) {
    sum = Simd::MultiplyAdd(Simd::FromHalves(tile.minima + row),
                            (Floats)Spread(token.sums + b), sum);
  }
  return sum;
}

template <int kVectors, int kTokens>
struct Sums {
  Floats at[kVectors][kTokens] = {};
};

// sums[v][t] += block b of vector v of rows times that of token t.
template <int kVectors, int kTokens, class Tile>
inline void AddBlock(const RowVectors<Tile>& rows,
                     const Tokens<kTokens>& tokens, int64_t b,
                     Sums<kVectors, kTokens>& sums) {
  BlockDots<kVectors, kTokens> dots;
  dots.Set(rows, tokens, b);
  for (int v = 0; v < kVectors; ++v) {
    for (int t = 0; t < kTokens; ++t) {
      sums.at[v][t] =
          AddScaled(rows, v, tokens[t], b, dots.Dot(v, t), sums.at[v][t]);
    }
  }
}

template <int kVectors, int kTokens, class Tile>
inline Sums<kVectors, kTokens> Products(const RowVectors<Tile>& rows,
                                        const Tokens<kTokens>& tokens) {
  Sums<kVectors, kTokens> total;
  for (int64_t b = 0; b < rows.blocks;) {
    const int64_t end = std::min(b + kChunkBlocks, rows.blocks);
    Sums<kVectors, kTokens> sums;
    for (; b < end; ++b) AddBlock<kVectors, kTokens>(rows, tokens, b, sums);
    for (int v = 0; v < kVectors; ++v) {
      for (int t = 0; t < kTokens; ++t) total.at[v][t] += sums.at[v][t];
    }
  }
  return total;
}

inline void Store(const Floats& numbers, int64_t count, float* out) {
  if (count >= kLanes) {  // a size known to the compiler
    std::memcpy(out, &numbers, sizeof(numbers));
  } else if (count > 0) {
    std::memcpy(out, &numbers, count * sizeof(float));
  }
}

// Tokens [first, first + kTokens) times the part's rows, which are kVectors
// vectors, the last ones perhaps not whole.
template <int kVectors, int kTokens, class Tile>
inline void SomeTokens(const RowVectors<Tile>& rows,
                       const QuantizedTokens& tokens, int64_t first,
                       const LinearPart& part) {
  Tokens<kTokens> some;
  for (int64_t t = 0; t < kTokens; ++t) some[t] = tokens.token(first + t);
  const auto products = Products<kVectors, kTokens>(rows, some);
  for (int64_t t = 0; t < kTokens; ++t) {
    float* const out = part.output.row(first + t).data() + part.first;
    for (int64_t v = 0; v < kVectors; ++v) {
      Store(products.at[v][t], part.count - v * kLanes, out + v * kLanes);
    }
  }
}

// The part's rows are those of kTiles tiles, from `data` on.
template <class Tile, int kTiles>
HWY_INLINE void MultiplyTiles(const std::byte* data,
                              const QuantizedTokens& tokens,
                              const LinearPart& part) {
  constexpr int kVectors = kTiles * kTileVectors;
  const RowVectors<Tile> rows = {reinterpret_cast<const Tile*>(data),
                                 part.input.cols / kBlockQuants};
  int64_t t = 0;
  for (; t + kManyTokens <= part.input.rows; t += kManyTokens) {
    SomeTokens<kVectors, kManyTokens>(rows, tokens, t, part);
  }
  for (; t < part.input.rows; ++t) {
    SomeTokens<kVectors, 1>(rows, tokens, t, part);
  }
}

template <class Tile>
void MultiplyRowsOf(const LinearPart& part, const QuantizedTokens& tokens,
                    std::byte* scratch) {
  const int64_t tile_bytes = TileBytes(*part.weight);
  const bool many = part.input.rows >= kManyTokens;
  LinearPart rows = part;
  for (int64_t left = part.count; left > 0; left -= rows.count) {
    const int64_t tile = rows.first / kTileRows;
    const int64_t taken = many && left > kTileRows ? kManyTiles : 1;
    for (int64_t i = 0; part.tiles == nullptr && i < taken; ++i) {
      PackTile(*part.weight, tile + i, scratch + i * tile_bytes);
    }
    const std::byte* const data =
        part.tiles == nullptr ? scratch : part.tiles + tile * tile_bytes;
    rows.count = std::min(left, taken * kTileRows);
    taken == 1 ? MultiplyTiles<Tile, 1>(data, tokens, rows)
               : MultiplyTiles<Tile, kManyTiles>(data, tokens, rows);
    rows.first += rows.count;
  }
}

void MultiplyRows(const LinearPart& part, const QuantizedTokens& tokens,
                  std::byte* scratch) {
  switch (part.weight->format) {
    case BlockFormat::kQ4_0:
      return MultiplyRowsOf<TileQ4_0>(part, tokens, scratch);
    case BlockFormat::kQ4_1:
      return MultiplyRowsOf<TileQ4_1>(part, tokens, scratch);
    default:
      return MultiplyRowsOf<TileQ8_0>(part, tokens, scratch);
  }
}

}  // namespace
}  // namespace subgen::cpu
HWY_POP_ATTRIBUTES
