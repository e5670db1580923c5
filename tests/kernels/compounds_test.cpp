// Sparse matrices, sums, and their products against naive ones.
#include <gtest/gtest.h>

#include "kernels/random_operands.h"
#include "oracle/products.h"

namespace nibble {
namespace {

Sparse random_sparse(Index n, Index k, unsigned seed) {
  const Eigen::MatrixXf dense = test::random_inputs(n, k, seed);
  const Eigen::MatrixXf kept = (dense.array().abs() > 0.7f).select(dense, 0.0f);
  return Sparse(kept.sparseView());
}

template <class Q> void check_products(const Q& q) {
  const Eigen::MatrixXd dense = q.dequantize().template cast<double>();
  for (Index m : {1, 5, 13}) {
    const Eigen::MatrixXf x = test::random_inputs(q.cols(), m, 9);
    const double k = static_cast<double>(q.cols());
    EXPECT_LE(oracle::error_in_eps(q * x, dense, x.cast<double>()), k + 8);
    EXPECT_LE(oracle::error_in_eps(q * x.cast<double>(), dense, x.cast<double>()), k + 8);
    EXPECT_LE(oracle::error_in_eps(q * (2 * x), dense, 2 * x.cast<double>()), k + 8);
    const auto xq = quantize_activations(x);
    EXPECT_LE(oracle::error_in_eps(q * xq, dense, xq.dequantize().template cast<double>()), k + 16);
  }
}

TEST(Compounds, MultiplyAsTheirValuesDo) {
  for (Index n : {1, 16, 19}) {
    for (Index k : {1, 31, 64, 150}) {
      SCOPED_TRACE(text(n, " x ", k));
      const Sparse sparse = random_sparse(n, k, 3);
      check_products(sparse);
      const auto weights = test::random_matrix<Int<4, Group<16>>>(n, k, 4);
      check_products(Sum(weights, sparse));
      check_products(Sum(Sum(weights, test::random_matrix<MxFp4>(n, k, 5)), sparse));
    }
  }
  for (Index n : {0, 3}) {
    const Sum sum(quantize<Int<4>>(Eigen::MatrixXf::Zero(n, 0)), random_sparse(n, 0, 1));
    EXPECT_EQ(sum * Eigen::MatrixXf::Zero(0, 2), Eigen::MatrixXf::Zero(n, 2));
  }
}

TEST(Compounds, SumsAddUp) {
  const auto a = test::random_matrix<Int<4>>(3, 40, 1);
  const Sparse b = random_sparse(3, 40, 2);
  const Sum sum(a, b);
  static_assert(LowBitMatrix<Sparse> && LowBitMatrix<decltype(sum)> && LowBitMatrix<Sum<Sparse, decltype(sum)>>);
  EXPECT_EQ(sum.dequantize(), a.dequantize() + b.dequantize());
  EXPECT_DOUBLE_EQ(sum.bits_per_weight(), a.bits_per_weight() + b.bits_per_weight());
  EXPECT_EQ(compare(sum.dequantize(), sum).relative_error, 0);
  EXPECT_EQ(sum.first(), a);
  EXPECT_EQ(sum.second().dequantize(), b.dequantize());
}

TEST(Compounds, SparseCountsItsBits) {
  Eigen::SparseMatrix<float> columns(4, 100);  // column-major comes in too
  columns.insert(2, 7) = 3;
  columns.insert(0, 99) = -1;
  const Sparse sparse{Sparse::Matrix(columns)};
  EXPECT_DOUBLE_EQ(sparse.bits_per_weight(), (2 * 48 + 4 * 32) / 400.0);
  EXPECT_EQ(sparse.dequantize()(2, 7), 3);
  EXPECT_EQ(sparse.dequantize().cwiseAbs().sum(), 4);
  Sparse::Matrix wide(1, 65537);
  wide.insert(0, 65536) = 1;
  EXPECT_DOUBLE_EQ(Sparse(wide).bits_per_weight(), (64 + 32) / 65537.0);
  EXPECT_EQ(Sparse().bits_per_weight(), 0);
  EXPECT_EQ(Sparse().dequantize().size(), 0);
}

TEST(Compounds, RejectShapesThatDoNotFit) {
  const auto a = test::random_matrix<Int<4>>(3, 40, 1);
  const auto message = [](auto&& call) {
    try {
      call();
    } catch (const std::invalid_argument& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_EQ(message([&] { Sum(a, random_sparse(3, 41, 2)); }),
            "nibble::Sum: expected two matrices of 3 x 40, got 3 x 41");
  EXPECT_EQ(message([&] { random_sparse(3, 40, 2) * Eigen::MatrixXf(39, 2); }),
            "nibble::operator*: expected X with the 40 rows that W has columns, got 39 x 2");
  EXPECT_NE(message([&] { Sum(a, random_sparse(3, 40, 2)) * Eigen::MatrixXf(39, 2); }), "");
}

}  // namespace
}  // namespace nibble
