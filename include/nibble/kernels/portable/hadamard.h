// Portable fast Walsh-Hadamard transform: the specification of every other path. Which numbers are added, and in which
// order, is the same on all instruction sets, and so are the bits of the result.
#pragma once

#include <cstddef>

#include "nibble/core/isa.h"

namespace nibble::kernels {

/// out[i] = scale * sum over j of (-1)^popcount(i & j) in[j], for i and j in [0, 2^steps). Step s takes the elements in
/// pairs that are 2^s apart, for s = 0, 1, ..., and turns each pair (a, b) into (a + b, a - b); the last one multiplies
/// by `scale` too. `out` is `in` or does not overlap it.
template <class Tag> struct HadamardColumn {
  static void run(const float* in, float* out, int steps, float scale) {
    const std::ptrdiff_t n = std::ptrdiff_t{1} << steps;
    if (n == 1) {
      out[0] = in[0] * scale;
    } else if (n <= 4096) {
      for (std::ptrdiff_t i = 0; i < n; ++i) out[i] = in[i];
      for (std::ptrdiff_t h = 1; h < n / 2; h *= 2)
        for (std::ptrdiff_t i = 0; i < n; i += 2 * h) pairs(out + i, h, 1);
      pairs(out, n / 2, scale);
    } else {  // half by half, so that most steps stay in the caches
      run(in, out, steps - 1, 1);
      run(in + n / 2, out + n / 2, steps - 1, 1);
      pairs(out, n / 2, scale);
    }
  }

 private:
  static void pairs(float* x, std::ptrdiff_t h, float scale) {
    for (std::ptrdiff_t i = 0; i < h; ++i) {
      const float a = x[i], b = x[i + h];
      x[i] = (a + b) * scale;
      x[i + h] = (a - b) * scale;
    }
  }
};

}  // namespace nibble::kernels
