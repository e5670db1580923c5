// One product, offered by two translation units with different flags.
#pragma once

#include <nibble/nibble.h>

namespace mixed_flags {

Eigen::MatrixXf plain(const Eigen::MatrixXf& w, const Eigen::MatrixXf& x, nibble::Isa isa);
Eigen::MatrixXf avx512(const Eigen::MatrixXf& w, const Eigen::MatrixXf& x, nibble::Isa isa);

static inline Eigen::MatrixXf product(const Eigen::MatrixXf& w, const Eigen::MatrixXf& x, nibble::Isa isa) {
  const auto q = nibble::quantize<nibble::Int<4, nibble::Group<32>>>(w);
  Eigen::MatrixXf y(2 * w.rows(), x.cols());
  nibble::gemm(q, nibble::quantize_activations(x), y.topRows(w.rows()), {.isa = isa});
  nibble::gemm(q, x, y.bottomRows(w.rows()), {.isa = isa});
  return y;
}

}  // namespace mixed_flags
