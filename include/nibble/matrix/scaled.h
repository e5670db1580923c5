// Scaled: a matrix between two diagonal ones.
#pragma once

#include "nibble/matrix/compound.h"

namespace nibble {

/// diag(left) A diag(right): a scale for each row and for each column, or none on a side whose vector is empty.
template <LowBitMatrix A> class Scaled : public Compound<Scaled<A>, A, Eigen::VectorXf, Eigen::VectorXf> {
 public:
  static constexpr const char* kind = "Scaled";

  Scaled() = default;
  /// Throws std::invalid_argument unless each side has a finite scale for each row or column, or none.
  Scaled(A a, Eigen::VectorXf left, Eigen::VectorXf right)
      : Compound<Scaled, A, Eigen::VectorXf, Eigen::VectorXf>(std::move(a), std::move(left), std::move(right)) {
    if (this->left().size() != 0 && this->left().size() != rows())
      invalid("Scaled", text("a scale for each of ", rows(), " rows, or none"), this->left().size());
    if (this->right().size() != 0 && this->right().size() != cols())
      invalid("Scaled", text("a scale for each of ", cols(), " columns, or none"), this->right().size());
    if (!this->left().allFinite() || !this->right().allFinite())
      invalid("Scaled", "finite scales", "a NaN or an infinity");
  }

  Index rows() const { return matrix().rows(); }
  Index cols() const { return matrix().cols(); }
  const A& matrix() const { return this->template part<0>(); }
  const Eigen::VectorXf& left() const { return this->template part<1>(); }
  const Eigen::VectorXf& right() const { return this->template part<2>(); }

  /// Each weight times its scale of the left, then of the right.
  Eigen::MatrixXf dequantize() const {
    Eigen::MatrixXf w = matrix().dequantize();
    if (left().size() > 0) w.array().colwise() *= left().array();
    if (right().size() > 0) w.array().rowwise() *= right().transpose().array();
    return w;
  }
};

}  // namespace nibble
