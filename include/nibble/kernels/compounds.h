// Products of compounds of matrices.
#pragma once

#include "nibble/kernels/gemm.h"
#include "nibble/matrix/sparse.h"
#include "nibble/matrix/sum.h"

namespace nibble {

/// (A + B) * X = A * X + B * X, each in its own arithmetic. X is a dense K x M expression or quantized activations.
/// Throws std::invalid_argument as the products do.
template <class A, class B, class Derived, unsigned Baseline = isa::baseline>
Eigen::MatrixXf operator*(const Sum<A, B>& w, const Eigen::MatrixBase<Derived>& x) {
  const auto& dense = x.derived().eval();
  Eigen::MatrixXf y = w.first() * dense;
  y += w.second() * dense;
  return y;
}
template <class A, class B, class S, unsigned Baseline = isa::baseline>
Eigen::MatrixXf operator*(const Sum<A, B>& w, const QuantizedActivations<S>& x) {
  Eigen::MatrixXf y = w.first() * x;
  y += w.second() * x;
  return y;
}

}  // namespace nibble
