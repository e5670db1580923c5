// One of three values, alone or packed, or of two.
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

/// N numbers of -1, 0, 1 in one code, the first most significant: 3 in 5 bits (1.67 a number) or 5 in 8 (1.6). Codes
/// from 3^N on follow the same rule with a first number above 1, and are never chosen. Rounds as Ternary does.
/// Sources: Wang et al., "Bitnet.cpp", 2025 (TL2); ggml (TQ1_0).
template <int N>
  requires(N == 3 || N == 5)
struct PackedTernary {
  using code_type = std::uint8_t;
  static constexpr int bits = N == 3 ? 5 : 8;
  static constexpr int dim = N;
  static constexpr bool in_panels = true;

  static constexpr float max() { return 1; }
  static constexpr std::array<float, N> decode(code_type code) {
    std::array<float, N> x{};
    int rest = code;
    for (std::size_t i = N; i-- > 1; rest /= 3) x[i] = static_cast<float>(rest % 3 - 1);
    x[0] = static_cast<float>(rest - 1);
    return x;
  }
  static constexpr code_type encode(const std::array<float, N>& x) {
    int code = 0;
    for (float value : x) code = 3 * code + Ternary::encode(value);
    return static_cast<code_type>(code);
  }
  static std::string name() { return text("ternary", N, "in", bits); }
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
