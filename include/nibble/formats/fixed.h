// Fixed point.
#pragma once

#include "nibble/formats/integer.h"
#include "nibble/formats/minifloat.h"

namespace nibble::formats {

/// Int<B> over 2^P: B bits, P of them behind the binary point (P may lie beyond both ends). Codes are those of Int<B>.
/// Fixed<8, 6> is the element of OCP MXINT8 with -2 unused. Sources: OCP MX 1.0; QFX (fixed point with a chosen point).
template <int B, int P>
  requires(B >= 2 && B <= 16 && P >= -100 && P <= 126)
struct Fixed {
  using code_type = typename Int<B>::code_type;
  static constexpr int bits = B;
  static constexpr float unit = static_cast<float>(power_of_two(-P));

  static constexpr float max() { return Int<B>::max() * unit; }
  static constexpr float decode(code_type code) { return Int<B>::decode(code) * unit; }
  static constexpr code_type encode(float x) { return Int<B>::encode(x * static_cast<float>(power_of_two(P))); }
  static std::string name() { return text("fixed", B, "p", P); }
};

}  // namespace nibble::formats
