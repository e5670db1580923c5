// Logarithms of values in [0, 1].
#pragma once

#include "nibble/formats/power_of_two.h"

namespace nibble::formats {

/// 2^-code, for values in [0, 1] such as those of a softmax. Rounds to the nearest value (not the nearest logarithm),
/// ties to the even code; what is not above 0, and NaN, goes to the smallest, 2^-(2^B - 1). Source: Li et al.,
/// "RepQuant", 2024.
template <int B>
  requires(B >= 1 && B <= 7)
struct Log2 {
  using code_type = std::uint8_t;
  static constexpr int bits = B;
  static constexpr int max_code = (1 << B) - 1;

  static constexpr float max() { return 1; }
  static constexpr float decode(code_type code) { return static_cast<float>(power_of_two(-static_cast<int>(code))); }
  static constexpr code_type encode(float x) {
    if (!(x > 0)) return max_code;
    // From -max_code - 1, which is even, so that ties go to even codes; that exponent itself is never needed.
    const int exponent = nearest_exponent(x, -max_code - 1, 0);
    return static_cast<code_type>(-exponent < max_code ? -exponent : max_code);
  }
  static std::string name() { return text("log2u", B); }
};

}  // namespace nibble::formats
