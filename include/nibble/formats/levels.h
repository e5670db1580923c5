// The values of a format in order, and the two of them that enclose a number.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "nibble/formats/format.h"

namespace nibble {

/// One finite value of a scalar format and a code for it.
template <class F> struct Level {
  float value;
  typename F::code_type code;
};

/// The finite values that F::encode chooses, in ascending order, each once, with the code that it chooses for them (of
/// -0 and 0, only 0). `side` as in Format.
template <Format F>
  requires(dim_of<F> == 1 && F::bits <= 16)
std::vector<Level<F>> make_levels(const Side& side = {}) {
  std::vector<Level<F>> levels;
  levels.reserve(code_count<F>);
  for (std::uint32_t c = 0; c < code_count<F>; ++c) {
    const auto code = static_cast<typename F::code_type>(c);
    float value = 0;
    decode_to<F>(code, side, &value);
    if (std::isfinite(value) && !(value == 0 && std::signbit(value)) && encode_from<F>(&value, side) == code)
      levels.push_back({value, code});
  }
  std::sort(levels.begin(), levels.end(), [](const auto& a, const auto& b) { return a.value < b.value; });
  return levels;
}

/// The greatest level <= x and the least level >= x; beyond the ends, both are the end.
template <class F> struct Neighbours { Level<F> below, above; };

/// `levels` as made by make_levels; not empty.
template <class F> Neighbours<F> neighbours(const std::vector<Level<F>>& levels, float x) {
  const auto up =
      std::lower_bound(levels.begin(), levels.end(), x, [](const Level<F>& level, float v) { return level.value < v; });
  if (up == levels.end()) return {levels.back(), levels.back()};
  if (up == levels.begin() || up->value == x) return {*up, *up};
  return {*(up - 1), *up};
}

}  // namespace nibble
