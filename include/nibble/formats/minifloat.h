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
/// equal to the distance from the lower, decided by 32 random bits.
enum class RoundTo { NearestEven, NearestAway, Zero, Stochastic };

/// 2^exponent, exact, for -1022 <= exponent <= 1023.
constexpr double power_of_two(int exponent) {
  return std::bit_cast<double>(static_cast<std::uint64_t>(exponent + 1023) << 52);
}

/// E exponent bits, M mantissa bits, value 2^(e - Bias) * (1 + m / 2^M), subnormals below. In unsigned formats, finite
/// negative values, and zeros where the format has none, encode to NaN (Standard) or the smallest value (Saturate). NaN
/// encodes to NaN; where there is none, to negative zero, or to 0 if its sign is set, as ml_dtypes does. Sources: OCP
/// OFP8 1.0; OCP MX 1.0; IEEE 754; ml_dtypes for the FNUZ kinds.
template <int E, int M, int Bias = (1 << (E - 1)) - 1, Special S = Special::Ieee, Sign Sg = Sign::Signed>
struct MiniFloat {
  static_assert(E >= 1 && E <= 8 && M >= 0 && E + M <= 15, "E1..E8 exponent bits, 15 bits beside the sign at most");
  static_assert(S != Special::Scale || (M == 0 && Sg == Sign::Unsigned), "a scale has neither mantissa nor sign");
  static_assert((1 << E) - 1 - Bias - (S == Special::Ieee || (M == 0 && S != Special::Finite)) <= 127 &&
                    -Bias - M >= -149,
                "every value must be a float");
  static_assert(S != Special::Fnuz || Sg == Sign::Signed, "FNUZ puts its NaN in place of negative zero");

  static constexpr bool is_signed = Sg == Sign::Signed;
  static constexpr int bits = E + M + (is_signed ? 1 : 0);
  using code_type = CodeFor<bits>;
  static constexpr int exponent_bits = E;
  static constexpr int mantissa_bits = M;
  static constexpr int bias = Bias;
  static constexpr Special special = S;

  static constexpr unsigned magnitude_mask = (1u << (E + M)) - 1;
  static constexpr unsigned sign_bit = is_signed ? 1u << (E + M) : 0;
  /// Exponent of the smallest normal number.
  static constexpr int min_exponent = (S == Special::Scale ? 0 : 1) - Bias;
  static constexpr bool has_infinity = S == Special::Ieee;
  static constexpr bool has_nan = S != Special::Finite && !(S == Special::Ieee && M == 0);
  static constexpr unsigned infinity_code = ((1u << E) - 1) << M;
  static constexpr unsigned nan_code = S == Special::Ieee   ? infinity_code | (M > 0 ? 1u << (M > 0 ? M - 1 : 0) : 0)
                                       : S == Special::Fnuz ? sign_bit
                                       : has_nan            ? magnitude_mask
                                                            : sign_bit;
  static constexpr unsigned max_code = S == Special::Ieee                        ? infinity_code - 1
                                       : S == Special::Fn || S == Special::Scale ? magnitude_mask - 1
                                                                                 : magnitude_mask;

