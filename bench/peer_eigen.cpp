// Eigen's own product. This file is compiled for the native CPU and all others are not, so its copy of Eigen has a
// namespace of its own: the linker must not put one's functions in the place of the other's.
#if defined __GNUC__ && !defined __clang__
// GCC 12 warns of its own intrinsics where they are inlined (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#define EIGEN_DONT_PARALLELIZE
#define Eigen NativeEigen
#include <Eigen/Core>

#include "peers.h"

namespace nibble::bench {

std::function<void()> eigen_product(const FloatOperands& operands) {
  return [operands, next = std::size_t{0}]() mutable {
    using Matrix = Eigen::MatrixXf;
    const Eigen::Map<const Matrix> w(operands.w[next++ % operands.w.size()], operands.n, operands.k);
    const Eigen::Map<const Matrix> x(operands.x, operands.k, operands.m);
    Eigen::Map<Matrix> y(operands.y, operands.n, operands.m);
    y.noalias() = w * x;
  };
}

}  // namespace nibble::bench
