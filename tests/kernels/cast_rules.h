// Arrays of minifloats held against F::encode and F::decode, on every instruction set and under all rules.
#pragma once

#include <gtest/gtest.h>

#include "formats/golden.h"
#include "nibble/kernels/cast.h"

namespace nibble::test {

using formats::Overflow;
using formats::RoundTo;

inline constexpr CastOptions cast_rules[] = {
    {.overflow = Overflow::Saturate, .rounding = RoundTo::NearestEven},
    {.overflow = Overflow::Standard, .rounding = RoundTo::NearestEven},
    {.overflow = Overflow::Saturate, .rounding = RoundTo::NearestAway},
    {.overflow = Overflow::Standard, .rounding = RoundTo::NearestAway},
    {.overflow = Overflow::Saturate, .rounding = RoundTo::Zero},
    {.overflow = Overflow::Standard, .rounding = RoundTo::Zero},
};

/// The golden tables' word for `options`: saturate, standard, away_saturate, ...
inline std::string golden_rule(const CastOptions& options) {
  const char* rounding = options.rounding == RoundTo::NearestEven   ? ""
                         : options.rounding == RoundTo::NearestAway ? "away_"
                                                                    : "zero_";
  return text(rounding, options.overflow == Overflow::Saturate ? "saturate" : "standard");
}

/// F::encode under the rules of `options`.
template <class F> typename F::code_type encode_scalar(float x, const CastOptions& options) {
  const auto rounded = [&]<RoundTo R>() {
    return options.overflow == Overflow::Saturate ? F::template encode<Overflow::Saturate, R>(x)
                                                  : F::template encode<Overflow::Standard, R>(x);
  };
  return options.rounding == RoundTo::NearestEven   ? rounded.template operator()<RoundTo::NearestEven>()
         : options.rounding == RoundTo::NearestAway ? rounded.template operator()<RoundTo::NearestAway>()
                                                    : rounded.template operator()<RoundTo::Zero>();
}

/// The codes of `x` as 32-bit numbers.
template <class F> std::vector<std::uint32_t> encode_array(const std::vector<float>& x, const CastOptions& options) {
  std::vector<typename F::code_type> codes(x.size());
  encode<F>(x.data(), static_cast<std::ptrdiff_t>(x.size()), codes.data(), options);
  return {codes.begin(), codes.end()};
}

/// Every value of F, every middle of two, and what lies next to those; halves; the limits of float; random bits.
template <class F> std::vector<float> cast_inputs() {
  std::vector<float> x = every_half();
  const auto add = [&](float value) {
    for (float v : {value, std::nextafter(value, INFINITY), std::nextafter(value, -INFINITY)})
      x.insert(x.end(), {v, -v});
  };
  for (std::uint32_t code = 0; code <= F::max_code; ++code) {
    const float below = F::decode(static_cast<typename F::code_type>(code));
    const float above = F::decode(static_cast<typename F::code_type>(code + 1));
    add(below);
    add(std::isfinite(above) ? below / 2 + above / 2 : below * (1 + std::ldexp(0.5f, -F::mantissa_bits)));
  }
  for (std::uint32_t word : {0x00000001u, 0x007fffffu, 0x00800000u, 0x7f7fffffu, 0x7f800001u, 0x7fbfffffu, 0x7fc00000u})
    add(std::bit_cast<float>(word));
  const Random random(5);
  for (std::uint32_t i = 0; i < 1u << 18; ++i)
    for (std::uint32_t word : random.block(i)) x.push_back(std::bit_cast<float>(word));
  return x;
}

template <class F> void expect_same_on_every_isa() {
  const std::vector<float> x = cast_inputs<F>();
  for (const CastOptions& rule : cast_rules) {
    std::vector<std::uint32_t> expected;
    for (float v : x) expected.push_back(encode_scalar<F>(v, rule));
    for (Isa isa : available_isas()) {
      SCOPED_TRACE(text(F::name(), ' ', golden_rule(rule), ' ', name(isa)));
      CastOptions options = rule;
      options.isa = isa;
      std::size_t i = 0;
      expect_codes(x, expected, [&, codes = encode_array<F>(x, options)](float) { return codes[i++]; });
    }
  }
  // Every element of code_type, those with bits above the code's too.
  std::vector<typename F::code_type> codes(std::size_t{1} << 8 * sizeof(typename F::code_type));
  for (std::size_t c = 0; c < codes.size(); ++c) codes[c] = static_cast<typename F::code_type>(c);
  for (Isa isa : available_isas()) {
    SCOPED_TRACE(text(F::name(), ' ', name(isa)));
    std::vector<float> values(codes.size());
    decode<F>(codes.data(), static_cast<std::ptrdiff_t>(codes.size()), values.data(), isa);
    int wrong = 0;
    for (std::size_t c = 0; c < codes.size(); ++c) {
      const float expected = F::decode(static_cast<typename F::code_type>(c % code_count<F>));
      wrong += std::bit_cast<std::uint32_t>(values[c]) != std::bit_cast<std::uint32_t>(expected);
    }
    EXPECT_EQ(wrong, 0);
  }
}

}  // namespace nibble::test
