// Bipolar integers: every bit stands for -1 or 1.
#pragma once

#include "nibble/formats/integer.h"

namespace nibble::formats {

/// Sum over bits i of 2^i (2 b_i - 1) = 2 code - (2^B - 1): the odd integers from -(2^B - 1) to 2^B - 1, symmetric and
/// without 0. Products of two are sums of xor counts, as those of Binary, which has the values of Bipolar<1> but takes
/// 0 to 1, where this rounds it to -1 (the even code). NaN goes to the least value.
/// Source: Ma et al., "Efficient arbitrary precision acceleration for large language models on GPU tensor cores", 2024.
template <int B>
  requires(B >= 1 && B <= 8)
struct Bipolar {
  using code_type = std::uint8_t;
  static constexpr int bits = B;
  static constexpr int largest = (1 << B) - 1;

  static constexpr float max() { return static_cast<float>(largest); }
  static constexpr float decode(code_type code) { return static_cast<float>(2 * static_cast<int>(code) - largest); }
  static constexpr code_type encode(float x) {
    x = clamp(x, -max(), max());
    int below = static_cast<int>(x);
    if (x < static_cast<float>(below)) --below;
    const bool even = below % 2 == 0;
    int code = (below + (even ? 1 : 0) + largest) / 2;
    // An even integer lies half-way.
    if (even && x == static_cast<float>(below) && code % 2 != 0) --code;
    return static_cast<code_type>(code);
  }
  static std::string name() { return text("bipolar", B); }
};

}  // namespace nibble::formats
