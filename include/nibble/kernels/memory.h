// Where operands lie in memory, and whether two of them overlap.
#pragma once

#include <functional>

#include "nibble/matrix/dense.h"
#include "nibble/matrix/sparse.h"

namespace nibble::kernels {

/// A run of bytes; an empty one overlaps nothing.
struct Memory {
  const void* begin;
  Index bytes;
  const void* end() const { return static_cast<const char*>(begin) + bytes; }

  bool overlaps(const Memory& m) const {
    const std::less<const void*> before;
    return bytes > 0 && m.bytes > 0 && before(m.begin, end()) && before(begin, m.end());
  }
  /// Whether a part of a matrix or a vector lies here.
  template <class S> bool overlaps(const QuantizedMatrix<S>& w) const { return overlaps({w.plane(0), w.bytes()}); }
  bool overlaps(const Dense& w) const { return overlaps({w.data(), w.bytes()}); }
  bool overlaps(const Sparse& w) const {
    const Sparse::Matrix& m = w.matrix();
    return overlaps({m.valuePtr(), 4 * m.nonZeros()}) || overlaps({m.innerIndexPtr(), 4 * m.nonZeros()}) ||
           overlaps({m.outerIndexPtr(), 4 * w.rows()});
  }
  template <class T> bool overlaps(const Eigen::Matrix<T, Eigen::Dynamic, 1>& v) const {
    return overlaps({v.data(), v.size() * static_cast<Index>(sizeof(T))});
  }
  template <LowBitMatrix W> bool overlaps(const W& w) const {
    if constexpr (requires { w.overlaps(*this); }) {
      return w.overlaps(*this);
    } else {
      bool any = false;
      w.for_each_part([&](const auto& part) { any = any || overlaps(part); });
      return any;
    }
  }
};

/// What a dense expression with memory of its own spans; nothing for other expressions.
template <class Derived> Memory memory_of(const Eigen::MatrixBase<Derived>& x) {
  if constexpr ((Eigen::internal::traits<Derived>::Flags & Eigen::DirectAccessBit) != 0) {
    const Derived& d = x.derived();
    if (d.size() > 0)
      return {d.data(), static_cast<Index>(sizeof(typename Derived::Scalar)) *
                            ((d.outerSize() - 1) * d.outerStride() + (d.innerSize() - 1) * d.innerStride() + 1)};
  }
  return {nullptr, 0};
}

}  // namespace nibble::kernels
