// Posits: a run of equal bits, the regime, says how the rest of the code is shared out.
#pragma once

#include <bit>
#include <limits>

#include "nibble/formats/minifloat.h"

namespace nibble::formats {

/// Posit of N bits, es = 2: sign, regime k (a run of equal bits and its end), 2 exponent bits e, fraction f; value
/// (1 + f) * 2^(4 k + e); negative values are the two's complement. Code 2^(N-1) is NaR, which decodes to NaN, and NaN
/// and infinities encode to. Rounds the code as a string of bits, ties to even, so that between values whose exponents
/// differ by more than 1 the boundary is not the middle; nothing but 0 rounds to 0, and nothing finite to NaR. Source:
/// Standard for Posit Arithmetic (2022).
template <int N>
  requires(N >= 3 && N <= 16)
struct Posit {
  using code_type = CodeFor<N>;
  static constexpr int bits = N;
  static constexpr bool has_nan = true;
  static constexpr bool has_infinity = false;
  static constexpr unsigned nar_code = 1u << (N - 1);
  static constexpr unsigned max_code = nar_code - 1;
  static constexpr int max_exponent = 4 * (N - 2);

  static constexpr float max() { return static_cast<float>(power_of_two(max_exponent)); }
  /// Where the shortest regimes, and so the longest fractions, end.
  static constexpr float reach() { return 16; }

  static constexpr float decode(code_type code) {
    if (code == 0) return 0;
    if (code == nar_code) return std::numeric_limits<float>::quiet_NaN();
    const bool negative = (code & nar_code) != 0;
    // The magnitude's bits below the sign, at the top of a word.
    std::uint32_t word = (negative ? -std::uint32_t{code} : std::uint32_t{code}) << (33 - N);
    const bool ones = word >> 31 != 0;
    const int run = ones ? std::countl_one(word) : std::countl_zero(word);
    const int regime = ones ? run - 1 : -run;
    word = word << run << 1;
    const int exponent = 4 * regime + static_cast<int>(word >> 30);
    const double significand = 1 + static_cast<double>(word << 2) * power_of_two(-32);
    const double value = significand * power_of_two(exponent);
    return static_cast<float>(negative ? -value : value);
  }

  static constexpr code_type encode(float x) {
    if (x == 0) return 0;
    // As a double, x is normal.
    const std::uint64_t word = std::bit_cast<std::uint64_t>(static_cast<double>(x));
    const bool negative = word >> 63 != 0;
    const int exponent = static_cast<int>(word >> 52 & 0x7ff) - 1023;
    if (exponent == 1024) return nar_code;
    unsigned code = 0;
    if (exponent >= max_exponent) {
      code = max_code;
    } else if (exponent < -max_exponent) {
      code = 1;
    } else {
      // Sign 0, regime, exponent, fraction of 23 bits: at most 2 + (N - 2) + 2 + 23 bits.
      const int regime = exponent >> 2;
      const std::uint64_t run = regime >= 0 ? (std::uint64_t{2} << (regime + 1)) - 2 : 1;
      const int run_bits = regime >= 0 ? regime + 2 : 1 - regime;
      const std::uint64_t tail = static_cast<std::uint64_t>(exponent & 3) << 23 | (word >> 29 & 0x7fffff);
      const std::uint64_t all = run << 25 | tail;
      const int shift = run_bits + 25 - (N - 1);
      const std::uint64_t rest = all & ((std::uint64_t{1} << shift) - 1);
      const std::uint64_t half = std::uint64_t{1} << (shift - 1);
      code = static_cast<unsigned>(all >> shift);
      if (rest > half || (rest == half && (code & 1) != 0)) ++code;
      if (code == 0) code = 1;
    }
    return static_cast<code_type>((negative ? 0u - code : code) & (2 * nar_code - 1));
  }

  static std::string name() { return text("posit", N); }
};

using Posit8 = Posit<8>;
using Posit16 = Posit<16>;

}  // namespace nibble::formats
