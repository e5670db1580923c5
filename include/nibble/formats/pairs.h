// Two numbers of 11 levels in 7 bits.
#pragma once

#include "nibble/formats/integer.h"

namespace nibble::formats {

/// Pairs (a, b) of integers from -5 to 5, 3.5 bits a number: code = 11 (a + 5) + (b + 5). Codes 121 to 127 follow the
/// same rule, with a = 6, and are never chosen. Ties go to even numbers, NaN to -5. Source: Inferflow's 3.5-bit
/// quantization.
struct Pair11 {
  using code_type = std::uint8_t;
  static constexpr int bits = 7;
  static constexpr int dim = 2;

  static constexpr float max() { return 5; }
  static constexpr std::array<float, 2> decode(code_type code) {
    return {static_cast<float>(code / 11 - 5), static_cast<float>(code % 11 - 5)};
  }
  static constexpr code_type encode(const std::array<float, 2>& x) {
    return static_cast<code_type>(11 * level(x[0]) + level(x[1]));
  }
  static std::string name() { return "pair11"; }

 private:
  static constexpr int level(float x) { return nearest_even(clamp(x, -5, 5)) + 5; }
};

}  // namespace nibble::formats
