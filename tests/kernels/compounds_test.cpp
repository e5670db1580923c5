// Products of matrices of floats, sparse matrices and compounds against naive ones.
#include "nibble/kernels/compounds.h"

#include <gtest/gtest.h>

#include "kernels/random_trees.h"
#include "message_of.h"
#include "oracle/products.h"

namespace nibble {
namespace {

/// `sizes` are the magnitudes of the weights, or the sums of those of the parts of a sum.
template <class W> void check_products(const W& w, const Eigen::MatrixXf& sizes) {
  const Eigen::MatrixXd dense = w.dequantize().template cast<double>();
  const auto check = [&](const Eigen::MatrixXf& y, const Eigen::MatrixXd& x) {
    const Eigen::ArrayXXd error = (y.cast<double>() - oracle::product(dense, x)).array().abs();
    const Eigen::ArrayXXd unit = 0x1p-23 * oracle::product(sizes.cast<double>(), x.cwiseAbs()).array();
    ASSERT_TRUE((error <= (static_cast<double>(w.cols()) + 16) * unit).all()) << (error / unit).maxCoeff();
  };
  for (Index m : {1, 5, 13, 67}) {
    const Eigen::MatrixXf x = test::random_inputs(w.cols(), m, 9);
    const auto xq = quantize_activations(x);
    for (Isa isa : available_isas()) {
      SCOPED_TRACE(text(name(isa), ' ', w.rows(), " x ", w.cols(), " x ", m));
      Eigen::MatrixXf y(w.rows(), m);
      gemm(w, x, y, {.isa = isa});
      ASSERT_NO_FATAL_FAILURE(check(y, x.cast<double>()));
      gemm(w, xq, y, {.isa = isa});
      ASSERT_NO_FATAL_FAILURE(check(y, xq.dequantize().template cast<double>()));
    }
    ASSERT_EQ(w * x.cast<double>(), w * x);
    ASSERT_EQ(w * RowMajorMatrixXf(x), w * x);
    ASSERT_EQ(w * (2 * x), w * (2 * x).eval());
  }
}

TEST(Products, OfLeaves) {
  for (Index n : {1, 16, 19, 40}) {
    for (Index k : {1, 31, 64, 150, 523}) {
      const Sparse sparse = test::random_sparse(n, k, 3);
      ASSERT_NO_FATAL_FAILURE(check_products(sparse, sparse.dequantize().cwiseAbs()));
      const Eigen::MatrixXf w = test::random_inputs(n, k, 4);
      ASSERT_NO_FATAL_FAILURE(check_products(Dense(w), w.cwiseAbs()));
    }
  }
}

TEST(Products, OfNestedSums) {
  for (Index n : {1, 19}) {
    for (Index k : {1, 64, 150}) {
      const auto weights = test::random_matrix<Int<4, Group<16>>>(n, k, 4);
      const Sparse sparse = test::random_sparse(n, k, 3);
      const Sum sum(Sum(weights, sparse), Dense(test::random_inputs(n, k, 4)));
      ASSERT_NO_FATAL_FAILURE(check_products(sum, weights.dequantize().cwiseAbs() + sparse.dequantize().cwiseAbs() +
                                                      sum.second().dequantize().cwiseAbs()));
    }
  }
  for (Index n : {0, 3}) {
    const Sum sum(quantize<Int<4>>(Eigen::MatrixXf::Zero(n, 0)), test::random_sparse(n, 0, 1));
    EXPECT_EQ(sum * Eigen::MatrixXf::Zero(0, 2), Eigen::MatrixXf::Zero(n, 2));
  }
}

/// Activations of every kind keep their values, where they can their integers, through splits and orders.
template <class A> void check_right_side() {
  SCOPED_TRACE(A::name());
  const Index k = 83, m = 29;
  const auto x = quantize_activations<A>(test::random_inputs(k, m, 1));
  const Eigen::MatrixXf values = x.dequantize();
  for (Index cut : {0, 1, 16, 17, 32, 83}) {
    kernels::with_rows(x, cut, k - cut, [&](const auto& rows) {
      constexpr bool floats = std::same_as<std::decay_t<decltype(rows)>, kernels::FloatInputs>;
      EXPECT_EQ(floats, A::group_inputs != 0 && cut % A::group_inputs != 0) << cut;
      if constexpr (floats)
        EXPECT_EQ(Eigen::MatrixXf(rows), values.bottomRows(k - cut));
      else
        EXPECT_EQ(rows.dequantize(), values.bottomRows(k - cut));
    });
  }
  const Eigen::VectorXi order = test::random_order(k, 2);
  const Eigen::MatrixXf ordered = values(order, Eigen::all);
  kernels::with_order(x, order, [&](const auto& rows) {
    constexpr bool floats = std::same_as<std::decay_t<decltype(rows)>, kernels::FloatInputs>;
    EXPECT_EQ(floats, A::group_inputs != 0);
    if constexpr (floats)
      EXPECT_EQ(Eigen::MatrixXf(rows), ordered);
    else
      EXPECT_EQ(rows.dequantize(), ordered);
  });
  const auto a = test::random_matrix<Int<4>>(5, 48, 3), b = test::random_matrix<Int<4>>(5, k - 48, 4);
  const Permuted split(ColumnSplit(a, b), {}, order);
  const auto y = split * x;
  EXPECT_LE(oracle::error_in_eps(y, split.dequantize().template cast<double>(), values.cast<double>()), k);
}

TEST(Products, OfActivationsOfEveryKind) {
  check_right_side<Int<8>>();
  check_right_side<Int<16>>();
  check_right_side<UInt<8>>();
  check_right_side<Int<8, Group<16>>>();
  check_right_side<UInt<8, Group<32>>>();
}

TEST(Products, InAWorkspace) {
  const Sum sum(Dense(test::random_inputs(20, 30, 1)), test::random_sparse(20, 30, 2));
  const Eigen::MatrixXf x = test::random_inputs(30, 4, 3);
  Workspace workspace;
  Eigen::MatrixXf y(20, 4);
  for (int i = 0; i < 3; ++i) {
    y.setConstant(5);
    gemm(sum, x, y, {.workspace = &workspace});
    EXPECT_EQ(y, sum * x);
  }
  const Scratch taken("test", &workspace);
  y.setConstant(5);
  EXPECT_EQ(test::message_of([&] { gemm(sum, x, y, {.workspace = &workspace}); }),
            "nibble::gemm: expected a workspace that no other call uses, got one in use");
  EXPECT_TRUE((y.array() == 5).all());
}

TEST(Products, WithSmoothActivations) {
  const RowSplit w(test::random_sparse(17, 30, 1), Dense(test::random_inputs(4, 30, 2)));
  const Eigen::MatrixXf x = test::random_inputs(30, 4, 3), plain = w * x;
  const Eigen::MatrixXf wanted = plain.array() / (1 + (-plain.array()).exp());
  for (bool accumulate : {false, true}) {
    Eigen::MatrixXf y = Eigen::MatrixXf::Constant(21, 4, 2);
    gemm(w, x, y, {}, {.activation = Activation::Silu, .accumulate = accumulate});
    EXPECT_LE((y - wanted - Eigen::MatrixXf::Constant(21, 4, accumulate ? 2 : 0)).cwiseAbs().maxCoeff(), 2e-5f);
  }
}

TEST(Products, RejectBadOperandsBeforeTheyWrite) {
  const ColumnSplit w(test::random_matrix<Int<4>>(20, 40, 1),
                      LowRank(test::random_inputs(20, 2, 1), test::random_inputs(2, 3, 1)));
  Eigen::MatrixXf x = test::random_inputs(43, 20, 1), y = Eigen::MatrixXf::Constant(20, 20, 5);
  const auto message = [&](auto&& call) { return test::message_of(call); };
  EXPECT_EQ(message([&] { w* Eigen::MatrixXf(42, 2); }),
            "nibble::gemm: expected X with the 43 rows that W has columns, got 42 x 2");
  EXPECT_EQ(message([&] { w* quantize_activations(Eigen::MatrixXf::Ones(42, 2)); }),
            "nibble::gemm: expected X with the 43 rows that W has columns, got 42 x 2");
  EXPECT_EQ(message([&] { gemm(w, x, y.topRows(19)); }), "nibble::gemm: expected Y of 20 x 20, got 19 x 20");
  EXPECT_EQ(message([&] { gemm(w, x, y, {.threads = 0}); }), "nibble::gemm: expected at least 1 thread, got 0");
  EXPECT_EQ(message([&] { gemm(w, x, y, {}, {.bias = Eigen::VectorXf::Ones(19)}); }),
            "nibble::gemm: expected a bias and a scale for each of 20 rows, or none, got 19");
  EXPECT_NE(message([&] { gemm(w, x, y, {.isa = Isa::Neon}); }), "");
  const char* const overlap = "nibble::gemm: expected Y in memory of its own, got one that overlaps W or X";
  EXPECT_EQ(message([&] { gemm(w, x, x.topRows(20)); }), overlap);
  const auto inside = [](const float* p, Index n, Index m) {
    return Eigen::Map<Eigen::MatrixXf>(const_cast<float*>(p), n, m);
  };
  EXPECT_EQ(message([&] { gemm(w, x.leftCols(1), inside(w.right().left().data(), 20, 1)); }), overlap);
  EXPECT_EQ(message([&] { gemm(w, x.leftCols(1), inside(reinterpret_cast<const float*>(w.left().plane(0)), 20, 1)); }),
            overlap);
  const Scaled scaled(test::random_sparse(20, 43, 1), Eigen::VectorXf::Ones(20), {});
  EXPECT_EQ(message([&] { gemm(scaled, x.leftCols(1), inside(scaled.left().data(), 20, 1)); }), overlap);
  EXPECT_EQ(message([&] { gemm(scaled, x.leftCols(1), inside(scaled.matrix().matrix().valuePtr(), 20, 1)); }), overlap);
  const AnyMatrix any(scaled);
  EXPECT_EQ(message([&] { gemm(any, x.leftCols(1), inside(any.get<Scaled<Sparse>>()->left().data(), 20, 1)); }),
            overlap);
  x(42, 7) = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(message([&] { gemm(w, x, y); }),
            "nibble::gemm: expected finite activations, got a NaN or an infinity in column 7");
  EXPECT_TRUE((y.array() == 5).all());
}

}  // namespace
}  // namespace nibble
