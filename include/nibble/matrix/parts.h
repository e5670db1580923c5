// A quantized matrix taken apart: codes, scales and zero points as plain matrices.
#pragma once

#include <Eigen/Core>

#include "nibble/matrix/layout.h"

namespace nibble {

using RowMajorMatrixXf = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// The scale and zero point of one group, as stored and as decoded (the tensor scale included).
template <class S> struct GroupParams {
  typename S::scale_code scale_code = 0;
  std::uint8_t zero_code = 0;
  float scale = 0;
  float zero = 0;
};

/// What a QuantizedMatrix<S> of N x K holds, without its layout. Roundings fill it; QuantizedMatrix packs it. A weight
/// is (decode(code) - zero) * decode(scale) * tensor_scale.
template <class S> struct Parts {
  template <class T> using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

  Index rows = 0, cols = 0;
  Matrix<typename S::code_type> codes;    ///< N x ceil(K / dim)
  Matrix<typename S::scale_code> scales;  ///< N x groups; 1 x 1 per tensor
  Matrix<std::uint8_t> zeros;             ///< like `scales` in affine schemes, else empty
  Matrix<float> tables;                   ///< N x table_size
  float tensor_scale = 1;

  Parts() = default;
  /// Zeroed parts of an N x K matrix.
  Parts(Index n, Index k) : rows(n), cols(k) {
    const Layout<S> layout(n, k);
    const Index scale_rows = layout.per_tensor ? (n > 0) : n;
    codes.setZero(n, layout.codes);
    scales.setZero(scale_rows, layout.groups);
    if (S::affine) zeros.setZero(scale_rows, layout.groups);
    tables.setZero(n, S::table_size);
  }

  /// The table of a row; null where the scheme has none.
  const float* table(Index row) const { return S::table_size > 0 ? tables.row(row).data() : nullptr; }

  GroupParams<S> group(Index row, Index index) const {
    const Index r = std::same_as<typename S::group, PerTensor> ? 0 : row;
    GroupParams<S> p;
    p.scale_code = scales(r, index);
    p.scale = S::scale::format::decode(p.scale_code) * tensor_scale;
    if constexpr (S::affine) {
      p.zero_code = zeros(r, index);
      p.zero = static_cast<float>(p.zero_code);
    }
    return p;
  }

  void set_group(Index row, Index index, const GroupParams<S>& p) {
    const Index r = std::same_as<typename S::group, PerTensor> ? 0 : row;
    scales(r, index) = p.scale_code;
    if constexpr (S::affine) zeros(r, index) = p.zero_code;
  }
};

}  // namespace nibble
