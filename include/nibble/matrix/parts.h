// A quantized matrix taken apart: codes, scales and zero points as plain matrices.
#pragma once

#include <Eigen/Core>

#include "nibble/matrix/layout.h"

namespace nibble {

using RowMajorMatrixXf = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// The scale, zero point and choice of one group, as stored and as decoded (the super-scale included).
template <class S> struct GroupParams {
  typename S::scale_code scale_code = 0;
  std::uint8_t zero_code = 0;
  std::uint8_t choice = 0;
  float scale = 0;
  float zero = 0;
};

/// What a QuantizedMatrix<S> of N x K holds, without its layout. Roundings fill it; QuantizedMatrix packs it.
/// A weight is (decode(code) - zero) * decode(scale) * decode(super-scale).
/// Per tensor, `scales`, `supers` and `tables` have one row and one run; per row one run; else one for each run.
template <class S> struct Parts {
  template <class T> using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

  Index rows = 0, cols = 0;
  Matrix<typename S::code_type> codes;    ///< N x ceil(K / dim)
  Matrix<typename S::scale_code> scales;  ///< N x groups
  Matrix<typename S::super_code> supers;  ///< N x spans; empty without super-scales
  Matrix<std::uint8_t> zeros;             ///< like `scales` in affine schemes, else empty
  Matrix<std::uint8_t> choices;           ///< like `scales` where formats can be chosen, else empty
  Matrix<float> tables;                   ///< a row for each table: [row][run]

  Parts() = default;
  /// Zeroed parts of an N x K matrix.
  Parts(Index n, Index k) : rows(n), cols(k) {
    const Layout<S> layout(n, k);
    const auto real = [&](const auto& shared) { return shared.per_tensor ? shared.rows : std::min(n, shared.rows); };
    codes.setZero(n, layout.codes);
    scales.setZero(real(layout.scales), layout.scales.runs);
    supers.setZero(real(layout.supers), layout.supers.rows > 0 ? layout.supers.runs : 0);
    if (S::affine) zeros.setZero(scales.rows(), scales.cols());
    if (S::choices > 1) choices.setZero(scales.rows(), scales.cols());
    tables.setZero(layout.tables.size(), S::table_size);
  }

  /// The row of `scales`, `supers` or `tables` that belongs to a row of the matrix, for what G shares.
  template <class G> static Index shared_row(Index row) { return std::same_as<G, PerTensor> ? 0 : row; }

  /// The value of the super-scale of a group; 1 without super-scales.
  float super_scale(Index row, Index group) const {
    if constexpr (S::has_super)
      return S::super_format::decode(supers(shared_row<typename S::super_span>(row), Layout<S>::span_of(group)));
    else
      return 1;
  }

  /// The table of a group; null where the scheme has none.
  float* table(Index row, Index group) {
    return const_cast<float*>(static_cast<const Parts*>(this)->table(row, group));
  }
  const float* table(Index row, Index group) const {
    if (S::table_size == 0) return nullptr;
    const Index runs = group_size<typename S::table_group> == 0 ? 1 : scales.cols();
    return tables.row(shared_row<typename S::table_group>(row) * runs + Layout<S>::table_of(group)).data();
  }

  GroupParams<S> group(Index row, Index index) const {
    const Index r = shared_row<typename S::group>(row);
    GroupParams<S> p;
    p.scale_code = scales(r, index);
    p.scale = S::scale::format::decode(p.scale_code) * super_scale(row, index);
    if constexpr (S::affine) p.zero = p.zero_code = zeros(r, index);
    if constexpr (S::choices > 1) p.choice = choices(r, index);
    return p;
  }

  void set_group(Index row, Index index, const GroupParams<S>& p) {
    const Index r = shared_row<typename S::group>(row);
    scales(r, index) = p.scale_code;
    if constexpr (S::affine) zeros(r, index) = p.zero_code;
    if constexpr (S::choices > 1) choices(r, index) = p.choice;
  }
};

}  // namespace nibble
