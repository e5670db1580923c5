// MxScale: the ways to choose the power of two of a block.
#pragma once

#include <bit>

#include "nibble/formats/levels.h"
#include "nibble/quantize/scale_rule.h"

namespace nibble {

/// How the scale 2^e of a block with the largest magnitude m follows, for elements whose largest value `top` lies in
/// [2^t, 2^(t + 1)).
enum class MxMode {
  Floor,    ///< e = floor(log2 m) - t: OCP MX 1.0, section 6.3. Clips what rounds beyond `top`.
  Ceil,     ///< e = ceil(log2 m) - t
  Even,     ///< as Floor, for m rounded to the mantissa of the elements, halves up
  RoundUp,  ///< the least e with m <= top 2^e: never clips
};

/// The scales of schemes that store powers of two (E8M0), by `mode`. e is kept within -127 .. 127; a float subnormal
/// counts as 2^-127, as torchao reads exponents. Source: torchao's ScaleCalculationMode (FLOOR, CEIL, EVEN, RCEIL).
struct MxScale {
  MxMode mode = MxMode::Floor;

  template <class S>
    requires(std::same_as<typename S::scale::format, formats::E8M0> && !S::has_super && !S::affine && S::dim == 1 &&
             S::table_size == 0)
  GroupParams<S>
  operator()(const WeightGroup& group, const Quantizer<S>& quantizer) const {
    const float reach = AbsMax::range(group.weights).reach();
    const int e = exponent(reach, quantizer.top(), mantissa_bits<typename S::format>(quantizer.side.choice));
    return quantizer.with_scale(static_cast<typename S::scale_code>(e + formats::E8M0::bias));
  }

  /// The exponent of the scale for a block that reaches `reach`.
  int exponent(float reach, float top, int mantissa) const {
    constexpr int least = -127, most = 127;
    const int t = std::ilogb(top);
    auto word = std::bit_cast<std::uint32_t>(reach);
    int e = least;
    if (mode == MxMode::RoundUp) {
      if (reach > 0) e = std::ilogb(reach) - t;
      if (reach > 0 && static_cast<double>(reach) > std::ldexp(static_cast<double>(top), e)) ++e;
    } else {
      if (mode == MxMode::Even) word += std::uint32_t{1} << (22 - mantissa);
      e = static_cast<int>(word >> 23) - 127 - t;
      if (mode == MxMode::Ceil && (word & 0x7fffffu) != 0) ++e;
    }
    return e < least ? least : e > most ? most : e;
  }

  /// The mantissa bits of F at its largest values: log2 of how many there are from the last power of two on, rounded
  /// up.
  template <Format F> static int mantissa_bits(int choice = 0) {
    static const std::vector<int> all = [] {
      std::vector<int> bits;
      for (int c = 0; c < choices_of<F>; ++c) {
        const float power = std::ldexp(1.0f, std::ilogb(max_of<F>(c)));
        unsigned count = 0;
        for (const auto& level : make_levels<F>({nullptr, c})) count += level.value >= power;
        bits.push_back(static_cast<int>(std::bit_width(count - 1)));
      }
      return bits;
    }();
    return all[static_cast<std::size_t>(choice)];
  }
};

}  // namespace nibble
