// Y = W * X for any scheme and X of floats: panels are decoded to floats piece by piece and multiplied tile by tile, or,
// for few columns, multiplied straight from their codes.
#pragma once

#include "nibble/core/parallel.h"
#include "nibble/kernels/row_decoder.h"

namespace nibble::kernels {

/// What decodes scheme S.
template <class Tag, class S>
using DecoderOf =
    std::conditional_t<PanelDecoder<Tag, S>::exists, PanelDecoder<Tag, S>,
                       std::conditional_t<RowDecoder<Tag, S>::exists, RowDecoder<Tag, S>, SlowDecoder<Tag, S>>>;

/// The width of tile t of X of `cols` columns.
inline Index width_of(Index t, Index cols) {
  return std::min(column_tile, cols - t * column_tile);
}

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
void for_tiles(const Eigen::MatrixBase<Derived>& x, const Parallel& parallel, F&& f) {
  parallel_for((x.cols() + column_tile - 1) / column_tile, parallel, [&](Index begin, Index end) {
    Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic> memory(round_up(x.rows(), 64) + 32, column_tile);
    for (Index t = begin; t < end; ++t) {
      const Index first = t * column_tile;
      auto columns = memory.topLeftCorner(x.rows(), width_of(t, x.cols()));
      columns = x.middleCols(first, columns.cols()).template cast<T>();
      for (Index c = 0; c < columns.cols(); ++c)
        if (!all_finite<Tag>(&columns.coeffRef(0, c), x.rows()))
          invalid("gemm", "finite activations", text("a NaN or an infinity in column ", first + c));
      f(t, columns);
    }
  });
}

/// Calls f(c, k0, k1) so that all columns c of a tile take their turn for some inputs k0 .. k1 - 1, then for the next.
template <class F> void by_blocks(Index columns, Index inputs, F&& f) {
  constexpr Index block = 256;
  for (Index k = 0; k < inputs; k += block)
    for (Index c = 0; c < columns; ++c) f(c, k, std::min(inputs, k + block));
}

/// Writes sums[m - begin][0 .. height - 1] to the columns m = begin .. end - 1 of Y.
template <class Tag>
void store_columns(const float* sums, Index begin, Index end, Index height, float* y, Index stride) {
  for (Index m = begin; m < end; ++m)
    std::memcpy(y + m * stride, sums + (m - begin) * lanes, static_cast<std::size_t>(height) * sizeof(float));
}

/// The float product W * X: exact in the weights, K fused multiply-adds per element.
template <class Tag, class S> class FloatProduct {
 public:
  /// Packs X. Throws std::invalid_argument where it has a NaN or an infinity.
  template <class Derived>
  FloatProduct(const QuantizedMatrix<S>& w, const Eigen::MatrixBase<Derived>& x, const Parallel& parallel)
      : w_(w), decoder_(w), cols_(x.cols()), depth_(decoder_.places()), x_(static_cast<std::size_t>(depth_ * cols_)) {
    for_tiles<Tag, float>(x, parallel, [&](Index t, const auto& columns) {
      float* out = x_.data() + t * column_tile * depth_;
      const Index width = columns.cols();
      by_blocks(width, w_.cols(), [&](Index c, Index k0, Index k1) {
        const float* in = &columns.coeffRef(0, c);
        for (Index k = k0; k < k1; ++k) {
          const Index at = decoder_.place(k);
          out[Decoder::spread && few() ? (at / lanes * width + c) * lanes + at % lanes : at * width + c] = in[k];
        }
      });
    });
  }

  /// Writes rows 16 begin .. 16 end of Y, whose columns are `stride` floats apart.
  void panels(Index begin, Index end, float* y, Index stride) const {
    constexpr Index tiles_at_once = 16;
    AlignedArray<float> piece(static_cast<std::size_t>(piece_places * lanes));
    AlignedArray<float> sums(static_cast<std::size_t>(tiles_at_once * column_tile * lanes));
    typename Decoder::Scratch scratch(decoder_);
    const Index tiles = (cols_ + column_tile - 1) / column_tile;
    for (Index p = begin; p < end; ++p) {
      const Index height = std::min<Index>(lanes, w_.rows() - p * lanes);
      decoder_.load(p, scratch);
      for (Index t0 = 0; t0 < tiles; t0 += tiles_at_once) {
        const Index t1 = std::min(tiles, t0 + tiles_at_once), last = std::min(cols_, t1 * column_tile);
        std::fill_n(sums.data(), (last - t0 * column_tile) * lanes, 0.0f);
        if constexpr (has_direct) {
          if (few()) {
            decoder_.direct(x_.data(), cols_, scratch, sums.data());
            store_columns<Tag>(sums.data(), 0, cols_, height, y + p * lanes, stride);
            break;
          }
        }
        for (Index k = 0; k < depth_; k += piece_places) {
          const Index depth = std::min(piece_places, depth_ - k);
          decoder_.decode(k, depth, scratch, piece.data());
          for (Index t = t0; t < t1; ++t) {
            const Index width = width_of(t, cols_);
            FloatTile tile;
            tile.w = piece.data();
            tile.x = x_.data() + t * column_tile * depth_ + k * width;
            tile.depth = depth;
            tile.acc = sums.data() + (t - t0) * column_tile * lanes;
            FloatDot<Tag>::run(tile, static_cast<int>(width));
          }
        }
        store_columns<Tag>(sums.data(), t0 * column_tile, last, height, y + p * lanes, stride);
      }
    }
  }

 private:
  using Decoder = DecoderOf<Tag, S>;
  static constexpr bool has_direct = requires(const Decoder& d, typename Decoder::Scratch& scratch, float* y) {
    d.direct(y, Index{}, scratch, y);
  };
  static constexpr Index piece_places = std::max<Index>(256, Decoder::unit);

  bool few() const { return has_direct && cols_ <= direct_columns; }

  const QuantizedMatrix<S>& w_;
  Decoder decoder_;
  Index cols_;
  Index depth_;            // places per column of x_
  AlignedArray<float> x_;  // [tile][place][column], or for few columns as Decoder::direct has it
};

}  // namespace nibble::kernels
