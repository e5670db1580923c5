// Portable products of narrow matrices whose rows lie side by side: the specification of every other path. Sums run
// over the depth in order and every step is one fma, so all instruction sets give the same bits.
#pragma once

#include <cmath>
#include <cstddef>

#include "nibble/core/isa.h"

namespace nibble::kernels {

/// Rows that lie side by side on the left, and columns on the right.
inline constexpr std::ptrdiff_t lane_rows = 48, lane_cols = 8;

/// out[c][r] += sum over q < depth of left[q][r] * right[q][c], for r < lane_rows and c < Cols. The rows of `out` and
/// `left` have lane_rows floats, those of `right` are lane_cols floats apart. Cols is 1 or lane_cols. `out` and `left`
/// start on cache lines; `out` overlaps neither other.
template <class Tag> struct LaneProduct {
  template <int Cols> static void run(const float* right, const float* left, std::ptrdiff_t depth, float* out) {
    for (int c = 0; c < Cols; ++c)
      for (std::ptrdiff_t q = 0; q < depth; ++q)
        for (std::ptrdiff_t r = 0; r < lane_rows; ++r)
          out[c * lane_rows + r] = std::fma(left[q * lane_rows + r], right[q * lane_cols + c], out[c * lane_rows + r]);
  }
};

}  // namespace nibble::kernels
