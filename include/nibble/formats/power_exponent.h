// Power-exponent grids: uniform steps of |x|^a.
#pragma once

#include <numeric>

#include "nibble/formats/level_table.h"

namespace nibble::formats {

constexpr double integer_power(double x, int n) {
  double power = 1;
  for (int i = 0; i < n; ++i) power *= x;
  return power;
}

/// The n-th root of x in (0, 1], by Newton's method from above; accurate to a few units in the last place.
constexpr double integer_root(double x, int n) {
  double root = 1;
  for (;;) {
    const double next = ((n - 1) * root + x / integer_power(root, n - 1)) / n;
    if (!(next < root)) return root;
    root = next;
  }
}

template <int B, int Num, int Den>
inline constexpr LevelTable power_exponent_table = [] {
  constexpr int top = (1 << (B - 1)) - 1;
  std::array<float, top> positive{};
  for (int i = 1; i <= top; ++i) {
    const double part = integer_root(static_cast<double>(i) / top, Num);
    positive[static_cast<std::size_t>(i - 1)] = static_cast<float>(top * integer_power(part, Den));
  }
  return symmetric_table(positive);
}();

/// The values whose powers sign(x) |x|^(Num/Den) are equally far apart: with t = 2^(B-1) - 1, they are
/// +-t (i / t)^(Den/Num), i = 0 .. t. Exponent 1 is Int<B>; lower ones are denser near 0. Codes are those of Int<B>.
/// Rounds to the nearest value, not to the nearest power as the paper does. The exponent is chosen among several such
/// formats by least error. Source: Yvinec et al., "NUPES: non-uniform post-training quantization via power exponent
/// search", 2023.
template <int B, int Num, int Den>
  requires(B >= 2 && B <= 8 && Num >= 1 && Num <= 64 && Den >= 1 && Den <= 64 && Den <= 8 * Num &&
           std::gcd(Num, Den) == 1)
struct PowerExponent : TableFormat<power_exponent_table<B, Num, Den>> {
  static std::string name() { return text("power", B, "_", Num, "_", Den); }
};

}  // namespace nibble::formats
