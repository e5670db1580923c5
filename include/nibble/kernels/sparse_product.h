// Y = W * X for a sparse W and X of floats.
#pragma once

#include "nibble/core/parallel.h"
#include "nibble/core/workspace.h"
#include "nibble/kernels/targets.h"
#include "nibble/kernels/transpose.h"
#include "nibble/matrix/sparse.h"

namespace nibble::kernels {

/// The product of a sparse matrix: columns of X are taken up to 32 at a time and laid row by row.
template <class Tag> class SparseProduct {
 public:
  /// Packs X.
  SparseProduct(const Sparse& w, const Eigen::Ref<const Eigen::MatrixXf>& x, const Parallel& parallel, Index,
                Scratch& scratch)
      : w_(w), rows_(x.rows()), tiles_(x.cols(), sparse_columns), x_(scratch.take<float>(x.size())) {
    // Few rows at a time, so that the lines that they lie in stay in the cache from column to column.
    constexpr Index piece = 16;
    parallel_for((rows_ + piece - 1) / piece, parallel, [&](Index begin, Index end) {
      for (Index t = 0; t < tiles_.count; ++t) {
        const Index width = tiles_.width(t), first = tiles_.first(t);
        for (Index k = begin * piece; k < std::min(end * piece, rows_); k += piece)
          transpose(x.data() + first * x.outerStride() + k, x.outerStride(), width, std::min(piece, rows_ - k),
                    x_ + first * rows_ + k * width, width);
      }
    });
  }

  /// Writes rows 16 begin .. 16 end of Y.
  template <class Output> void panels(Index begin, Index end, Index, const Output& output) const {
    alignas(alignment) float by_row[lanes * sparse_columns] = {}, by_column[sparse_columns * lanes];
    for (Index p = begin; p < end; ++p) {
      SparseTile tile;
      tile.values = w_.matrix().valuePtr();
      tile.columns = w_.matrix().innerIndexPtr();
      tile.starts = w_.matrix().outerIndexPtr() + p * lanes;
      tile.rows = std::min<Index>(lanes, w_.rows() - p * lanes);
      tile.y = by_row;
      for (Index t = 0; t < tiles_.count; ++t) {
        tile.width = static_cast<int>(tiles_.width(t));
        tile.x = x_ + tiles_.first(t) * rows_;
        SparseDot<Tag>::run(tile);
        transpose(by_row, sparse_columns, lanes, tile.width, by_column, lanes);
        output.store(p, tiles_.first(t), tile.width, by_column);
      }
    }
  }

 private:
  const Sparse& w_;
  Index rows_;
  ColumnTiles tiles_;
  float* x_;  // [tile][k][column]
};

}  // namespace nibble::kernels
