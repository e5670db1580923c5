// Integer products of one pair of schemes: portable against double precision, every instruction set bit for bit against
// portable.
#pragma once

#include <gtest/gtest.h>

#include "kernels/random_operands.h"
#include "oracle/products.h"

namespace nibble {

template <class S, class A = Int<8>> struct Case {
  using Weights = S;
  using Activations = A;
};

template <class C> class IntegerProduct : public testing::Test {
 protected:
  void check(Index n, Index k, Index m) {
    SCOPED_TRACE(text(C::Weights::name(), " x ", C::Activations::name(), ": ", n, " x ", k, " x ", m));
    const auto w = test::random_matrix<typename C::Weights>(n, k, 1);
    const Eigen::MatrixXf inputs = test::random_inputs(k, m, 2);
    const auto x = quantize_activations<typename C::Activations>(inputs);
    Eigen::MatrixXf expected(n, m);
    gemm(w, x, expected, {.isa = Isa::Portable});
    // The roundings: of each scale product and each step, then of the factor and its product.
    const double bound = 2.0 * static_cast<double>(k) / 4 + 6;
    EXPECT_LE(
        oracle::error_in_eps(expected, w.dequantize().template cast<double>(), x.dequantize().template cast<double>()),
        bound);
    for (Isa isa : available_isas()) {
      Eigen::MatrixXf y = Eigen::MatrixXf::Constant(n, m, -77);
      gemm(w, x, y, {.isa = isa});
      EXPECT_EQ(y, expected) << name(isa);
    }
  }
};

TYPED_TEST_SUITE_P(IntegerProduct);

TYPED_TEST_P(IntegerProduct, Shapes) {
  for (Index n : {1, 15, 16, 17, 37})
    for (Index k : {1, 4, 31, 33, 100, 257})
      for (Index m : {1, 3, 12, 25}) this->check(n, k, m);
}

TYPED_TEST_P(IntegerProduct, EveryTileWidth) {
  for (Index m = 1; m <= 13; ++m) this->check(16, 132, m);
}

TYPED_TEST_P(IntegerProduct, EveryDepth) {
  for (Index k = 1; k <= 70; ++k) this->check(16, k, 2);
}

REGISTER_TYPED_TEST_SUITE_P(IntegerProduct, Shapes, EveryTileWidth, EveryDepth);

}  // namespace nibble
