#ifdef NIBBLE_BENCH_OPENBLAS
#include <cblas.h>

#include "peers.h"

namespace nibble::bench {

std::function<void()> openblas_product(const FloatOperands& operands) {
  openblas_set_num_threads(1);
  return [operands, next = std::size_t{0}]() mutable {
    const float* w = operands.w[next++ % operands.w.size()];
    const auto n = static_cast<blasint>(operands.n);
    const auto k = static_cast<blasint>(operands.k);
    const auto m = static_cast<blasint>(operands.m);
    if (m == 1)
      cblas_sgemv(CblasColMajor, CblasNoTrans, n, k, 1, w, n, operands.x, 1, 0, operands.y, 1);
    else
      cblas_sgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, n, m, k, 1, w, n, operands.x, k, 0, operands.y, n);
  };
}

}  // namespace nibble::bench

#endif
