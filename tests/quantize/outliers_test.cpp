// Outliers kept aside, and the sums of a dense and a sparse matrix that hold them.
#include <gtest/gtest.h>

#include "quantize/random_weights.h"

namespace nibble {
namespace {

template <class W> void expect_exact(const W& w, const SplitWeights& split) {
  const Eigen::MatrixXf sparse = split.outliers.dequantize();
  ASSERT_EQ(split.dense.rows(), w.rows());
  ASSERT_EQ(sparse.cols(), w.cols());
  EXPECT_EQ(RowMajorMatrixXf(split.dense + sparse), RowMajorMatrixXf(w.template cast<float>()));
  EXPECT_EQ(split.dense.cwiseProduct(RowMajorMatrixXf(sparse)), RowMajorMatrixXf::Zero(w.rows(), w.cols()));
}

TEST(SplitOutliers, TakesTheLargestWeights) {
  for (Index k : {1, 16, 37, 200}) {
    const RowMajorMatrixXf w = test::student(11, k, 3, 3);
    for (double share : {0.0, 0.001, 0.01, 0.3, 1.0}) {
      const auto split = split_outliers(w, share);
      expect_exact(w, split);
      const auto count = static_cast<Index>(share * static_cast<double>(w.size()));
      EXPECT_EQ(split.outliers.matrix().nonZeros(), count);
      float least = std::numeric_limits<float>::infinity();
      for (Index i = 0; i < w.rows(); ++i)
        for (Sparse::Matrix::InnerIterator it(split.outliers.matrix(), i); it; ++it)
          least = std::min(least, std::abs(it.value()));
      EXPECT_LE(split.dense.cwiseAbs().maxCoeff(), least);
    }
  }
}

TEST(SplitOutliers, TakesEqualOnesInOrder) {
  const Eigen::MatrixXd w = Eigen::MatrixXd::Constant(3, 4, -2);  // column-major, double
  const auto split = split_outliers(w, 0.5);
  expect_exact(w, split);
  RowMajorMatrixXf expected = RowMajorMatrixXf::Zero(3, 4);
  expected.row(0).setConstant(-2);
  expected.row(1).head(2).setConstant(-2);
  EXPECT_EQ(RowMajorMatrixXf(split.outliers.dequantize()), expected);
  const RowMajorMatrixXf zeros = RowMajorMatrixXf::Zero(3, 4);
  EXPECT_EQ(split_outliers(zeros, 1).outliers.matrix().nonZeros(), 0);
}

TEST(SplitOutliers, BeyondStandardDeviations) {
  RowMajorMatrixXf w = test::gaussian(40, 50, 4);
  w.array() += 5;  // the mean is taken off
  w(3, 7) = 12;
  w(9, 9) = -3;
  const auto split = split_beyond(w, 4.5);
  expect_exact(w, split);
  EXPECT_EQ(split.outliers.matrix().nonZeros(), 2);
  EXPECT_EQ(split.outliers.matrix().coeff(3, 7), 12);
  EXPECT_EQ(split.outliers.matrix().coeff(9, 9), -3);
  // Of normal weights, 0.27 % lie beyond 3 sigma.
  const RowMajorMatrixXf normal = test::gaussian(500, 400, 5);
  const auto count = static_cast<double>(split_beyond(normal).outliers.matrix().nonZeros());
  EXPECT_NEAR(count / 200000, 0.0027, 0.0004);
  expect_exact(RowMajorMatrixXf(RowMajorMatrixXf::Constant(2, 2, 3)),
               split_beyond(RowMajorMatrixXf::Constant(2, 2, 3)));
}

TEST(SplitOutliers, EmptyAndBadInput) {
  EXPECT_NE(test::message_of([] { split_beyond(RowMajorMatrixXf::Constant(1, 2, std::nanf(""))); }), "");
  for (const RowMajorMatrixXf& w : {RowMajorMatrixXf(0, 0), RowMajorMatrixXf(0, 5), RowMajorMatrixXf(5, 0)}) {
    expect_exact(w, split_outliers(w));
    expect_exact(w, split_beyond(w));
  }
  const RowMajorMatrixXf w = test::gaussian(2, 3, 1);
  EXPECT_EQ(test::message_of([&] { split_outliers(w, -0.1); }),
            "nibble::split_outliers: expected a share from 0 to 1, got -0.1");
  EXPECT_EQ(test::message_of([&] { split_outliers(w, 1.1); }),
            "nibble::split_outliers: expected a share from 0 to 1, got 1.1");
  EXPECT_NE(test::message_of([&] { split_outliers(w, std::nan("")); }), "");
  EXPECT_EQ(test::message_of([&] { split_beyond(w, 0); }), "nibble::split_beyond: expected sigmas > 0, got 0");
  RowMajorMatrixXf bad = w;
  bad(1, 1) = std::nanf("");
  EXPECT_EQ(test::message_of([&] { split_outliers(bad); }), "nibble::split_outliers: expected weights, got a NaN");
}

// Tang et al., "EasyQuant": with less than 1 % of the weights aside the range shrinks, and the error with it.
TEST(QuantizeWithOutliers, LowersTheError) {
  const RowMajorMatrixXf w = test::student(64, 512, 6, 3, 0.02f);
  using S = Int<4, PerRow>;
  const double plain = compare(w, quantize<S>(w)).relative_error;
  const double ranged = compare(w, quantize<S>(w, MinimalError{})).relative_error;
  const auto q = quantize_with_outliers<S>(split_outliers(w, 0.009));
  const Comparison both = compare(w, q);
  EXPECT_LT(both.relative_error, 0.8 * ranged);
  EXPECT_LT(both.relative_error, 0.5 * plain);
  const double stored = std::floor(0.009 * 64 * 512);
  EXPECT_NEAR(both.bits_per_weight, 4 + 32.0 / 512 + stored * 48 / (64 * 512) + 32.0 / 512, 1e-12);
  // Outliers are exact.
  const auto split = split_beyond(w, 4);
  const Eigen::MatrixXf dense = quantize_with_outliers<S>(split, AbsMax{}).dequantize();
  for (Index i = 0; i < w.rows(); ++i)
    for (Sparse::Matrix::InnerIterator it(split.outliers.matrix(), i); it; ++it)
      EXPECT_EQ(dense(i, it.col()), it.value());
}

}  // namespace
}  // namespace nibble
