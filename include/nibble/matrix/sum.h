// Sum: two matrices that together stand for one.
#pragma once

#include "nibble/matrix/compound.h"

namespace nibble {

/// A + B, of one shape.
template <LowBitMatrix A, LowBitMatrix B> class Sum : public Compound<Sum<A, B>, A, B> {
 public:
  static constexpr const char* kind = "Sum";

  Sum() = default;
  /// Throws std::invalid_argument where shapes differ.
  Sum(A a, B b) : Compound<Sum, A, B>(std::move(a), std::move(b)) {
    if (first().rows() != second().rows() || first().cols() != second().cols())
      invalid("Sum", text("two matrices of ", first().rows(), " x ", first().cols()),
              text(second().rows(), " x ", second().cols()));
  }

  Index rows() const { return first().rows(); }
  Index cols() const { return first().cols(); }
  const A& first() const { return this->template part<0>(); }
  const B& second() const { return this->template part<1>(); }

  Eigen::MatrixXf dequantize() const { return first().dequantize() + second().dequantize(); }
};

}  // namespace nibble
