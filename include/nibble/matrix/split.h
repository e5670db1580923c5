// RowSplit and ColumnSplit: two matrices side by side, for precision that differs by output or by input.
#pragma once

#include "nibble/matrix/compound.h"

namespace nibble {

/// A on top of B: the first outputs in one precision, the others in another. Runs of more kinds nest, any sets of rows
/// go through Permuted.
template <LowBitMatrix A, LowBitMatrix B> class RowSplit : public Compound<RowSplit<A, B>, A, B> {
 public:
  static constexpr const char* kind = "RowSplit";

  RowSplit() = default;
  /// Throws std::invalid_argument where the numbers of columns differ.
  RowSplit(A a, B b) : Compound<RowSplit, A, B>(std::move(a), std::move(b)) {
    if (top().cols() != bottom().cols())
      invalid("RowSplit", text("two matrices of ", top().cols(), " columns"),
              text(bottom().rows(), " x ", bottom().cols()));
  }

  Index rows() const { return top().rows() + bottom().rows(); }
  Index cols() const { return top().cols(); }
  const A& top() const { return this->template part<0>(); }
  const B& bottom() const { return this->template part<1>(); }

  Eigen::MatrixXf dequantize() const {
    Eigen::MatrixXf w(rows(), cols());
    w.topRows(top().rows()) = top().dequantize();
    w.bottomRows(bottom().rows()) = bottom().dequantize();
    return w;
  }
};

/// A to the left of B: the first inputs in one precision, the others in another.
template <LowBitMatrix A, LowBitMatrix B> class ColumnSplit : public Compound<ColumnSplit<A, B>, A, B> {
 public:
  static constexpr const char* kind = "ColumnSplit";

  ColumnSplit() = default;
  /// Throws std::invalid_argument where the numbers of rows differ.
  ColumnSplit(A a, B b) : Compound<ColumnSplit, A, B>(std::move(a), std::move(b)) {
    if (left().rows() != right().rows())
      invalid("ColumnSplit", text("two matrices of ", left().rows(), " rows"),
              text(right().rows(), " x ", right().cols()));
  }

  Index rows() const { return left().rows(); }
  Index cols() const { return left().cols() + right().cols(); }
  const A& left() const { return this->template part<0>(); }
  const B& right() const { return this->template part<1>(); }

  Eigen::MatrixXf dequantize() const {
    Eigen::MatrixXf w(rows(), cols());
    w.leftCols(left().cols()) = left().dequantize();
    w.rightCols(right().cols()) = right().dequantize();
    return w;
  }
};

}  // namespace nibble
