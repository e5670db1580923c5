// The parallel loop over the tiles of the lower triangle of a matrix.
#pragma once

#include <algorithm>
#include <cmath>

#include "nibble/core/parallel.h"

namespace nibble::rounding {

/// Cuts 0 .. n - 1 into runs of `tile` and calls body(i, j, rows, cols) for each pair of runs that start at i >= j and
/// have `rows` and `cols` elements. The pairs do not depend on the number of threads.
template <class Body>
void parallel_triangle(std::ptrdiff_t n, std::ptrdiff_t tile, const Parallel& parallel, const Body& body) {
  const std::ptrdiff_t runs = (n + tile - 1) / tile;
  parallel_for(runs * (runs + 1) / 2, parallel, [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
    for (std::ptrdiff_t p = begin; p < end; ++p) {
      auto row = static_cast<std::ptrdiff_t>((std::sqrt(8 * static_cast<double>(p) + 1) - 1) / 2);
      while (row * (row + 1) / 2 > p) --row;
      while ((row + 1) * (row + 2) / 2 <= p) ++row;
      const std::ptrdiff_t i = row * tile, j = (p - row * (row + 1) / 2) * tile;
      body(i, j, std::min(tile, n - i), std::min(tile, n - j));
    }
  });
}

}  // namespace nibble::rounding
