// Y = W * X for any scheme and X of floats: panels are decoded to floats piece by piece and multiplied tile by tile,
// or, for few columns, multiplied straight from their codes.
#pragma once

#include "nibble/core/parallel.h"
#include "nibble/kernels/row_decoder.h"

namespace nibble::kernels {

/// What decodes scheme S.
template <class Tag, class S>
using DecoderOf = std::conditional_t<
    PanelDecoder<Tag, S>::exists, PanelDecoder<Tag, S>,
    std::conditional_t<BytesDecoder<Tag, S>::exists, BytesDecoder<Tag, S>,
                       std::conditional_t<RowDecoder<Tag, S>::exists, RowDecoder<Tag, S>, SlowDecoder<Tag, S>>>>;

/// Whether none of `count` numbers is a NaN or an infinity: only their products with 0 are not 0.
template <class Tag> bool all_finite(const float* x, Index count) {
  return (Eigen::Map<const Eigen::ArrayXf>(x, count) * 0.0f).sum() == 0;
}
template <class Tag> bool all_finite(const Eigen::bfloat16* x, Index count) {
  unsigned all = 0;
  for (Index i = 0; i < count; ++i) all |= (std::bit_cast<std::uint16_t>(x[i]) & 0x7f80u) + 0x80u;
  return (all & 0x8000) == 0;
}

/// Calls f(tile, columns) for each tile of X, with its columns as contiguous numbers of type T, far enough apart not to
/// collide in a cache. Throws std::invalid_argument where X has a NaN or an infinity.
template <class Tag, class T, class Derived, class F>
void for_tiles(const Eigen::MatrixBase<Derived>& x, const ColumnTiles& tiles, const Parallel& parallel, Scratch& memory,
               F&& f) {
  const Index parts = std::min<Index>(parallel.threads, tiles.count);
  const Index stride = round_up(x.rows(), 64) + 32;
  T* const room = memory.take<T>(parts * stride * column_tile);
  parallel_for(parts, parallel, [&](Index begin, Index end) {
    for (Index part = begin; part < end; ++part) {
      for (Index t = part * tiles.count / parts; t < (part + 1) * tiles.count / parts; ++t) {
        Eigen::Map<Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic>, 0, Eigen::OuterStride<>> columns(
            room + part * stride * column_tile, x.rows(), tiles.width(t), Eigen::OuterStride<>(stride));
        columns = x.middleCols(tiles.first(t), columns.cols()).template cast<T>();
        for (Index c = 0; c < columns.cols(); ++c)
          if (!all_finite<Tag>(columns.data() + c * stride, x.rows()))
            invalid("gemm", "finite activations", text("a NaN or an infinity in column ", tiles.first(t) + c));
        f(t, columns);
      }
    }
  });
}

/// Calls f(c, k0, k1) so that all columns c of a tile take their turn for some inputs k0 .. k1 - 1, then for the next.
template <class F> void by_blocks(Index columns, Index inputs, F&& f) {
  constexpr Index block = 256;
  for (Index k = 0; k < inputs; k += block)
    for (Index c = 0; c < columns; ++c) f(c, k, std::min(inputs, k + block));
}

/// The float product W * X: exact in the weights, K fused multiply-adds per element.
template <class Tag, class S> class FloatProduct {
 public:
  /// Packs X, for `parts` parts that run at once. Throws std::invalid_argument where X has a NaN or an infinity.
  template <class Derived>
  FloatProduct(const QuantizedMatrix<S>& w, const Eigen::MatrixBase<Derived>& x, const Parallel& parallel, Index parts,
               Scratch& memory)
      : w_(w),
        decoder_(w, memory),
        tiles_(x.cols(), column_tile),
        cols_(x.cols()),
        depth_(decoder_.places()),
        x_(memory.take<float>(depth_ * cols_)),
        rooms_(memory.take<Room>(parts)) {
    std::fill_n(x_, depth_ * cols_, 0.0f);
    for (Index i = 0; i < parts; ++i)
      rooms_[i] = {typename Decoder::Room(decoder_, memory), memory.take<float>(piece_places * lanes),
                   memory.take<float>(tiles_at_once * column_tile * lanes)};
    for_tiles<Tag, float>(x, tiles_, parallel, memory, [&](Index t, const auto& columns) {
      float* out = x_ + tiles_.first(t) * depth_;
      const Index width = columns.cols();
      by_blocks(width, w_.cols(), [&](Index c, Index k0, Index k1) {
        const float* in = columns.data() + c * columns.outerStride();
        for (Index k = k0; k < k1; ++k) {
          const Index at = decoder_.place(k);
          out[Decoder::spread && few() ? (at / lanes * width + c) * lanes + at % lanes : at * width + c] = in[k];
        }
      });
    });
  }

  /// Writes rows 16 begin .. 16 end of Y, as one of the parts.
  template <class Output> void panels(Index begin, Index end, Index part, const Output& output) const {
    const Room& room = rooms_[part];
    typename Decoder::Room codes = room.codes;
    for (Index p = begin; p < end; ++p) {
      decoder_.load(p, codes);
      for (Index t0 = 0; t0 < tiles_.count; t0 += tiles_at_once) {
        const Index t1 = std::min(tiles_.count, t0 + tiles_at_once);
        const Index first = tiles_.first(t0), width = tiles_.first(t1) - first;
        std::fill_n(room.sums, width * lanes, 0.0f);
        if constexpr (has_direct) {
          if (few()) {
            decoder_.direct(x_, cols_, codes, room.sums);
            output.store(p, 0, cols_, room.sums);
            break;
          }
        }
        for (Index k = 0; k < depth_; k += piece_places) {
          const Index depth = std::min(piece_places, depth_ - k);
          decoder_.decode(k, depth, codes, room.piece);
          for (Index t = t0; t < t1; ++t) {
            FloatTile tile;
            tile.w = room.piece;
            tile.x = x_ + tiles_.first(t) * depth_ + k * tiles_.width(t);
            tile.depth = depth;
            tile.acc = room.sums + (tiles_.first(t) - first) * lanes;
            FloatDot<Tag>::run(tile, static_cast<int>(tiles_.width(t)));
          }
        }
        output.store(p, first, width, room.sums);
      }
    }
  }

 private:
  using Decoder = DecoderOf<Tag, S>;
  static constexpr bool has_direct = requires(const Decoder& d, typename Decoder::Room& room, float* y) {
    d.direct(y, Index{}, room, y);
  };
  static constexpr Index piece_places = std::max<Index>(256, Decoder::unit);

  static constexpr Index tiles_at_once = 16;

  struct Room {
    typename Decoder::Room codes;
    float* piece;
    float* sums;
  };

  bool few() const { return has_direct && cols_ <= direct_columns; }

  const QuantizedMatrix<S>& w_;
  Decoder decoder_;
  ColumnTiles tiles_;
  Index cols_;
  Index depth_;  // places per column of x_
  float* x_;     // [tile][place][column], or for few columns as Decoder::direct has it
  Room* rooms_;  // [part]
};

}  // namespace nibble::kernels
