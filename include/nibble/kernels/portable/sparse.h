// Portable: products of a sparse matrix.
#pragma once

#include <cmath>
#include <cstddef>

#include "nibble/core/isa.h"

namespace nibble::kernels {

/// Columns of X that a sparse product takes at once, at most.
inline constexpr int sparse_columns = 32;

/// Some rows of a sparse matrix, stored row by row, times `width` columns, at most sparse_columns:
///
///     y[row][c] = sum over e of values[e] * x[columns[e]][c],   starts[row] <= e < starts[row + 1]
///
/// by fused multiply-adds, in any order. x is [k][width], y is [row][sparse_columns]; what lies beyond `width` in y is
/// left or set to anything.
struct SparseTile {
  const float* values = nullptr;
  const int* columns = nullptr;
  const int* starts = nullptr;  ///< [rows + 1]
  std::ptrdiff_t rows = 0;
  const float* x = nullptr;
  int width = 0;
  float* y = nullptr;
};

/// See SparseTile.
template <class Tag> struct SparseDot {
  static void run(const SparseTile& tile) {
    for (std::ptrdiff_t r = 0; r < tile.rows; ++r) {
      float* const y = tile.y + r * sparse_columns;
      for (int c = 0; c < tile.width; ++c) y[c] = 0;
      for (int e = tile.starts[r]; e < tile.starts[r + 1]; ++e) {
        const float* const x = tile.x + static_cast<std::ptrdiff_t>(tile.columns[e]) * tile.width;
        for (int c = 0; c < tile.width; ++c) y[c] = std::fma(tile.values[e], x[c], y[c]);
      }
    }
  }
};

}  // namespace nibble::kernels
