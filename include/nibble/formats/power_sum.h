// Fixed-point values that are sums of few signed powers of two: products without a multiplier.
#pragma once

#include "nibble/formats/level_table.h"
#include "nibble/formats/minifloat.h"

namespace nibble::formats {

/// sign * 2^exponent; sign is -1, 1, or 0 for none.
struct SignedPower {
  int sign = 0;
  int exponent = 0;
  friend constexpr bool operator==(const SignedPower&, const SignedPower&) = default;
};

/// The least number of signed powers of two that add up to n >= 0: the digits of its non-adjacent form.
constexpr int least_powers(std::uint32_t n) {
  return std::popcount(n ^ (3 * n));
}

/// The integers from 1 to 2^(B-1) - 1 that are sums of at most N signed powers of two, ascending.
template <int B, int N> struct PowerSums {
  std::array<std::uint32_t, std::size_t{1} << (B - 1)> values{};
  std::size_t count = 0;

  constexpr PowerSums() {
    // In the non-adjacent form, digits below one at p stand at p - 2 and lower: a start of the list found so far.
    std::array<std::size_t, B> found{};
    for (std::size_t p = 0; p < B; ++p) {
      const std::uint32_t top = std::uint32_t{1} << p;
      const std::size_t rest = p >= 2 ? found[p - 2] : 0;
      for (std::size_t i = rest; i > 0; --i)
        if (least_powers(values[i - 1]) < N) values[count++] = top - values[i - 1];
      if (p == B - 1) break;
      values[count++] = top;
      for (std::size_t i = 0; i < rest; ++i)
        if (least_powers(values[i]) < N) values[count++] = top + values[i];
      found[p] = count;
    }
  }
};

template <int B, int P, int N>
inline constexpr LevelTable power_sum_table = [] {
  constexpr PowerSums<B, N> sums;
  std::array<float, sums.count> positive{};
  for (std::size_t i = 0; i < sums.count; ++i) positive[i] = static_cast<float>(sums.values[i] * power_of_two(-P));
  return symmetric_table(positive);
}();

/// The values of Fixed<B, P> that are sums of at most N signed powers of two, in as few bits as number them: `bits` is
/// often below B. Codes ascend with values, and 2^(bits-1) stands for 0. Source: QFX (multiplier-free quantization).
template <int B, int P, int N>
  requires(B >= 2 && B <= 16 && P >= -100 && P <= 126 && N >= 1 && N <= 8)
struct PowerSum : TableFormat<power_sum_table<B, P, N>> {
  using typename TableFormat<power_sum_table<B, P, N>>::code_type;

  /// Signed powers of two that add up to decode(code), greatest first; what is left over has sign 0.
  static constexpr std::array<SignedPower, N> terms(code_type code) {
    const float value = PowerSum::decode(code);
    const int sign = value < 0 ? -1 : 1;
    const auto n = static_cast<std::uint32_t>(sign * static_cast<double>(value) * power_of_two(P));
    // Non-adjacent form: positive digits are the bits of 3n that n lacks, negative ones those of n that 3n lacks.
    std::array<SignedPower, N> out{};
    std::size_t at = 0;
    for (int i = B; i >= 1; --i) {
      const int digit = static_cast<int>(3 * n >> i & 1) - static_cast<int>(n >> i & 1);
      if (digit != 0) out[at++] = {sign * digit, i - 1 - P};
    }
    return out;
  }

  static std::string name() { return text("powers", B, "p", P, "n", N); }
};

}  // namespace nibble::formats
