// QuantizedActivations: the right-hand side of integer products.
#pragma once

#include <utility>

#include "nibble/matrix/parts.h"
#include "nibble/matrix/schemes.h"

namespace nibble {

/// A K x M matrix of small signed integers, each column quantized along K: scheme S is Int<B, PerRow> (one scale per
/// column) or Int<B, Group<G>> (one for each G inputs of a column). An element is code * scale, and codes keep to the
/// symmetric range, so -128 never occurs.
///
/// Columns lie in tiles of 12, the last one as wide as what is left. Within a tile of width w:
///
///     codes:    byte 4 (w (k / 4) + c) + k % 4       4 inputs of each column together; K padded with zeros
///     to 64 scales:   [group][c]
template <class S = Int<8>> class QuantizedActivations {
  static_assert(std::same_as<S, Int<S::format::bits, typename S::group>> && !Layout<S>::per_tensor,
                "activations are Int<B, PerRow> or Int<B, Group<G>>");

 public:
  using scheme = S;

  /// Where things lie in a K x M matrix.
  struct Shape {
    Index rows, cols;
    Index padded_rows() const { return round_up(rows, 64); }
    Index groups() const {
      return rows == 0 ? 0 : S::group_inputs == 0 ? 1 : (rows + S::group_inputs - 1) / S::group_inputs;
    }
    Index tiles() const { return (cols + column_tile - 1) / column_tile; }
    Index width(Index tile) const { return std::min(column_tile, cols - tile * column_tile); }
    Index code_index(Index k, Index m) const {
      const Index tile = m / column_tile;
      return tile * column_tile * padded_rows() + 4 * (width(tile) * (k / 4) + m % column_tile) + k % 4;
    }
    Index scale_index(Index group, Index m) const {
      const Index tile = m / column_tile;
      return tile * column_tile * groups() + width(tile) * group + m % column_tile;
    }
  };

  /// Takes arrays that already have this layout. For kernels; the sizes must fit.
  QuantizedActivations(const Shape& shape, AlignedArray<std::int8_t> codes, AlignedArray<float> scales)
      : shape_(shape), codes_(std::move(codes)), scales_(std::move(scales)) {}

  Index rows() const { return shape_.rows; }
  Index cols() const { return shape_.cols; }
  const Shape& shape() const { return shape_; }

  /// The element at (k, m).
  float at(Index k, Index m) const {
    if (k < 0 || k >= rows() || m < 0 || m >= cols())
      invalid("QuantizedActivations::at", text("an index inside ", rows(), " x ", cols()), text("(", k, ", ", m, ")"));
    return static_cast<float>(code(k, m)) * scale(Layout<S>::group_of(k), m);
  }
  std::int8_t code(Index k, Index m) const { return codes_[static_cast<std::size_t>(shape_.code_index(k, m))]; }
  float scale(Index group, Index m) const { return scales_[static_cast<std::size_t>(shape_.scale_index(group, m))]; }

  /// The K x M matrix of elements.
  Eigen::MatrixXf dequantize() const {
    return Eigen::MatrixXf::NullaryExpr(rows(), cols(), [&](Index k, Index m) { return at(k, m); });
  }

  /// The codes and scales of a tile.
  const std::int8_t* codes(Index tile) const { return codes_.data() + tile * column_tile * shape_.padded_rows(); }
  const float* scales(Index tile) const { return scales_.data() + tile * column_tile * shape_.groups(); }

 private:
  Shape shape_;
  AlignedArray<std::int8_t> codes_;
  AlignedArray<float> scales_;
};

}  // namespace nibble
