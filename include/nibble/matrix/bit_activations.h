// BitActivations: the right-hand side of products over bits.
#pragma once

#include <utility>

#include "nibble/matrix/parts.h"
#include "nibble/matrix/schemes.h"

namespace nibble {

/// What the bits b_i of an activation stand for.
enum class BitValue {
  Bipolar,   ///< sum of 2^i (2 b_i - 1)
  Unsigned,  ///< sum of 2^i b_i
  Signed,    ///< two's complement
};

/// How the elements of format F lie in bits; `exists` for those that may.
template <class F> struct BitsOf { static constexpr bool exists = false; };
template <BitValue Value> struct BitsAre {
  static constexpr bool exists = true;
  static constexpr BitValue value = Value;
};
template <> struct BitsOf<formats::Binary> : BitsAre<BitValue::Bipolar> {};
template <int B> struct BitsOf<formats::Bipolar<B>> : BitsAre<BitValue::Bipolar> {};
template <> struct BitsOf<formats::Ternary> : BitsAre<BitValue::Signed> {};
template <int B>
  requires(B >= 2 && B <= 8)
struct BitsOf<formats::Int<B>> : BitsAre<BitValue::Signed> {};
template <int B>
  requires(B <= 8)
struct BitsOf<formats::UInt<B>> : BitsAre<BitValue::Unsigned> {};

/// A K x M matrix of integers of 1 to 8 bits, cut into bits, each column quantized along K: scheme S is Binary,
/// Bipolar, Ternary, Int or UInt with one scale (and zero point) per column (PerRow) or for each G inputs of a column
/// (Group<G>, G a multiple of 32). An element is (integer - zero) * scale.
///
/// 32 inputs of a column are one word for each bit, with the bits in the order of the 1-bit planes of Layout: bit
/// 8 (k % 4) + k % 32 / 4 is input k. Columns lie in tiles of up to 12; see ColumnTiles:
///
///     words:         [word][bit of the integer, least first][c]      K padded with zero bits to 32
///     scales, zeros: [group][c]
template <class S = Binary<>> class BitActivations {
  static_assert(BitsOf<typename S::format>::exists, "activations in bits are Binary, Bipolar, Ternary, Int or UInt");
  static_assert(!S::affine || BitsOf<typename S::format>::value == BitValue::Unsigned, "zero points belong to UInt");
  static_assert(!Layout<S>::per_tensor && std::same_as<typename S::scale, StoredScale<formats::Float32>>,
                "activations have one float scale per column or per group");
  static_assert(S::group_inputs % 32 == 0, "groups of activations in bits are multiples of 32 inputs");

 public:
  using scheme = S;
  using F = typename S::format;
  static constexpr int planes = F::bits;
  static constexpr BitValue bit_value = BitsOf<F>::value;

  /// Where things lie in a K x M matrix.
  struct Shape : ActivationShape<S> {
    using ActivationShape<S>::rows, ActivationShape<S>::cols, ActivationShape<S>::tiles;
    Shape(Index k, Index m) : ActivationShape<S>(k, m, column_tile) {}
    Index words() const { return (rows + 31) / 32; }
    Index word_index(Index word, int plane, Index m) const {
      const Index t = tiles.tile_of(m), first = tiles.first(t);
      return first * words() * planes + tiles.width(t) * (word * planes + plane) + m - first;
    }
    /// The bit of its word that belongs to input k.
    static constexpr int bit(Index k) { return static_cast<int>(8 * (k % 4) + k % 32 / 4); }
  };

  /// Takes arrays that already have this layout. For kernels; the sizes must fit. `zeros` is empty without zero points.
  BitActivations(const Shape& shape, AlignedArray<std::uint32_t> words, AlignedArray<float> scales,
                 AlignedArray<std::uint8_t> zeros)
      : shape_(shape), words_(std::move(words)), scales_(std::move(scales)), zeros_(std::move(zeros)) {}

  Index rows() const { return shape_.rows; }
  Index cols() const { return shape_.cols; }
  const Shape& shape() const { return shape_; }

  /// Bytes of the words.
  Index bytes() const { return static_cast<Index>(words_.size() * sizeof(std::uint32_t)); }

  /// The element at (k, m). Throws std::invalid_argument where it lies outside.
  float at(Index k, Index m) const {
    if (k < 0 || k >= rows() || m < 0 || m >= cols())
      invalid("BitActivations::at", text("an index inside ", rows(), " x ", cols()), text("(", k, ", ", m, ")"));
    const Index group = Layout<S>::group_of(k);
    return static_cast<float>(integer(k, m) - zero(group, m)) * scale(group, m);
  }
  /// The integer at (k, m), before zero point and scale.
  int integer(Index k, Index m) const {
    std::uint32_t code = 0;
    for (int p = 0; p < planes; ++p)
      code |= (words_[static_cast<std::size_t>(shape_.word_index(k / 32, p, m))] >> Shape::bit(k) & 1u) << p;
    const int value = static_cast<int>(code);
    if (bit_value == BitValue::Bipolar) return 2 * value - ((1 << planes) - 1);
    return bit_value == BitValue::Signed && value >> (planes - 1) != 0 ? value - (1 << planes) : value;
  }
  float scale(Index group, Index m) const { return scales_[static_cast<std::size_t>(shape_.scale_index(group, m))]; }
  int zero(Index group, Index m) const {
    return S::affine ? zeros_[static_cast<std::size_t>(shape_.scale_index(group, m))] : 0;
  }

  /// The K x M matrix of elements.
  Eigen::MatrixXf dequantize() const {
    return Eigen::MatrixXf::NullaryExpr(rows(), cols(), [&](Index k, Index m) { return at(k, m); });
  }

  /// The words and scales of a tile.
  const std::uint32_t* words(Index t) const { return words_.data() + shape_.tiles.first(t) * shape_.words() * planes; }
  const float* scales(Index t) const { return scales_.data() + shape_.tiles.first(t) * shape_.groups(); }

 private:
  Shape shape_;
  AlignedArray<std::uint32_t> words_;
  AlignedArray<float> scales_;
  AlignedArray<std::uint8_t> zeros_;
};

}  // namespace nibble
