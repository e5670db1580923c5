// Portable casts of arrays: the specification of every other path, and what an instruction set or a format without a
// kernel of its own runs.
#pragma once

#include "nibble/core/isa.h"
#include "nibble/core/random.h"
#include "nibble/formats/minifloat.h"

namespace nibble {

/// A format whose codes stand for one float each, with nothing beside them.
template <class F>
concept ScalarFormat = Format<F> && dim_of<F>
== 1 && table_size_of<F> == 0 && choices_of<F> == 1;

namespace kernels {

using formats::Overflow;
using formats::RoundTo;

/// Whether F encodes under these rules: every format saturates and rounds to nearest even, some offer more.
template <class F, Overflow O, RoundTo R>
inline constexpr bool can_encode = (O == Overflow::Saturate && R == RoundTo::NearestEven) ||
                                   (R == RoundTo::NearestEven && requires(float x) { F::template encode<O>(x); }) ||
                                   requires(float x, std::uint32_t random) {
  F::template encode<O, R>(x, random);
};

template <class F, Overflow O, RoundTo R> constexpr typename F::code_type encode_one(float x, std::uint32_t random) {
  if constexpr (requires { F::template encode<O, R>(x, random); })
    return F::template encode<O, R>(x, random);
  else if constexpr (requires { F::template encode<O>(x); })
    return F::template encode<O>(x);
  else
    return F::encode(x);
}

/// out[i] = the code of in[i] for i in [0, count). Stochastic rounding takes the bits at position `first` + i of
/// `random`.
template <class Tag, class F, Overflow O, RoundTo R> struct EncodeArray {
  static void run(const float* in, std::ptrdiff_t count, typename F::code_type* out,
                  [[maybe_unused]] const Random& random, [[maybe_unused]] std::uint64_t first) {
    if constexpr (R == RoundTo::Stochastic) {
      std::array<std::uint32_t, 4> bits = random.block(first / 4);
      for (std::ptrdiff_t i = 0; i < count; ++i) {
        const std::uint64_t position = first + static_cast<std::uint64_t>(i);
        if (position % 4 == 0) bits = random.block(position / 4);
        out[i] = encode_one<F, O, R>(in[i], bits[position % 4]);
      }
    } else {
      for (std::ptrdiff_t i = 0; i < count; ++i) out[i] = encode_one<F, O, R>(in[i], 0);
    }
  }
};

/// The value of every code of a format of at most 8 bits.
template <class Tag, class F>
  requires(F::bits <= 8)
const std::array<float, code_count<F>>& value_table() {
  static const std::array<float, code_count<F>> values = [] {
    std::array<float, code_count<F>> all{};
    for (std::uint32_t c = 0; c < code_count<F>; ++c) all[c] = F::decode(static_cast<typename F::code_type>(c));
    return all;
  }();
  return values;
}

/// out[i] = the value of in[i] for i in [0, count). Bits above those of F are not looked at.
template <class Tag, class F> struct DecodeArray {
  static void run(const typename F::code_type* in, std::ptrdiff_t count, float* out) {
    if constexpr (F::bits <= 8) {
      const auto& values = value_table<Tag, F>();
      for (std::ptrdiff_t i = 0; i < count; ++i) out[i] = values[in[i] & (code_count<F> - 1)];
    } else {
      constexpr auto mask = static_cast<typename F::code_type>((std::uint64_t{1} << F::bits) - 1);
      for (std::ptrdiff_t i = 0; i < count; ++i) out[i] = F::decode(static_cast<typename F::code_type>(in[i] & mask));
    }
  }
};

}  // namespace kernels
}  // namespace nibble
