// LowRank: the product of a tall and a wide matrix.
#pragma once

#include "nibble/matrix/compound.h"
#include "nibble/matrix/dense.h"

namespace nibble {

/// U V with U of N x r and V of r x K: floats, or low-bit matrices themselves.
template <LowBitMatrix U = Dense, LowBitMatrix V = Dense> class LowRank : public Compound<LowRank<U, V>, U, V> {
 public:
  static constexpr const char* kind = "LowRank";

  LowRank() = default;
  /// Throws std::invalid_argument unless U has as many columns as V rows.
  LowRank(U u, V v) : Compound<LowRank, U, V>(std::move(u), std::move(v)) {
    if (left().cols() != right().rows())
      invalid("LowRank", text("V with the ", left().cols(), " rows that U has columns"),
              text(right().rows(), " x ", right().cols()));
  }
  template <class DU, class DV>
    requires(std::same_as<U, Dense>&& std::same_as<V, Dense>)
  LowRank(const Eigen::MatrixBase<DU>& u, const Eigen::MatrixBase<DV>& v) : LowRank(Dense(u), Dense(v)) {}

  Index rows() const { return left().rows(); }
  Index cols() const { return right().cols(); }
  Index rank() const { return left().cols(); }
  const U& left() const { return this->template part<0>(); }
  const V& right() const { return this->template part<1>(); }

  Eigen::MatrixXf dequantize() const { return left().dequantize() * right().dequantize(); }
};
template <class DU, class DV>
LowRank(const Eigen::MatrixBase<DU>&, const Eigen::MatrixBase<DV>&) -> LowRank<Dense, Dense>;

}  // namespace nibble
