// LowBitMatrix: what all matrices of the library have in common.
#pragma once

#include <concepts>
#include <ostream>
#include <string>

#include "nibble/matrix/quantized_matrix.h"

namespace nibble {

/// What stands for an N x K matrix of weights: all that metrics ask for.
template <class M>
concept WeightMatrix = requires(const M& m) {
  { m.rows() } -> std::convertible_to<Index>;
  { m.cols() } -> std::convertible_to<Index>;
  { m.dequantize() } -> std::convertible_to<Eigen::MatrixXf>;
  { m.bits_per_weight() } -> std::convertible_to<double>;
};

/// A matrix of weights as a value that knows its memory and its file. QuantizedMatrix, Dense, Sparse, every compound of
/// them (Sum, Scaled, RowSplit, ColumnSplit, Permuted, LowRank, Rotated) and AnyMatrix are such. M::load(stream) reads
/// what save wrote. Products are in kernels/compounds.h.
template <class M>
concept LowBitMatrix = WeightMatrix<M> && requires(const M& m, std::ostream& out) {
  { m.bytes() } -> std::convertible_to<Index>;
  m.save(out);
} && std::regular<M>;  // last: else whether AnyMatrix can be made of a type would depend on itself

template <class M> inline constexpr bool is_quantized_matrix = false;
template <class S> inline constexpr bool is_quantized_matrix<QuantizedMatrix<S>> = true;

/// What the files of a type of matrix call it: its scheme, or "Sum(e2m1/g32/..., Sparse)".
template <LowBitMatrix M> std::string matrix_name() {
  if constexpr (is_quantized_matrix<M>)
    return M::scheme::name();
  else
    return M::name();
}

}  // namespace nibble
