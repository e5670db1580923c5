// The constants of casting float to and from a minifloat by integer operations and one addition a number.
#pragma once

#include "nibble/kernels/portable/cast.h"

namespace nibble::kernels {

/// How |x| becomes a magnitude code, in lanes of 32 bits.
///
/// Let q be the exponent of |x|, or that of the subnormals where it is less: codes near x are 2^(q - M) apart. Adding
/// 2^(q - M + 23) to |x| makes the float adder round to that step: the number of steps, k, appears in the lowest bits
/// of the sum, and the code is k + (q - min_exponent) 2^M. So with e = the exponent bits of max(|x|, smallest normal):
///
///     code = bits(|x| + e * factor) - e + (e >> shift)   (mod 2^16)
///
/// where factor is 2^shift with -min_exponent 2^M in its lowest bits, even, so that ties to even stay ties to even.
/// With M = 0 they are ties to the even code only if the whole sum is the code plus a constant, so `exact` plans put
/// e >> shift in too:
///
///     base = e + step;   magic = base + (e >> shift);   code = bits(|x| + float(magic)) - base - rebias
///
/// and scales, whose ties go up, add it at the end. Rounding away works on one more bit, toward zero: the code is
/// (that + 1) >> 1. Formats with the exponents of float itself are its upper bits, rounded as an integer.
///
/// |x| is first cut at `limit`: the largest value, or what follows it where overflow has a code of its own, which
/// always is max_code + 1. x is scaled by 2^lift where a format lies at the end of the range of floats; those with 8
/// exponent bits lie at both, so that their numbers from 2 on are divided by 2^drop instead.
template <class F, Overflow O, RoundTo R> struct EncodePlan {
  static constexpr int M = F::mantissa_bits;
  static constexpr bool is_scale = F::special == formats::Special::Scale;
  static constexpr bool away = R == RoundTo::NearestAway && !is_scale;
  static constexpr int precision = M + (away ? 1 : 0);
  static constexpr int shift = 23 - precision;
  static constexpr bool exact = M == 0 || away;

  static constexpr bool saturates = O == Overflow::Saturate || R == RoundTo::Zero;
  static constexpr bool finite = F::special == formats::Special::Finite;
  static constexpr std::uint32_t infinity = 0x7f800000;
  static constexpr std::uint32_t limit = [] {
    constexpr unsigned code = F::max_code + (saturates || finite ? 0 : 1);
    if ((code >> M) == 0) return std::bit_cast<std::uint32_t>(F::max());
    const int exponent = static_cast<int>(code >> M) - F::bias;
    if (exponent > 127) return infinity;
    const double fraction = static_cast<double>((code & ((1u << M) - 1)) + (1u << M));
    return std::bit_cast<std::uint32_t>(static_cast<float>(fraction * formats::power_of_two(exponent - M)));
  }();

  static constexpr bool as_float = F::exponent_bits == 8 && F::bias == 127 && !is_scale;
  static constexpr bool wide = F::exponent_bits == 8 && !as_float;
  static constexpr int max_exponent = static_cast<int>((F::max_code + 1) >> M) - F::bias;
  static constexpr int lift = [] {
    if (wide) return 64;
    if (as_float || (F::min_exponent >= -126 && max_exponent + 23 - M <= 127)) return 0;
    return -60 - F::min_exponent > -100 ? -60 - F::min_exponent : -100;
  }();
  static constexpr int drop = 32;
  static constexpr int min_field = F::min_exponent + lift + 127;

  static constexpr int rebias = (min_field << precision) + (is_scale ? 1 : 0);
  static constexpr std::uint32_t factor =
      static_cast<std::uint32_t>(127 + shift) << 23 | (static_cast<std::uint32_t>(-rebias) & 0xffff);
  static constexpr int step = (shift << 23) + (M == 0 && !is_scale ? rebias & 1 : 0);

  /// The bits of a magnitude code, or of what comes instead of one.
  static constexpr unsigned code_mask = F::magnitude_mask | (F::special == formats::Special::Fnuz ? F::sign_bit : 0);
  /// Whether NaN gets its code apart, whatever the steps above make of it.
  static constexpr bool sets_nan = (saturates && !finite) || !F::has_nan || F::has_infinity;
  /// Unsigned formats take a float whose bits, as an unsigned number, are at least this for a NaN.
  static constexpr std::uint32_t first_bad = O == Overflow::Saturate ? 0xff800000 : is_scale ? 0x80000000 : 0x80000001;
  static constexpr int nan_code = static_cast<int>(F::infinity_code | (M > 0 ? 1u << (M > 0 ? M - 1 : 0) : 0));
};

/// How a magnitude code becomes a float: its fields move to where a float has them, and the exponent is mended, of
/// subnormals by a subtraction or, where those are subnormal floats too, by a product. Scales are read as the code
/// above, whose bias is one higher.
template <class F> struct DecodePlan {
  static constexpr int M = F::mantissa_bits;
  static constexpr bool is_scale = F::special == formats::Special::Scale;
  static constexpr int bias = F::bias + (is_scale ? 1 : 0);
  static constexpr bool has_infinity = F::has_infinity;
  /// The smallest magnitude that is not finite.
  static constexpr int beyond = static_cast<int>(F::max_code) + 1;
};

}  // namespace nibble::kernels
