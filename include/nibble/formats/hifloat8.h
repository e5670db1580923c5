// HiFloat8: a tapered 8-bit float, more mantissa near 1.
#pragma once

#include <bit>
#include <limits>

#include "nibble/formats/minifloat.h"

namespace nibble::formats {

/// Sign, dot (how many exponent bits follow), exponent E as its sign and its magnitude without the leading 1, mantissa:
///     |E|         dot      exponent bits   mantissa bits
///     8 .. 15     11       4               1
///     4 .. 7      10       3               2
///     2, 3        01       2               3
///     1           001      1               3
///     0           0001     0               3
///     denormal    0000     0               3: 2^(m - 23), m = 1 .. 7; 0 for m = 0
/// Code 0x80 is NaN (there is no -0); 0x6f and 0xef, which would be +-1.5 * 2^15, are infinities. Rounds to nearest,
/// halfway away from zero. Source: Luo et al., "Ascend HiFloat8 format for deep learning", 2024.
struct HiFloat8 {
  using code_type = std::uint8_t;
  static constexpr int bits = 8;
  static constexpr bool has_nan = true;
  static constexpr bool has_infinity = true;
  static constexpr unsigned max_code = 0x6e;  // the code of the largest value, not the largest code
  static constexpr unsigned infinity_code = 0x6f;
  static constexpr unsigned nan_code = 0x80;

  static constexpr float max() { return 0x1p15f; }
  /// The largest value with 3 bits of mantissa.
  static constexpr float reach() { return 15; }

  static constexpr float decode(code_type code) {
    const unsigned magnitude = code & 0x7f;
    if (code == nan_code) return std::numeric_limits<float>::quiet_NaN();
    double value = 0;
    if (magnitude == infinity_code) {
      value = std::numeric_limits<double>::infinity();
    } else if (magnitude < 8) {
      value = magnitude == 0 ? 0 : power_of_two(static_cast<int>(magnitude) - 23);
    } else {
      const int exponent_bits = magnitude >= 32 ? static_cast<int>(magnitude >> 5) + 1 : magnitude >= 16 ? 1 : 0;
      const int mantissa_bits = mantissa_bits_of(exponent_bits);
      int exponent = 0;
      if (exponent_bits > 0) {
        const unsigned top = 1u << (exponent_bits - 1);
        const unsigned field = magnitude >> mantissa_bits;
        exponent = static_cast<int>(top | (field & (top - 1)));
        if ((field & top) != 0) exponent = -exponent;
      }
      const unsigned steps = 1u << mantissa_bits;
      value = static_cast<double>(steps + (magnitude & (steps - 1))) * power_of_two(exponent - mantissa_bits);
    }
    return static_cast<float>((code & 0x80) != 0 ? -value : value);
  }

  static constexpr code_type encode(float x) { return encode<Overflow::Saturate>(x); }

  /// |x| >= 40960 is an overflow: the largest value, or infinity as the standard says.
  template <Overflow O> static constexpr code_type encode(float x) {
    if (x != x) return nan_code;
    const bool negative = x < 0;
    const float magnitude = negative ? -x : x;
    unsigned code = magnitude_code(magnitude);
    if (O == Overflow::Saturate && code == infinity_code && magnitude <= std::numeric_limits<float>::max())
      code = max_code;
    return static_cast<code_type>(negative && code != 0 ? code | 0x80 : code);
  }

  static std::string name() { return "hif8"; }

 private:
  /// Mantissa bits beside `exponent_bits` bits of exponent.
  static constexpr int mantissa_bits_of(int exponent_bits) { return exponent_bits < 3 ? 3 : 5 - exponent_bits; }

  /// The code of x >= 0, infinity_code where it overflows.
  static constexpr unsigned magnitude_code(float x) {
    if (x < 0x1p-23f) return 0;
    if (x < 0x1p-22f) return 1;
    if (x >= 40960) return infinity_code;
    std::uint32_t word = std::bit_cast<std::uint32_t>(x);
    const auto exponent_of = [](std::uint32_t w) { return static_cast<int>(w >> 23) - 127; };
    const auto exponent_bits_of = [](int e) {
      return static_cast<int>(std::bit_width(static_cast<unsigned>(e < 0 ? -e : e)));
    };
    const int before = exponent_of(word);
    word += 1u << (22 - (before < -15 ? 0 : mantissa_bits_of(exponent_bits_of(before))));
    const int exponent = exponent_of(word);
    if (exponent < -15) return static_cast<unsigned>(exponent + 23);
    const int exponent_bits = exponent_bits_of(exponent);
    const int mantissa_bits = mantissa_bits_of(exponent_bits);
    const unsigned mantissa = (word & 0x7fffffu) >> (23 - mantissa_bits);
    if (exponent_bits == 0) return 8 | mantissa;
    const unsigned top = 1u << (exponent_bits - 1);
    const unsigned field =
        (exponent < 0 ? top : 0) | (static_cast<unsigned>(exponent < 0 ? -exponent : exponent) - top);
    const unsigned dot = exponent_bits == 1 ? 0x10 : static_cast<unsigned>(exponent_bits - 1) << 5;
    return dot | field << mantissa_bits | mantissa;
  }
};

}  // namespace nibble::formats
