// Products that hand the errors of rounded inputs on to later ones.
#pragma once

#include "nibble/kernels/targets.h"

namespace nibble::kernels {

/// targets[p][r] += sum of errors[q][r] * L(q, p) over from <= q < to, for the positions first <= p < last. `tile(p)` is
/// where the factors of tile p / tile_inputs start; `targets` begins with position `first`, `errors` with position 0.
/// Results depend neither on the instruction set nor on how a product is cut into several.
template <class TileOf, unsigned Baseline = isa::baseline>
void feed_back(Isa isa, const TileOf& tile, const float* errors, std::ptrdiff_t from, std::ptrdiff_t to,
               std::ptrdiff_t first, std::ptrdiff_t last, float* targets) {
  if (from >= to) return;
  dispatch(isa, [&](auto tag) {
    using Tile = FeedbackTile<decltype(tag)>;
    for (std::ptrdiff_t p = first; p < last;) {
      const float* const factor = tile(p) + from * tile_inputs + p % tile_inputs;
      float* const to_targets = targets + (p - first) * lane_rows;
      if (p % tile_inputs == 0 && p + tile_inputs <= last) {
        Tile::template run<static_cast<int>(tile_inputs)>(factor, errors + from * lane_rows, to - from, to_targets);
        p += tile_inputs;
      } else {
        Tile::template run<1>(factor, errors + from * lane_rows, to - from, to_targets);
        ++p;
      }
    }
  });
}

}  // namespace nibble::kernels
