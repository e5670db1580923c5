// Signed powers of two, with zero and without, and sums of them.
#pragma once

#include <algorithm>

#include "nibble/formats/level_table.h"
#include "nibble/formats/minifloat.h"

namespace nibble::formats {

/// The e in [low, high] whose 2^e is nearest to |x|; halfway, the one with e - low even. NaN gives `high`.
constexpr int nearest_exponent(float x, int low, int high) {
  const std::uint64_t word = std::bit_cast<std::uint64_t>(static_cast<double>(x));
  int exponent = static_cast<int>(word >> 52 & 0x7ff) - 1023;
  const std::uint64_t fraction = word & ((std::uint64_t{1} << 52) - 1);
  constexpr std::uint64_t half = std::uint64_t{1} << 51;
  if (fraction > half || (fraction == half && (exponent - low) % 2 != 0)) ++exponent;
  return exponent < low ? low : exponent > high ? high : exponent;
}

/// 0 and +-2^e, e = 0 .. 2^(B-1) - 2: a minifloat of exponent bits only. Code: sign bit, then 0 for zero or e + 1.
template <int B>
  requires(B >= 2 && B <= 8)
using PowerOfTwo = MiniFloat<B - 1, 0, 1, Special::Finite>;

/// +-2^e, e = 0 .. 2^(B-1) - 1: zero-free. Code: sign bit, then e. Zero goes to 1, NaN to the largest. Source: Li et
/// al., "DenseShift: towards accurate and efficient low-bit power-of-two quantization", ICCV 2023.
template <int B>
  requires(B >= 1 && B <= 8)
struct DenseShift {
  using code_type = std::uint8_t;
  static constexpr int bits = B;
  static constexpr unsigned sign_bit = 1u << (B - 1);
  static constexpr int max_exponent = static_cast<int>(sign_bit) - 1;

  static constexpr float max() { return static_cast<float>(power_of_two(max_exponent)); }
  static constexpr int exponent(code_type code) { return static_cast<int>(code & (sign_bit - 1)); }
  static constexpr float decode(code_type code) {
    const double magnitude = power_of_two(exponent(code));
    return static_cast<float>((code & sign_bit) != 0 ? -magnitude : magnitude);
  }
  static constexpr code_type encode(float x) {
    const unsigned sign = x < 0 ? sign_bit : 0;
    return static_cast<code_type>(sign | static_cast<unsigned>(nearest_exponent(x, 0, max_exponent)));
  }
  static std::string name() { return text("shift", B); }
};

/// The positive levels of AdditivePowers, ascending.
template <int B, int K> constexpr auto make_additive_levels() {
  constexpr int terms = (B - 1) / K;
  constexpr int rounds = (1 << K) - 1;
  constexpr int spare = (B - 1) % K;
  constexpr int powers = terms * rounds + spare;
  static_assert(spare <= 1 && powers <= 24, "terms of K bits and at most one of 1 bit, spanning 24 bits");
  std::array<float, (std::size_t{1} << (B - 1)) - 1> levels{};
  for (std::size_t code = 1; code <= levels.size(); ++code) {
    double sum = 0;
    for (int t = 0; t < terms; ++t) {
      const int round = static_cast<int>(code >> (t * K) & rounds) - 1;
      if (round < 0) continue;
      const int power = round * terms + t + (round + 1 == rounds ? spare : 0);
      sum += power_of_two(powers - 1 - power);
    }
    if (spare != 0 && (code >> (terms * K) & 1) != 0) sum += power_of_two(terms);
    levels[code - 1] = static_cast<float>(sum);
  }
  std::sort(levels.begin(), levels.end());
  return levels;
}

template <int B, int K> inline constexpr LevelTable additive_table = symmetric_table(make_additive_levels<B, K>());

/// Additive powers of two: +- a sum of n = (B - 1) / K terms, term i being 0 or one of 2^-i, 2^-(i+n), 2^-(i+2n), ...
/// (2^K - 1 of them), all times the power of two that makes the least of them 1. Where one bit is left over, one more
/// term, of one power, comes before the last round: with K = 2 and 4 bits {0, 8, 4, 1} + {0, 2}, as in the authors'
/// code. Codes ascend with values, 2^(B-1) stands for 0, code 0 is not chosen. Source: Li et al., "Additive
/// powers-of-two quantization", ICLR 2020.
template <int B, int K = 2>
  requires(B >= 3 && B <= 8 && K >= 1 && K < B)
struct AdditivePowers : TableFormat<additive_table<B, K>> {
  static std::string name() { return text("apot", B, "k", K); }
};

}  // namespace nibble::formats
