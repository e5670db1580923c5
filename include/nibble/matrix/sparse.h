// Sparse: a matrix of few floats.
#pragma once

#include <Eigen/SparseCore>

#include "nibble/matrix/activations.h"

namespace nibble {

/// An N x K matrix of which the elements that are not 0 are stored, as floats, row by row.
class Sparse {
 public:
  using Matrix = Eigen::SparseMatrix<float, Eigen::RowMajor>;

  Sparse() = default;
  explicit Sparse(Matrix matrix) : matrix_(std::move(matrix)) { matrix_.makeCompressed(); }

  Index rows() const { return matrix_.rows(); }
  Index cols() const { return matrix_.cols(); }
  const Matrix& matrix() const { return matrix_; }

  Eigen::MatrixXf dequantize() const { return matrix_; }

  /// For each stored element a float and its column in 16 bits (32 beyond 65,536 columns), for each row 32 bits for
  /// where it starts, over N K; 0 where N K = 0.
  double bits_per_weight() const {
    if (rows() == 0 || cols() == 0) return 0;
    const double element = 32 + (cols() <= 65536 ? 16 : 32);
    return (static_cast<double>(matrix_.nonZeros()) * element + static_cast<double>(rows()) * 32) /
           (static_cast<double>(rows()) * static_cast<double>(cols()));
  }

  /// The product with K x M activations, in float arithmetic. Throws std::invalid_argument where shapes do not fit.
  template <class Derived> friend Eigen::MatrixXf operator*(const Sparse& w, const Eigen::MatrixBase<Derived>& x) {
    if (x.rows() != w.cols())
      invalid("operator*", text("X with the ", w.cols(), " rows that W has columns"), text(x.rows(), " x ", x.cols()));
    const Eigen::MatrixXf dense = x.template cast<float>();
    return w.matrix_ * dense;
  }
  template <class S> friend Eigen::MatrixXf operator*(const Sparse& w, const QuantizedActivations<S>& x) {
    return w * x.dequantize();
  }

 private:
  Matrix matrix_;
};

}  // namespace nibble
