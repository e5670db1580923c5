// Formats whose values are small integers times one unit: what integer products need to know of them.
#pragma once

#include <array>
#include <bit>

#include "nibble/formats/format.h"

namespace nibble {

/// Where `exists`, number d of every code c of the format is unit * (bytes[dim c + d] - offset), exactly. Source of the
/// offset's use: sum (b - o) a = sum b a - o sum a, so unsigned bytes serve signed weights.
template <std::size_t Count> struct IntegerView {
  bool exists = false;
  float unit = 1;
  int offset = 0;
  int top = 0;            ///< the largest byte
  bool identity = false;  ///< bytes[c] == c
  std::array<std::uint8_t, Count> bytes{};
};

/// The integer view of a format of at most 8 bits whose codes lie in panels, computed from its values: the unit is its
/// smallest positive value, and exists where all values are multiples of it that fit a byte with an offset.
template <Format F>
  requires(in_panels<F>&& table_size_of<F> == 0 && choices_of<F> == 1 && F::bits <= 8)
consteval auto make_integer_view() {
  constexpr std::size_t dim = dim_of<F>;
  constexpr std::size_t count = dim << F::bits;
  IntegerView<count> view;
  std::array<float, count> values{};
  float unit = 0;
  for (std::size_t c = 0; c < count; c += dim)
    decode_to<F>(static_cast<typename F::code_type>(c / dim), {}, values.data() + c);
  for (std::size_t c = 0; c < count; ++c) {
    const float magnitude = values[c] < 0 ? -values[c] : values[c];
    if ((std::bit_cast<std::uint32_t>(magnitude) >> 23 & 255) == 255) return view;  // NaN or infinity
    if (magnitude > 0 && (unit == 0 || magnitude < unit)) unit = magnitude;
  }
  if (unit == 0) return view;
  std::array<int, count> integers{};
  int least = 0;
  int most = 0;
  for (std::size_t c = 0; c < count; ++c) {
    const float ratio = values[c] / unit;
    if (ratio < -255 || ratio > 255) return view;
    integers[c] = static_cast<int>(ratio);
    if (static_cast<float>(integers[c]) * unit != values[c]) return view;
    if (integers[c] < least) least = integers[c];
    if (integers[c] > most) most = integers[c];
  }
  if (most - least > 255) return view;
  view.exists = true;
  view.identity = dim == 1;
  view.unit = unit;
  view.offset = -least;
  view.top = most - least;
  for (std::size_t c = 0; c < count; ++c) {
    view.bytes[c] = static_cast<std::uint8_t>(integers[c] - least);
    view.identity = view.identity && view.bytes[c] == c;
  }
  return view;
}

template <Format F> inline constexpr auto integer_view = make_integer_view<F>();

/// Whether products of F with integer activations can run in integer arithmetic.
template <class F>
inline constexpr bool has_integer_view = [] {
  if constexpr (in_panels<F> && table_size_of<F> == 0 && choices_of<F> == 1 && F::bits <= 8)
    return integer_view<F>.exists;
  else
    return false;
}();

}  // namespace nibble
