// Y = W * X for X of bfloat16, where the CPU multiplies such numbers.
#pragma once

#include "nibble/kernels/float_product.h"

namespace nibble::kernels {

/// Significant bits that the values of scalar format F need at most; 24 where its codes are too many to look at.
template <class F>
inline constexpr int significant_bits = [] {
  if constexpr (dim_of<F> != 1 || table_size_of<F> != 0 || F::bits > 8) {
    return 24;
  } else {
    int most = 0;
    for (int choice = 0; choice < choices_of<F>; ++choice) {
      for (std::uint32_t c = 0; c < code_count<F>; ++c) {
        float value = 0;
        decode_to<F>(static_cast<typename F::code_type>(c), {nullptr, choice}, &value);
        const std::uint32_t word = std::bit_cast<std::uint32_t>(value);
        const bool special = (word >> 23 & 255) == 255 || (word & 0x7fffffff) == 0;
        if (!special) most = std::max(most, 24 - std::countr_zero(word | 0x800000));
      }
    }
    return most;
  }
}();

/// The product W * X of an X of bfloat16. Weights become bfloat16 before they are scaled, which is exact for integers
/// less zero points of at most 8 bits and for floats of at most 8 significant bits (FP4, FP6, FP8, ...); other tables
/// are rounded, by 2^-8 at most, relatively. Scales are applied in float to the sums over a group (or over 256 inputs
/// of one), or to the weights where no product of the two needs more than 8 bits (MX, NVFP4). So, with s the scales, c
/// the codes' values less zero points and c' those as bfloat16:
///
///     |error| <= (K + 2) eps |s c'| |X| + |s (c - c')| |X|        the last at most 2^-8 |W| |X|, 0 where exact
///
/// but for subnormal numbers, which the CPU takes as 0.
template <class Tag, class S> class BFloat16Product {
  using F = typename S::format;

 public:
  /// Whether scheme S can be multiplied so, and that it pays: fewer columns are multiplied as floats.
  static constexpr bool exists = [] {
    if constexpr (!BFloat16Dot<Tag>::exists || !PanelDecoder<Tag, S>::exists || F::bits > 8 || S::group_inputs % 2 != 0)
      return false;
    else if constexpr (S::affine)
      return is_integer<F> && F::decode(0) == 0;
    else
      return true;
  }();
  static constexpr Index least_columns = 5;
  /// Whether scales are applied to weights; what they have in common by row, a super-scale, is applied to sums.
  static constexpr bool scaled = exists && !S::affine && !Layout<S>::per_tensor && S::group_inputs > 0 &&
                                 group_size<typename S::super_span> == 0 &&
                                 significant_bits<F> + significant_bits<typename S::scale::format> <= 8;

  /// Packs X, for `parts` parts that run at once. Throws std::invalid_argument where X has a NaN or an infinity.
  template <class Derived>
  BFloat16Product(const QuantizedMatrix<S>& w, const Eigen::MatrixBase<Derived>& x, const Parallel& parallel,
                  Index parts, Scratch& memory)
      : w_(w),
        decoder_(w, memory, true),
        tiles_(x.cols(), column_tile),
        pairs_(decoder_.places() / 2),
        x_(memory.take<std::uint32_t>(pairs_ * x.cols())),
        rooms_(memory.take<Room>(parts)) {
    std::fill_n(x_, pairs_ * x.cols(), 0u);
    for (Index i = 0; i < parts; ++i)
      rooms_[i] = {typename Decoder::Room(decoder_, memory), memory.take<std::uint32_t>(piece_quanta * 2 * lanes),
                   memory.take<float>(x.cols() * lanes)};
    for_tiles<Tag, Eigen::bfloat16>(x, tiles_, parallel, memory, [&](Index t, const auto& columns) {
      std::uint32_t* out = x_ + tiles_.first(t) * pairs_;
      const Index width = columns.cols();
      by_blocks(width, w_.cols(), [&](Index c, Index k0, Index k1) {
        const Eigen::bfloat16* in = columns.data() + c * columns.outerStride();
        for (Index k = k0; k < k1; k += 2) {
          const std::uint32_t low = std::bit_cast<std::uint16_t>(in[k]);
          const std::uint32_t high = k + 1 < k1 ? std::bit_cast<std::uint16_t>(in[k + 1]) : 0;
          out[decoder_.place(k) / 2 * width + c] = low | high << 16;
        }
      });
    });
  }

  /// Writes rows 16 begin .. 16 end of Y, as one of the parts.
  template <class Output> void panels(Index begin, Index end, Index part, const Output& output) const {
    const Room& room = rooms_[part];
    typename Decoder::Room panel = room.codes;
    const Index cols = tiles_.first(tiles_.count);
    float supers[lanes];
    for (Index p = begin; p < end; ++p) {
      decoder_.load(p, panel, !scaled);
      if constexpr (scaled)
        for (Index r = 0; r < lanes; ++r) supers[r] = w_.super_scale(std::min(p * lanes + r, w_.rows() - 1), 0);
      std::fill_n(room.sums, cols * lanes, 0.0f);
      for (Index q = 0; q < pairs_ / 2; q += piece_quanta) {
        DecodeTile codes = panel.tile;
        codes.first = q;
        codes.quanta = std::min(piece_quanta, pairs_ / 2 - q);
        DecodePairs<Tag, typename Decoder::C, scaled>::run(codes, room.piece);
        for (Index t = 0; t < tiles_.count; ++t) {
          BFloat16Tile tile;
          tile.w = room.piece;
          tile.x = x_ + tiles_.first(t) * pairs_ + 2 * q * tiles_.width(t);
          tile.scales = scaled ? supers : codes.scales;
          tile.first = q;
          tile.quanta = codes.quanta;
          tile.group = scaled ? pairs_ / 2 : codes.group;
          tile.acc = room.sums + tiles_.first(t) * lanes;
          BFloat16Dot<Tag>::run(tile, static_cast<int>(tiles_.width(t)));
        }
      }
      output.store(p, 0, cols, room.sums);
    }
  }

 private:
  using Decoder = PanelDecoder<Tag, S>;
  static constexpr Index piece_quanta = 64;

  struct Room {
    typename Decoder::Room codes;
    std::uint32_t* piece;
    float* sums;
  };

  const QuantizedMatrix<S>& w_;
  Decoder decoder_;
  ColumnTiles tiles_;
  Index pairs_;       // of places, per column of x_
  std::uint32_t* x_;  // [tile][pair][column]
  Room* rooms_;       // [part]
};

}  // namespace nibble::kernels
