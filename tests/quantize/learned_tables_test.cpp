// Codebooks learned for each row of a matrix.
#include <gtest/gtest.h>

#include "nibble/formats/codebook.h"
#include "nibble/formats/normal_float.h"
#include "nibble/quantize.h"

namespace nibble {
namespace {

template <int B, class G> using Learned = Scheme<formats::Codebook<B>, G>;

/// Rows of random weights; in each, groups of 32 differ in size by up to a factor of 64.
Eigen::MatrixXf uneven_weights(Index rows, Index cols) {
  const Random random(21);
  Eigen::MatrixXf w(rows, cols);
  for (Index i = 0; i < rows; ++i) {
    for (Index j = 0; j < cols; ++j) {
      const auto at = static_cast<std::uint64_t>(i * cols + j);
      const float u = 2 * random.uniform(at) - 1;
      w(i, j) = std::ldexp(u * std::abs(u), static_cast<int>(random.bits(static_cast<std::uint64_t>(j / 32), 1) % 7));
    }
  }
  return w;
}

template <class S> Eigen::VectorXf row_errors(const Eigen::MatrixXf& w) {
  return (quantize<S>(w).dequantize() - w).rowwise().squaredNorm();
}

TEST(LearnedTables, TheTableOfARowIsTheBestForItsWeights) {
  const Eigen::MatrixXf w = uneven_weights(3, 300);
  const auto parts = quantize<Learned<3, PerRow>>(w).parts();
  for (Index i = 0; i < w.rows(); ++i) {
    const Eigen::VectorXf normalized = w.row(i).transpose() / w.row(i).cwiseAbs().maxCoeff();
    float table[8];
    formats::kmeans_1d(normalized.data(), nullptr, normalized.size(), table, 8, {.optimum = formats::Optimum::Global});
    for (Index c = 0; c < 8; ++c) EXPECT_NEAR(parts.tables(i, c), table[c], 1e-6f);
  }
}

TEST(LearnedTables, GroupsCountByTheSquareOfTheirScale) {
  // The groups of a row weigh 64^2 and 1: the table is that of the first, but for what that leaves open.
  Eigen::MatrixXf w(1, 8);
  w << -64, -64, 16, 64, 1, -0.5f, 0.5f, 0;
  const auto parts = quantize<Learned<1, Group<4>>>(w).parts();
  const double mass = 4096;
  // Normalized: -1 -1 0.25 1 and, light, 1 -0.5 0.5 0.
  EXPECT_NEAR(parts.tables(0, 0), static_cast<float>((-2 * mass - 0.5) / (2 * mass + 1)), 1e-5f);
  EXPECT_NEAR(parts.tables(0, 1), static_cast<float>((1.25 * mass + 1.5) / (2 * mass + 3)), 1e-5f);
}

TEST(LearnedTables, BeatFixedLevelsOnTheSameRows) {
  const Eigen::MatrixXf w = uneven_weights(8, 512);
  const Eigen::VectorXf learned = row_errors<Learned<4, Group<64>>>(w);
  const Eigen::VectorXf nf4 = row_errors<Scheme<formats::NF4, Group<64>>>(w);
  const Eigen::VectorXf integers = row_errors<Int<4, Group<64>>>(w);
  const Eigen::VectorXf e2m1 = row_errors<Scheme<formats::E2M1, Group<64>>>(w);
  for (Index i = 0; i < w.rows(); ++i) {
    EXPECT_LT(learned[i], nf4[i]);
    EXPECT_LT(learned[i], integers[i]);
    EXPECT_LT(learned[i], e2m1[i]);
  }
}

TEST(LearnedTables, RowsOfZerosAndOfFewValuesAreExact) {
  Eigen::MatrixXf w = Eigen::MatrixXf::Zero(4, 37);
  w.row(1).setConstant(0.3f);
  for (Index j = 0; j < 37; ++j) w(2, j) = static_cast<float>(j % 3 - 1);
  w(3, 36) = 1e-30f;
  EXPECT_EQ((quantize<Learned<2, PerRow>>(w).dequantize()), w);
  EXPECT_EQ((quantize<Learned<4, Group<8>>>(w).dequantize()), w);
  EXPECT_EQ((quantize<Learned<2, PerTensor>>(Eigen::MatrixXf(0, 5)).rows()), 0);
  EXPECT_EQ((quantize<Learned<2, PerTensor>>(Eigen::MatrixXf(5, 0)).rows()), 5);
}

}  // namespace
}  // namespace nibble
