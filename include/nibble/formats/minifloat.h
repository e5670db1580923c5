// Small floating-point numbers: one template for FP8, FP6, FP4, their scales, half and bfloat16.
#pragma once

#include <bit>
#include <limits>

#include "nibble/formats/format.h"

namespace nibble::formats {

/// Which codes of a minifloat are not ordinary numbers.
enum class Special {
  Finite,  ///< none (OCP FP4 and FP6)
  Ieee,    ///< all-ones exponent: infinity where the mantissa is 0, else NaN
  Fn,      ///< all-ones magnitude is NaN; no infinity (OCP E4M3)
  Fnuz,    ///< the sign bit alone is NaN; no infinity, no negative zero
  Scale,   ///< all-ones is NaN; the others are powers of two: no zero, no subnormals (OCP E8M0)
};

enum class Sign { Signed, Unsigned };

/// What becomes of finite values beyond the largest: that value, or what the standard says: infinity, else NaN, else
/// that value; rounded toward zero, that value all the same (IEEE 754, 7.4). An infinity stays one where the format has
/// one, else becomes NaN, else the largest value.
enum class Overflow { Saturate, Standard };

/// How a value between two neighbours is rounded. Stochastic takes the upper one (in magnitude) with a probability
/// equal to the distance from the lower, decided by 32 random bits. Scales take ties up, as ml_dtypes does.
enum class RoundTo { NearestEven, NearestAway, Zero, Stochastic };

/// 2^exponent, exact, for -1022 <= exponent <= 1023.
constexpr double power_of_two(int exponent) {
  return std::bit_cast<double>(static_cast<std::uint64_t>(exponent + 1023) << 52);
}

/// E exponent bits, M mantissa bits, value 2^(e - Bias) * (1 + m / 2^M), subnormals below. A bias that is no integer is
/// an integer one under a scale. NaN encodes to NaN; where there is none, to the zero of the other sign, as ml_dtypes
/// does. In unsigned formats, finite negative values, and zeros where the format has none, encode to NaN (Standard) or
/// the smallest value (Saturate), -infinity to NaN; where there is no NaN, to 0. Sources: OCP OFP8 1.0; OCP MX 1.0;
/// IEEE 754; ml_dtypes for the FNUZ kinds.
template <int E, int M, int Bias = (1 << (E - 1)) - 1, Special S = Special::Ieee, Sign Sg = Sign::Signed>
struct MiniFloat {
  static_assert(E >= 1 && E <= 8 && M >= 0 && E + M <= 15, "E1..E8 exponent bits, 15 bits beside the sign at most");
  static_assert(S != Special::Scale || (M == 0 && Sg == Sign::Unsigned), "a scale has neither mantissa nor sign");
  static_assert(S != Special::Fnuz || Sg == Sign::Signed, "FNUZ puts its NaN in place of negative zero");

  static constexpr bool is_signed = Sg == Sign::Signed;
  static constexpr int bits = E + M + (is_signed ? 1 : 0);
  using code_type = CodeFor<bits>;
  static constexpr int exponent_bits = E;
  static constexpr int mantissa_bits = M;
  static constexpr int bias = Bias;
  static constexpr Special special = S;
  static constexpr bool has_infinity = S == Special::Ieee;
  static constexpr bool has_nan = S != Special::Finite && !(S == Special::Ieee && M == 0);

  static constexpr unsigned magnitude_mask = (1u << (E + M)) - 1;
  static constexpr unsigned sign_bit = is_signed ? 1u << (E + M) : 0;
  static constexpr unsigned infinity_code = ((1u << E) - 1) << M;
  /// The largest finite magnitude.
  static constexpr unsigned max_code = S == Special::Ieee                        ? infinity_code - 1
                                       : S == Special::Fn || S == Special::Scale ? magnitude_mask - 1
                                                                                 : magnitude_mask;
  /// Exponent of the smallest normal number.
  static constexpr int min_exponent = (S == Special::Scale ? 0 : 1) - Bias;
  static_assert(static_cast<int>(max_code >> M) - Bias <= 127 && min_exponent - M >= -149,
                "every value must be a float");

  static constexpr float decode(code_type code) {
    const unsigned magnitude = code & magnitude_mask;
    const bool negative = (code & sign_bit) != 0;
    if (S == Special::Fnuz ? code == sign_bit : has_nan && magnitude > (has_infinity ? infinity_code : max_code))
      return std::numeric_limits<float>::quiet_NaN();
    double value = std::numeric_limits<double>::infinity();
    if (!has_infinity || magnitude != infinity_code) {
      const int field = static_cast<int>(magnitude >> M);
      const unsigned fraction = magnitude & ((1u << M) - 1);
      const bool normal = field > 0 || S == Special::Scale;
      value = static_cast<double>(normal ? fraction + (1u << M) : fraction) *
              power_of_two((normal ? field - Bias : min_exponent) - M);
    }
    return static_cast<float>(negative ? -value : value);
  }

  static constexpr float max() { return decode(static_cast<code_type>(max_code)); }

  static constexpr code_type encode(float x) { return encode<Overflow::Saturate>(x); }

