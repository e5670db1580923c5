// How far a low-bit matrix is from the matrix that it stands for, by its weights and by its outputs.
#pragma once

#include <cmath>
#include <iomanip>
#include <limits>
#include <ostream>

#include "nibble/kernels.h"

namespace nibble {

/// Differences between a matrix A and its approximation B.
struct Comparison {
  Index rows = 0, cols = 0;
  double bits_per_weight = 0;
  double relative_error = 0;  ///< |A - B| / |A|, Frobenius; 0 where both are 0, infinite where only A is
  double sqnr = 0;            ///< signal to quantization noise, dB: -20 log10(relative_error)
  double max_error = 0;       ///< largest |a - b|

  friend std::ostream& operator<<(std::ostream& out, const Comparison& c) {
    const auto flags = out.flags();
    const auto precision = out.precision();
    out << c.rows << " x " << c.cols << ", " << std::fixed << std::setprecision(3) << c.bits_per_weight
        << " bits per weight, SQNR " << std::setprecision(2) << c.sqnr << " dB, relative error " << std::setprecision(3)
        << 100 * c.relative_error << " %, max error " << std::scientific << c.max_error;
    out.flags(flags);
    out.precision(precision);
    return out;
  }
};

namespace metrics {

/// The comparison of two dense matrices of one shape, summed in double.
template <class A, class B>
Comparison difference(const Eigen::MatrixBase<A>& a, const Eigen::MatrixBase<B>& b, double bits_per_weight) {
  Comparison c{a.rows(), a.cols(), bits_per_weight};
  double signal = 0, noise = 0;
  for (Index j = 0; j < a.cols(); ++j) {
    for (Index i = 0; i < a.rows(); ++i) {
      const double value = static_cast<double>(a(i, j));
      const double error = value - static_cast<double>(b(i, j));
      signal += value * value;
      noise += error * error;
      if (std::abs(error) > c.max_error || std::isnan(error)) c.max_error = std::abs(error);
    }
  }
  c.relative_error = noise == 0 ? 0 : std::sqrt(noise / signal);
  c.sqnr = -20 * std::log10(c.relative_error);
  return c;
}

inline void check_shape(const char* function, const char* what, Index rows, Index cols, Index got_rows,
                        Index got_cols) {
  if (rows != got_rows || cols != got_cols)
    invalid(function, text(what, " of ", rows, " x ", cols), text(got_rows, " x ", got_cols));
}

}  // namespace metrics

/// W (N x K, any dense expression) against the weights of `q`. Throws std::invalid_argument where shapes differ.
template <class Derived, WeightMatrix Q> Comparison compare(const Eigen::MatrixBase<Derived>& w, const Q& q) {
  metrics::check_shape("compare", "a quantized matrix", w.rows(), w.cols(), q.rows(), q.cols());
  return metrics::difference(w.derived().eval(), Eigen::MatrixXf(q.dequantize()), q.bits_per_weight());
}

/// The outputs W * X, in double, against those of `q`, which multiplies X itself: X is K x M floats, or quantized
/// activations made from `x`, whose error then counts too. Throws std::invalid_argument where shapes differ.
template <class DW, WeightMatrix Q, class DX, class Right>
Comparison compare_outputs(const Eigen::MatrixBase<DW>& w, const Q& q, const Eigen::MatrixBase<DX>& x,
                           const Right& right) {
  metrics::check_shape("compare_outputs", "a quantized matrix", w.rows(), w.cols(), q.rows(), q.cols());
  metrics::check_shape("compare_outputs", "activations", w.cols(), x.cols(), x.rows(), x.cols());
  metrics::check_shape("compare_outputs", "quantized activations", x.rows(), x.cols(), right.rows(), right.cols());
  const Eigen::MatrixXd exact = w.template cast<double>() * x.template cast<double>();
  return metrics::difference(exact, Eigen::MatrixXf(q * right), q.bits_per_weight());
}
template <class DW, WeightMatrix Q, class DX>
Comparison compare_outputs(const Eigen::MatrixBase<DW>& w, const Q& q, const Eigen::MatrixBase<DX>& x) {
  return compare_outputs(w, q, x, x.derived());
}

}  // namespace nibble
