// Y = W * X for a W of floats and X of floats.
#pragma once

#include "nibble/core/parallel.h"
#include "nibble/core/workspace.h"
#include "nibble/kernels/targets.h"
#include "nibble/kernels/transpose.h"
#include "nibble/matrix/dense.h"

namespace nibble::kernels {

/// The product of a matrix of floats, K fused multiply-adds per element.
template <class Tag> class DenseProduct {
 public:
  /// Packs X, for `parts` parts that run at once.
  DenseProduct(const Dense& w, const Eigen::Ref<const Eigen::MatrixXf>& x, const Parallel& parallel, Index parts,
               Scratch& scratch)
      : w_(w),
        depth_(round_up(x.rows(), 4)),
        tiles_(x.cols(), column_tile),
        x_(scratch.take<float>(depth_ * x.cols())),
        sums_(scratch.take<float>(parts * tiles_at_once * column_tile * lanes)) {
    parallel_for(tiles_.count, parallel, [&](Index begin, Index end) {
      for (Index t = begin; t < end; ++t) {
        const Index width = tiles_.width(t), first = tiles_.first(t);
        float* const to = x_ + first * depth_;
        transpose(x.data() + first * x.outerStride(), x.outerStride(), width, x.rows(), to, width);
        std::fill(to + x.rows() * width, to + depth_ * width, 0.0f);
      }
    });
  }

  /// Writes rows 16 begin .. 16 end of Y, as one of the parts.
  template <class Output> void panels(Index begin, Index end, Index part, const Output& output) const {
    constexpr Index piece = 256;
    float* const sums = sums_ + part * tiles_at_once * column_tile * lanes;
    for (Index p = begin; p < end; ++p) {
      for (Index t0 = 0; t0 < tiles_.count; t0 += tiles_at_once) {
        const Index t1 = std::min(tiles_.count, t0 + tiles_at_once);
        std::fill_n(sums, tiles_at_once * column_tile * lanes, 0.0f);
        for (Index k = 0; k < depth_; k += piece) {
          for (Index t = t0; t < t1; ++t) {
            FloatTile tile;
            tile.w = w_.data() + p * w_.panel_size() + k * lanes;
            tile.x = x_ + tiles_.first(t) * depth_ + k * tiles_.width(t);
            tile.depth = std::min(piece, depth_ - k);
            tile.acc = sums + (tiles_.first(t) - tiles_.first(t0)) * lanes;
            FloatDot<Tag>::run(tile, static_cast<int>(tiles_.width(t)));
          }
        }
        const Index first = tiles_.first(t0);
        output.store(p, first, tiles_.first(t1 - 1) + tiles_.width(t1 - 1) - first, sums);
      }
    }
  }

 private:
  static_assert(Dense::height == lanes);
  static constexpr Index tiles_at_once = 16;

  const Dense& w_;
  Index depth_;
  ColumnTiles tiles_;
  float* x_;     // [tile][k][column]
  float* sums_;  // [part][column][16]
};

}  // namespace nibble::kernels
