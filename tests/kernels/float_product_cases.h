// The cases that float products of every kind of scheme are put through: against double precision.
#pragma once

#include <gtest/gtest.h>

#include "kernels/random_operands.h"
#include "oracle/products.h"

namespace nibble::test {

/// A random N x K matrix times K x M floats, on every instruction set.
template <class S> void check_float_product(Index n, Index k, Index m) {
  SCOPED_TRACE(text(S::name(), ": ", n, " x ", k, " x ", m));
  const auto w = random_matrix<S>(n, k, 3);
  const Eigen::MatrixXf x = random_inputs(k, m, 4);
  const Eigen::MatrixXd dense = w.dequantize().template cast<double>();
  for (Isa isa : available_isas()) {
    Eigen::MatrixXf y = Eigen::MatrixXf::Constant(n, m, -77);
    gemm(w, x, y, {.isa = isa});
    EXPECT_LE(oracle::error_in_eps(y, dense, x.cast<double>()), static_cast<double>(k) + 2) << name(isa);
  }
}

template <class S> class FloatProduct : public testing::Test {};
TYPED_TEST_SUITE_P(FloatProduct);

TYPED_TEST_P(FloatProduct, Shapes) {
  for (Index n : {1, 16, 17, 37})
    for (Index k : {1, 4, 33, 257, 600})
      for (Index m : {1, 3, 12, 25}) check_float_product<TypeParam>(n, k, m);
}

TYPED_TEST_P(FloatProduct, EveryTileWidth) {
  for (Index m = 1; m <= 13; ++m) check_float_product<TypeParam>(16, 68, m);
}

TYPED_TEST_P(FloatProduct, ManyColumns) {
  check_float_product<TypeParam>(17, 40, 12 * 16 + 5);
}

TYPED_TEST_P(FloatProduct, Empty) {
  for (Index m : {0, 1, 14}) check_float_product<TypeParam>(17, 0, m);
  check_float_product<TypeParam>(0, 40, 3);
}

REGISTER_TYPED_TEST_SUITE_P(FloatProduct, Shapes, EveryTileWidth, ManyColumns, Empty);

}  // namespace nibble::test