  static constexpr float decode(code_type code) {
    const unsigned magnitude = code & magnitude_mask;
    const bool negative = (code & sign_bit) != 0;
    if (S == Special::Fnuz ? code == sign_bit : has_nan && magnitude > (has_infinity ? infinity_code : max_code))
      return std::numeric_limits<float>::quiet_NaN();
    double value = 0;
    if (has_infinity && magnitude == infinity_code) {
      value = std::numeric_limits<double>::infinity();
    } else {
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
    const std::uint32_t word = std::bit_cast<std::uint32_t>(x);
    const bool negative = (word >> 31) != 0;
    const std::uint32_t magnitude = word & 0x7fffffffu;
    const unsigned sign = negative ? sign_bit : 0;
    if (magnitude > 0x7f800000u)
      return static_cast<code_type>(S == Special::Finite                     ? sign_bit ^ sign
                                    : S == Special::Ieee || S == Special::Fn ? sign | nan_code
                                                                             : nan_code);
    if (!is_signed && negative && (magnitude != 0 || S == Special::Scale))
      return static_cast<code_type>(has_nan && (O == Overflow::Standard || magnitude == 0x7f800000u) ? nan_code : 0);
    if (magnitude == 0x7f800000u) {
      if (has_infinity) return static_cast<code_type>(sign | infinity_code);
      return static_cast<code_type>(!has_nan ? sign | max_code : S == Special::Fn ? sign | nan_code : nan_code);
    }
    if (magnitude == 0) {
      if (S == Special::Scale) return static_cast<code_type>(O == Overflow::Standard ? nan_code : 0);
      return static_cast<code_type>(S == Special::Fnuz ? 0 : sign);
    }
    const unsigned code = round<R>(magnitude, random);
    if (code > max_code) {
      if (O == Overflow::Saturate || R == RoundTo::Zero || !(has_nan || has_infinity))
        return static_cast<code_type>(sign | max_code);
      if (has_infinity) return static_cast<code_type>(sign | infinity_code);
      return static_cast<code_type>(S == Special::Fn ? sign | nan_code : nan_code);
    }
    return static_cast<code_type>(S == Special::Fnuz && code == 0 ? 0 : sign | code);
  }

  static std::string name() {
    std::string n = text(is_signed ? "e" : "ue", E, "m", M);
    if (Bias != (1 << (E - 1)) - 1) n += text("b", Bias);
    return n + (S == Special::Fn ? "fn" : S == Special::Fnuz ? "fnuz" : S == Special::Ieee ? "ieee" : "");
  }

 private:
  /// The magnitude code of the positive finite float whose bits are `word`, possibly beyond max_code.
  template <RoundTo R> static constexpr unsigned round(std::uint32_t word, std::uint32_t random) {
    // word = significand * 2^(exponent - 23), with the significand in [2^23, 2^24).
    int exponent = static_cast<int>(word >> 23) - 127;
    std::uint32_t significand = (word & 0x7fffffu) | 0x800000u;
    if (exponent == -127) {
      const int shift = std::countl_zero(word) - 8;
      significand = word << shift;
      exponent = -126 - shift;
    }
    if (S == Special::Scale && exponent < min_exponent) return 0;
    const int quantum = exponent > min_exponent ? exponent : min_exponent;  // codes here are 2^(quantum - M) apart
    const int shift = 23 - M + quantum - exponent;
    const unsigned base = static_cast<unsigned>(quantum - min_exponent) << M;
    unsigned steps = shift < 32 ? significand >> shift : 0;
    const std::uint64_t rest = shift < 32 ? significand & ((std::uint64_t{1} << shift) - 1) : significand;
    if constexpr (R == RoundTo::Stochastic) {
      // rest / 2^shift > random / 2^32
      const int up = 32 - shift;
      if (up >= 0 ? (rest << up) > random : up > -64 && (rest >> -up) > random) ++steps;
    } else if constexpr (R != RoundTo::Zero) {
      const std::uint64_t half = shift > 0 && shift < 64 ? std::uint64_t{1} << (shift - 1) : 0;
      const bool odd = M == 0 && S != Special::Scale ? ((code_of(base, steps)) & 1) != 0 : (steps & 1) != 0;
      if (half != 0 && (rest > half || (rest == half && (R == RoundTo::NearestAway || odd)))) ++steps;
    }
    return code_of(base, steps);
  }

  static constexpr unsigned code_of(unsigned base, unsigned steps) {
    return S == Special::Scale ? base + steps - 1 : base + steps;
  }
};

using E2M1 = MiniFloat<2, 1, 1, Special::Finite>;
using E4M3FN = MiniFloat<4, 3, 7, Special::Fn>;
using E5M2 = MiniFloat<5, 2>;
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
