// Products of rows that lie side by side: what the column solver and the sums of second moments are made of.
#pragma once

#include "nibble/kernels/targets.h"

namespace nibble::kernels {

/// targets[p][r] += sum of errors[q][r] * F(q, p) over from <= q < to, for the positions first <= p < last. `tile(p)`
/// is where the factors of the lane_cols columns around p start, [q][p % lane_cols]; `targets` begins with position
/// `first`, `errors` with position 0. Results depend neither on the instruction set nor on how a product is cut into
/// several.
template <class TileOf, unsigned Baseline = isa::baseline>
void feed_back(Isa isa, const TileOf& tile, const float* errors, std::ptrdiff_t from, std::ptrdiff_t to,
               std::ptrdiff_t first, std::ptrdiff_t last, float* targets) {
  if (from >= to) return;
  dispatch(isa, [&](auto tag) {
    using Tile = LaneProduct<decltype(tag)>;
    for (std::ptrdiff_t p = first; p < last;) {
      const float* const factor = tile(p) + from * lane_cols + p % lane_cols;
      float* const to_targets = targets + (p - first) * lane_rows;
      if (p % lane_cols == 0 && p + lane_cols <= last) {
        Tile::template run<static_cast<int>(lane_cols)>(factor, errors + from * lane_rows, to - from, to_targets);
        p += lane_cols;
      } else {
        Tile::template run<1>(factor, errors + from * lane_rows, to - from, to_targets);
        ++p;
      }
    }
  });
}

}  // namespace nibble::kernels