  /// The code of `x` under the given overflow and rounding rules; `random` decides stochastic rounding.
  template <Overflow O, RoundTo R = RoundTo::NearestEven>
  static constexpr code_type encode(float x, std::uint32_t random = 0) {
    constexpr std::uint32_t infinity = 0x7f800000u;
    const std::uint32_t word = std::bit_cast<std::uint32_t>(x);
    const bool negative = (word >> 31) != 0;
    const std::uint32_t magnitude = word & 0x7fffffffu;
    const unsigned sign = negative ? sign_bit : 0;
    if (magnitude > infinity) return nan(sign);
    if (!is_signed && (S == Special::Scale ? negative || magnitude == 0 : negative && magnitude != 0)) {
      const bool zero = !has_nan || (O == Overflow::Saturate && magnitude != infinity);
      return static_cast<code_type>(zero ? 0 : nan(0));
    }
    if (magnitude == infinity) return beyond(sign);
    const unsigned code = magnitude == 0 ? 0 : round<R>(magnitude, random);
    if (code > max_code) {
      if (O == Overflow::Saturate || R == RoundTo::Zero) return static_cast<code_type>(sign | max_code);
      return beyond(sign);
    }
    return static_cast<code_type>(S == Special::Fnuz && code == 0 ? 0 : sign | code);
  }

  static std::string name() {
    std::string n = text(is_signed ? "e" : "ue", E, "m", M);
    if (Bias != (1 << (E - 1)) - (S == Special::Fnuz ? 0 : 1)) n += text("b", Bias);
    return n + (S == Special::Fn ? "fn" : S == Special::Fnuz ? "fnuz" : S == Special::Ieee ? "ieee" : "");
  }

 private:
  /// What a NaN of the given sign becomes.
  static constexpr code_type nan(unsigned sign) {
    constexpr unsigned quiet = M > 0 ? 1u << (M > 0 ? M - 1 : 0) : 0;
    return static_cast<code_type>(!has_nan             ? sign_bit ^ sign
                                  : S == Special::Ieee ? sign | infinity_code | quiet
                                  : S == Special::Fnuz ? sign_bit
                                                       : sign | magnitude_mask);
  }

  /// What an infinity, or a value that overflows, becomes.
  static constexpr code_type beyond(unsigned sign) {
    return has_infinity ? static_cast<code_type>(sign | infinity_code)
           : has_nan    ? nan(sign)
                        : static_cast<code_type>(sign | max_code);
  }

  /// The magnitude code of the positive finite float whose bits are `word`, possibly beyond max_code.
  template <RoundTo R> static constexpr unsigned round(std::uint32_t word, std::uint32_t random) {
    // word = significand * 2^(exponent - 23), with the significand in [2^23, 2^24).
    int exponent = static_cast<int>(word >> 23) - 127;
    std::uint64_t significand = (word & 0x7fffffu) | 0x800000u;
    if (exponent == -127) {
      const int shift = std::countl_zero(word) - 8;
      significand = std::uint64_t{word} << shift;
      exponent = -126 - shift;
    }
    if (S == Special::Scale && exponent < min_exponent) return 0;
    const int quantum = exponent > min_exponent ? exponent : min_exponent;  // codes here are 2^(quantum - M) apart
    const int below = 23 - M + quantum - exponent;                          // bits below a step; at least 9
    const int shift = below < 63 ? below : 63;
    const std::uint64_t rest = significand & ((std::uint64_t{1} << shift) - 1);
    // A scale has no code for 0, so its codes are one lower.
    const unsigned code = (static_cast<unsigned>(quantum - min_exponent) << M) +
                          static_cast<unsigned>(significand >> shift) - (S == Special::Scale ? 1 : 0);
    if constexpr (R == RoundTo::Zero) return code;
    if constexpr (R == RoundTo::Stochastic) return code + ((rest << 32) >> shift > random ? 1 : 0);
    const std::uint64_t half = std::uint64_t{1} << (shift - 1);
    const bool tie_up = R == RoundTo::NearestAway || S == Special::Scale || (code & 1) != 0;
    return code + (rest > half || (rest == half && tie_up) ? 1 : 0);
  }
};

using E5M2 = MiniFloat<5, 2>;
using E4M3 = MiniFloat<4, 3>;
using E3M4 = MiniFloat<3, 4>;
using E4M3FN = MiniFloat<4, 3, 7, Special::Fn>;
using E5M2FNUZ = MiniFloat<5, 2, 16, Special::Fnuz>;
using E4M3FNUZ = MiniFloat<4, 3, 8, Special::Fnuz>;
using E4M3B11FNUZ = MiniFloat<4, 3, 11, Special::Fnuz>;
using E3M2 = MiniFloat<3, 2, 3, Special::Finite>;
using E2M3 = MiniFloat<2, 3, 1, Special::Finite>;
using E3M0 = MiniFloat<3, 0, 3, Special::Finite>;
using E2M1 = MiniFloat<2, 1, 1, Special::Finite>;
using E1M2 = MiniFloat<1, 2, 1, Special::Finite>;
using UE5M3 = MiniFloat<5, 3, 15, Special::Fn, Sign::Unsigned>;
using UE4M3 = MiniFloat<4, 3, 7, Special::Fn, Sign::Unsigned>;
using E8M0 = MiniFloat<8, 0, 127, Special::Scale, Sign::Unsigned>;
using Half = MiniFloat<5, 10>;
using BFloat16 = MiniFloat<8, 7>;

/// IEEE binary32 as it is.
struct Float32 {
  using code_type = std::uint32_t;
  static constexpr int bits = 32;
  static constexpr float max() { return std::numeric_limits<float>::max(); }
  static constexpr float decode(code_type code) { return std::bit_cast<float>(code); }
  static constexpr code_type encode(float x) { return std::bit_cast<code_type>(x); }
  static std::string name() { return "float"; }
};

}  // namespace nibble::formats
