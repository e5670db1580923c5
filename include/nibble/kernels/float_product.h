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

/// Calls f(m, column) for each column of X as floats. Throws std::invalid_argument where one has a NaN or an infinity.
template <class Derived, class F>
void for_columns(const Eigen::MatrixBase<Derived>& x, const Parallel& parallel, F&& f) {
  parallel_for(x.cols(), parallel, [&](Index begin, Index end) {
    Eigen::VectorXf column(x.rows());
    for (Index m = begin; m < end; ++m) {
      column = x.col(m).template cast<float>();
      if (!column.allFinite()) invalid("gemm", "finite activations", text("a NaN or an infinity in column ", m));
      f(m, column);
    }
  });
}

/// The width of tile t of X of `cols` columns.
inline Index width_of(Index t, Index cols) {
  return std::min(column_tile, cols - t * column_tile);
}

/// Writes sums[m - begin][0 .. height - 1] to the columns m = begin .. end - 1 of Y.
inline void store_columns(const float* sums, Index begin, Index end, Index height, float* y, Index stride) {
  for (Index m = begin; m < end; ++m)
    std::memcpy(y + m * stride, sums + (m - begin) * lanes, static_cast<std::size_t>(height) * sizeof(float));
}

/// The float product W * X: exact in the weights, K fused multiply-adds per element.
template <class Tag, class S> class FloatProduct {
 public:
  /// Packs X. Throws std::invalid_argument where it has a NaN or an infinity.
  template <class Derived>
  FloatProduct(const QuantizedMatrix<S>& w, const Eigen::MatrixBase<Derived>& x, const Parallel& parallel)
      : w_(w),
        decoder_(w),
        cols_(x.cols()),
        depth_(decoder_.places()),
        x_(static_cast<std::size_t>(depth_ * cols_)) {
    for_columns(x, parallel, [&](Index m, const Eigen::VectorXf& column) {
      const Index width = width_of(m / column_tile, cols_);
      float* out = x_.data() + m / column_tile * column_tile * depth_;
      const Index c = m % column_tile;
      for (Index k = 0; k < w_.cols(); ++k) {
        const Index at = decoder_.place(k);
        out[Decoder::spread && few() ? (at / lanes * width + c) * lanes + at % lanes : at * width + c] = column[k];
      }
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
            store_columns(sums.data(), 0, cols_, height, y + p * lanes, stride);
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
        store_columns(sums.data(), t0 * column_tile, last, height, y + p * lanes, stride);
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
