// Sum: two matrices that together stand for one.
#pragma once

#include <utility>

#include "nibble/matrix/parts.h"

namespace nibble {

/// A + B, of one shape: QuantizedMatrix, Sparse, Sum itself, or whatever else has rows, cols, dequantize and
/// bits_per_weight. Products are in kernels/compounds.h.
template <class A, class B> class Sum {
 public:
  Sum() = default;
  /// Throws std::invalid_argument where shapes differ.
  Sum(A first, B second) : first_(std::move(first)), second_(std::move(second)) {
    if (first_.rows() != second_.rows() || first_.cols() != second_.cols())
      invalid("Sum", text("two matrices of ", first_.rows(), " x ", first_.cols()),
              text(second_.rows(), " x ", second_.cols()));
  }

  Index rows() const { return first_.rows(); }
  Index cols() const { return first_.cols(); }
  const A& first() const { return first_; }
  const B& second() const { return second_; }

  Eigen::MatrixXf dequantize() const { return first_.dequantize() + second_.dequantize(); }
  double bits_per_weight() const { return first_.bits_per_weight() + second_.bits_per_weight(); }

 private:
  A first_;
  B second_;
};

}  // namespace nibble
