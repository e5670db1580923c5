// Portable products that hand errors on to later inputs: the specification of every other path. The sums run over the
// depth in order and every step is one fma, so all instruction sets give the same bits.
#pragma once

#include <cmath>
#include <cstddef>

#include "nibble/core/isa.h"

namespace nibble::kernels {

/// Rows of weights that are rounded side by side, and inputs whose factors lie side by side.
inline constexpr std::ptrdiff_t lane_rows = 48, tile_inputs = 8;

/// targets[p][r] += sum over q < depth of errors[q][r] * factor[q][p], for r < lane_rows and p < Inputs. The rows of
/// `targets` and `errors` have lane_rows floats, those of `factor` are tile_inputs floats apart. Inputs is 1 or
/// tile_inputs. `targets` and `errors` start on cache lines; nothing overlaps.
template <class Tag> struct FeedbackTile {
  template <int Inputs>
  static void run(const float* factor, const float* errors, std::ptrdiff_t depth, float* targets) {
    for (int p = 0; p < Inputs; ++p)
      for (std::ptrdiff_t q = 0; q < depth; ++q)
        for (std::ptrdiff_t r = 0; r < lane_rows; ++r)
          targets[p * lane_rows + r] =
              std::fma(errors[q * lane_rows + r], factor[q * tile_inputs + p], targets[p * lane_rows + r]);
  }
};

}  // namespace nibble::kernels
