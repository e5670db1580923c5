// One of three values, or of two.
#pragma once

#include "nibble/formats/format.h"

namespace nibble::formats {

/// -1, 0, 1 in two bits: code = value + 1. Code 3 would be 2 and is never chosen. |x| = 1/2 and NaN go to 0 and -1.
struct Ternary {
  using code_type = std::uint8_t;
  static constexpr int bits = 2;

  static constexpr float max() { return 1; }
  static constexpr float decode(code_type code) { return static_cast<float>(code) - 1; }
  static constexpr code_type encode(float x) { return x > 0.5f ? 2 : x >= -0.5f ? 1 : 0; }
  static std::string name() { return "ternary"; }
};

/// -1 and 1 in one bit: code 1 is 1. Zeros of either sign go to 1, NaN to -1.
/// Source: Courbariaux et al., "BinaryConnect", 2015 (deterministic binarization).
struct Binary {
  using code_type = std::uint8_t;
  static constexpr int bits = 1;

  static constexpr float max() { return 1; }
  static constexpr float decode(code_type code) { return code != 0 ? 1.0f : -1.0f; }
  static constexpr code_type encode(float x) { return x >= 0 ? 1 : 0; }
  static std::string name() { return "binary"; }
};

}  // namespace nibble::formats
