// Portable products of narrow matrices whose rows lie side by side: the specification of every other path. Sums run
// over the depth in order and every step is one fma, so all instruction sets give the same bits.
#pragma once

#include <cmath>
#include <cstddef>

#include "nibble/core/isa.h"

namespace nibble::kernels {

/// Rows of T, float or double, that lie side by side on the left: three cache lines.
template <class T> inline constexpr std::ptrdiff_t lane_rows_of = 192 / sizeof(T);
inline constexpr std::ptrdiff_t lane_rows = lane_rows_of<float>;
/// Columns that lie side by side on the right.
inline constexpr std::ptrdiff_t lane_cols = 8;

/// out[c][r] += sum over q < depth of left[q][r] * right[q][c], for r < rows = lane_rows_of<T> and c < Cols. The rows
/// of `out` and `left` have `rows` numbers, those of `right` are lane_cols numbers apart. Cols is 1 or lane_cols. `out`
/// and `left` start on cache lines; `out` overlaps neither other.
template <class Tag> struct LaneProduct {
  template <int Cols, class T> static void run(const T* right, const T* left, std::ptrdiff_t depth, T* out) {
    constexpr std::ptrdiff_t rows = lane_rows_of<T>;
    for (int c = 0; c < Cols; ++c)
      for (std::ptrdiff_t q = 0; q < depth; ++q)
        for (std::ptrdiff_t r = 0; r < rows; ++r)
          out[c * rows + r] = std::fma(left[q * rows + r], right[q * lane_cols + c], out[c * rows + r]);
  }
};

}  // namespace nibble::kernels
