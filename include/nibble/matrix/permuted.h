// Permuted: a matrix whose rows and columns are stored in another order.
#pragma once

#include "nibble/matrix/compound.h"

namespace nibble {

/// W with W(row_order[i], column_order[j]) = A(i, j): row i of A is row row_order[i] of W, column j of A is input
/// column_order[j]. An empty order is 0, 1, 2, ...
template <LowBitMatrix A> class Permuted : public Compound<Permuted<A>, A, Eigen::VectorXi, Eigen::VectorXi> {
 public:
  static constexpr const char* kind = "Permuted";

  Permuted() = default;
  /// Throws std::invalid_argument unless each order is empty or has every row, or column, once.
  Permuted(A a, Eigen::VectorXi row_order, Eigen::VectorXi column_order)
      : Compound<Permuted, A, Eigen::VectorXi, Eigen::VectorXi>(std::move(a), std::move(row_order),
                                                                std::move(column_order)) {
    check(this->row_order(), rows(), "rows");
    check(this->column_order(), cols(), "columns");
  }

  Index rows() const { return matrix().rows(); }
  Index cols() const { return matrix().cols(); }
  const A& matrix() const { return this->template part<0>(); }
  const Eigen::VectorXi& row_order() const { return this->template part<1>(); }
  const Eigen::VectorXi& column_order() const { return this->template part<2>(); }

  Eigen::MatrixXf dequantize() const {
    const Eigen::MatrixXf a = matrix().dequantize();
    Eigen::MatrixXf w(rows(), cols());
    for (Index j = 0; j < cols(); ++j) {
      const Index to = column_order().size() > 0 ? column_order()[j] : j;
      for (Index i = 0; i < rows(); ++i) w(row_order().size() > 0 ? row_order()[i] : i, to) = a(i, j);
    }
    return w;
  }

 private:
  static void check(const Eigen::VectorXi& order, Index count, const char* what) {
    if (order.size() == 0) return;
    if (order.size() != count) invalid("Permuted", text("an order of ", count, ' ', what, ", or none"), order.size());
    std::vector<bool> seen(static_cast<std::size_t>(count));
    for (const int i : order) {
      if (i < 0 || i >= count || seen[static_cast<std::size_t>(i)])
        invalid("Permuted", text("each of ", count, ' ', what, " once"), text(i, i < 0 || i >= count ? "" : " twice"));
      seen[static_cast<std::size_t>(i)] = true;
    }
  }
};

}  // namespace nibble
