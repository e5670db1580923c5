// QuantizedActivations: the right-hand side of integer products.
#pragma once

#include <utility>

#include "nibble/matrix/parts.h"
#include "nibble/matrix/schemes.h"

namespace nibble {

/// A K x M matrix of small integers, each column quantized along K: scheme S is Int<B, G> (2 to 8 bits, or 16) or the
/// affine UInt<B, G> (1 to 8 bits), with one scale per column (G = PerRow) or one for each G inputs of a column. An
/// element is (integer - zero) * scale. Integers are kept from -top to top, or in affine schemes from -offset to
/// top - offset, so that they fit a signed byte and -128 never occurs. Those of 16 bits are 255 * high + low, two bytes
/// of -127 .. 127.
///
/// Columns lie in tiles of up to 12 bytes across; see ColumnTiles. Within a tile of w columns:
///
///     codes:          byte 4 parts (w (k / 4) + c) + 4 part + k % 4    4 inputs of each column; K padded with 0 to 64
///     scales, zeros:  [group][c]
template <class S = Int<8>> class QuantizedActivations {
  static constexpr int bits = S::format::bits;
  static_assert(std::same_as<typename S::scale, StoredScale<formats::Float32>> && !Layout<S>::per_tensor &&
                    (S::affine ? std::same_as<typename S::format, formats::UInt<bits>> && bits <= 8
                               : std::same_as<typename S::format, formats::Int<bits>> && (bits <= 8 || bits == 16)),
                "activations are Int<B, G> (2 to 8 bits or 16) or UInt<B, G> (1 to 8 bits), G = PerRow or Group<Size>");

 public:
  using scheme = S;
  /// Bytes per element.
  static constexpr int parts = bits > 8 ? 2 : 1;
  /// The largest integer of a symmetric scheme, the number of steps of an affine one.
  static constexpr int top = parts == 2   ? 256 * 127
                             : !S::affine ? (1 << (bits - 1)) - 1
                             : bits == 8  ? 254
                                          : (1 << bits) - 1;
  /// What is taken off the integers 0 .. top of affine schemes.
  static constexpr int offset = S::affine && bits == 8 ? 127 : 0;

  /// Where things lie in a K x M matrix.
  struct Shape : ActivationShape<S> {
    using ActivationShape<S>::rows, ActivationShape<S>::cols, ActivationShape<S>::tiles;
    Shape(Index k, Index m) : ActivationShape<S>(k, m, column_tile / parts) {}
    Index padded_rows() const { return round_up(rows, 64); }
    Index bytes() const { return padded_rows() * cols * parts; }
    Index code_index(Index k, Index m, int part = 0) const {
      const Index t = tiles.tile_of(m), first = tiles.first(t);
      return parts * (first * padded_rows() + 4 * (tiles.width(t) * (k / 4) + m - first)) + 4 * part + k % 4;
    }
  };

  /// Takes arrays that already have this layout: shape.bytes() codes, shape.scales() scales and, in affine schemes, as
  /// many zeros. For kernels; the sizes must fit.
  QuantizedActivations(const Shape& shape, AlignedArray<std::int8_t> codes, AlignedArray<float> scales,
                       AlignedArray<std::int8_t> zeros = {})
      : shape_(shape), codes_(std::move(codes)), scales_(std::move(scales)), zeros_(std::move(zeros)) {}

  /// The arrays, for kernels that fill them again; 0 x 0 activations stay behind.
  struct Arrays {
    AlignedArray<std::int8_t> codes;
    AlignedArray<float> scales;
    AlignedArray<std::int8_t> zeros;
  };
  Arrays release() {
    shape_ = {0, 0};
    return {std::move(codes_), std::move(scales_), std::move(zeros_)};
  }

  Index rows() const { return shape_.rows; }
  Index cols() const { return shape_.cols; }
  const Shape& shape() const { return shape_; }

  /// The element at (k, m).
  float at(Index k, Index m) const {
    if (k < 0 || k >= rows() || m < 0 || m >= cols())
      invalid("QuantizedActivations::at", text("an index inside ", rows(), " x ", cols()), text("(", k, ", ", m, ")"));
    const Index g = Layout<S>::group_of(k);
    return static_cast<float>(integer(k, m) - zero(g, m)) * scale(g, m);
  }
  int integer(Index k, Index m) const {
    const int first = codes_[static_cast<std::size_t>(shape_.code_index(k, m))];
    return parts == 1 ? first : 255 * first + codes_[static_cast<std::size_t>(shape_.code_index(k, m, 1))];
  }
  float scale(Index group, Index m) const { return scales_[static_cast<std::size_t>(shape_.scale_index(group, m))]; }
  int zero(Index group, Index m) const {
    return S::affine ? zeros_[static_cast<std::size_t>(shape_.scale_index(group, m))] : 0;
  }

  /// The K x M matrix of elements.
  Eigen::MatrixXf dequantize() const {
    return Eigen::MatrixXf::NullaryExpr(rows(), cols(), [&](Index k, Index m) { return at(k, m); });
  }

  /// The codes, scales and zeros of a tile.
  const std::int8_t* codes(Index t) const {
    return codes_.data() + parts * shape_.tiles.first(t) * shape_.padded_rows();
  }
  const float* scales(Index t) const { return scales_.data() + shape_.tiles.first(t) * shape_.groups(); }
  const std::int8_t* zeros(Index t) const { return zeros_.data() + shape_.tiles.first(t) * shape_.groups(); }

 private:
  Shape shape_;
  AlignedArray<std::int8_t> codes_;
  AlignedArray<float> scales_;
  AlignedArray<std::int8_t> zeros_;
};

}  // namespace nibble
