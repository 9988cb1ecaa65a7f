#include "kernels/memory/hadamard.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <vector>

#include "tests/kernels/random_rows.h"

namespace subgen {
namespace {

// Each of log2(dim) butterflies, and the sign's product, rounds once.
double Tolerance(int64_t dim, double norm) {
  return (std::log2(dim) + 1) * kUnit * norm;
}

double Dot(Vector<const float> a, Vector<const float> b) {
  double sum = 0.0;
  for (size_t i = 0; i < a.size(); ++i) sum += double{a[i]} * b[i];
  return sum;
}

TEST(Hadamard, KeepsDotProductsAndNorms) {
  for (const int64_t dim : {1, 2, 12, 32, 64, 80, 96, 128, 256}) {
    RandomMatrix plain(2, dim, 1), turned(2, dim, 1);
    HadamardTransform(dim).Apply(turned.view());
    const auto a = plain.view(), b = turned.view();
    const double norms = Norm(a.row(0)) * Norm(a.row(1));
    EXPECT_NEAR(Dot(b.row(0), b.row(1)), Dot(a.row(0), a.row(1)),
                2 * Tolerance(dim, norms));
    EXPECT_NEAR(Norm(b.row(0)), Norm(a.row(0)), Tolerance(dim, Norm(a.row(0))));
  }
}

TEST(Hadamard, UndoIsTheInverse) {
  for (const int64_t dim : {1, 2, 12, 32, 64, 80, 96, 128, 256}) {
    RandomMatrix plain(3, dim, 2, 5), turned(3, dim, 2, 5);  // with a gap
    const HadamardTransform turn(dim);
    turn.Apply(turned.view());
    turn.Undo(turned.view());
    for (int64_t i = 0; i < 3; ++i) {
      const double norm = Norm(plain.view().row(i));
      for (int64_t j = 0; j < dim; ++j) {
        ASSERT_NEAR(turned.view().row(i)[j], plain.view().row(i)[j],
                    2 * Tolerance(dim, norm));
      }
    }
  }
}

// Entry (i, j) is the sign of j times (-1)^|i & j| / sqrt(block).
TEST(Hadamard, IsTheWalshMatrixOfEachBlockAfterSigns) {
  const int64_t dim = 96, block = 32;
  int flipped = 0;
  for (int64_t j = 0; j < dim; ++j) {
    std::vector<float> unit(dim);
    unit[j] = 1.0f;
    HadamardTransform(dim).Apply({unit.data(), 1, dim});
    const float sign = unit[j / block * block] < 0.0f ? -1.0f : 1.0f;
    flipped += sign < 0.0f;
    for (int64_t i = 0; i < dim; ++i) {
      const bool same = i / block == j / block;
      const int bits =
          std::popcount(static_cast<uint64_t>(i & j & (block - 1)));
      const double want =
          same ? sign * (bits % 2 ? -1.0 : 1.0) / std::sqrt(1.0 * block) : 0.0;
      ASSERT_NEAR(unit[i], want, kUnit) << i << " " << j;
    }
  }
  // The signs are fair: within five sigma of half.
  EXPECT_NEAR(flipped, dim / 2, 5 * std::sqrt(dim / 4.0));
}

// This is what it is for: one outlier among small numbers, in three bits.
// Plain, the scale is the outlier's; transformed, every number is about outlier
// / sqrt(64).
TEST(Hadamard, OutliersCostLess) {
  RandomMatrix plain(100, 64, 3), turned(100, 64, 3);
  for (auto* m : {&plain, &turned}) {
    for (int64_t i = 0; i < 100; ++i) m->view().row(i)[7] = 30.0f;
  }
  const HadamardTransform turn(64);
  turn.Apply(turned.view());
  const auto error = [](RandomMatrix& m) {
    const StoredRows stored(RowFormat::kQ3, m.view());
    double sum = 0.0;
    const auto decoded = stored.Decoded();
    for (size_t i = 0; i < decoded.size(); ++i) {
      sum += std::pow(decoded[i] - m.numbers()[i], 2);
    }
    return sum;
  };
  EXPECT_LT(error(turned), 0.5 * error(plain));
}

}  // namespace
}  // namespace subgen
