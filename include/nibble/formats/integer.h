// Integers of 1 to 16 bits.
#pragma once

#include <cmath>

#include "nibble/formats/format.h"

namespace nibble::formats {

/// The integer nearest to `x`, ties to even. |x| must be below 2^22.
constexpr int nearest_even(float x) {
  // Adding 1.5 * 2^23 leaves no bits behind the point; the addition rounds as every addition does.
  const float shifted = x + 12582912.0f;
  return static_cast<int>(shifted - 12582912.0f);
}

/// x, but not below `low` or above `high`. NaN gives `low`.
constexpr float clamp(float x, float low, float high) {
  return x > high ? high : x > low ? x : low;
}

/// Signed integers from -(2^(B-1) - 1) to 2^(B-1) - 1, stored with an offset: code = value + 2^(B-1). Code 0 decodes to
/// -2^(B-1), which encode never chooses; for B = 1 the values are -1 and 0, and
/// half-way between them is 0.
template <int B> struct Int {
  static_assert(B >= 1 && B <= 16, "integers have 1 to 16 bits");
  using code_type = CodeFor<B>;
  static constexpr int bits = B;
  static constexpr int offset = 1 << (B - 1);
  static constexpr int largest = B == 1 ? 1 : offset - 1;

  static constexpr float max() { return static_cast<float>(largest); }
  static constexpr float decode(code_type code) { return static_cast<float>(static_cast<int>(code) - offset); }
  static constexpr code_type encode(float x) {
    return static_cast<code_type>(nearest_even(clamp(x, -max(), B == 1 ? 0 : max())) + offset);
  }
  static std::string name() { return text("int", B); }
};

/// All integers from -2^(B-1) to 2^(B-1) - 1, as Int<B> without its symmetry; max() is 2^(B-1), a magnitude that only
/// the negative side has.
template <int B>
  requires(B >= 2 && B <= 16)
struct FullInt {
  using code_type = CodeFor<B>;
  static constexpr int bits = B;
  static constexpr int offset = 1 << (B - 1);

  static constexpr float max() { return static_cast<float>(offset); }
  static constexpr float decode(code_type code) { return static_cast<float>(static_cast<int>(code) - offset); }
  static constexpr code_type encode(float x) {
    return static_cast<code_type>(nearest_even(clamp(x, -max(), max() - 1)) + offset);
  }
  static std::string name() { return text("fullint", B); }
};

/// Unsigned integers from 0 to 2^B - 1; the code is the value.
template <int B> struct UInt {
  static_assert(B >= 1 && B <= 16, "integers have 1 to 16 bits");
  using code_type = CodeFor<B>;
  static constexpr int bits = B;

  static constexpr float max() { return static_cast<float>((1 << B) - 1); }
  static constexpr float decode(code_type code) { return static_cast<float>(code); }
  static constexpr code_type encode(float x) { return static_cast<code_type>(nearest_even(clamp(x, 0, max()))); }
  static std::string name() { return text("uint", B); }
};

}  // namespace nibble::formats
