// NormalFloat: levels at the quantiles of the normal distribution.
#pragma once

#include "nibble/formats/distributions.h"
#include "nibble/formats/level_table.h"

namespace nibble::formats {

/// The levels of NormalFloat<B>, in the float arithmetic of bitsandbytes.
template <int B> constexpr auto make_normal_float_table() {
  constexpr int half = 1 << (B - 1);
  // To seven decimals, as bitsandbytes writes it.
  constexpr double exact = 1 - (1 / (4.0 * half - 2) + 1 / (4.0 * half)) / 2;
  constexpr auto outermost = static_cast<float>(static_cast<double>(static_cast<int>(exact * 1e7 + 0.5)) / 1e7);
  // The normal quantile of point i of steps + 1 evenly spaced ones from `outermost` down to 1/2.
  const auto level = [](int i, int steps) {
    const float step = (0.5f - outermost) / static_cast<float>(steps);
    const float forward = step * static_cast<float>(i);
    const float backward = step * static_cast<float>(steps - i);
    const float p = 2 * i <= steps ? outermost + forward : 0.5f - backward;
    return static_cast<float>(quantile<Gaussian>(static_cast<double>(p)));
  };
  std::array<float, std::size_t{2 * half}> levels{};
  const float top = level(0, half);
  for (int i = 0; i < half; ++i) levels[static_cast<std::size_t>(2 * half - 1 - i)] = level(i, half) / top;
  for (int i = 0; i < half - 1; ++i) levels[static_cast<std::size_t>(i)] = -level(i, half - 1) / top;
  return LevelTable(levels);
}

template <int B> inline constexpr LevelTable normal_float_table = make_normal_float_table<B>();

/// B-bit levels that a normal distribution fills about equally, scaled to [-1, 1]: 0, 2^(B-1) positive quantiles and
/// one fewer negative ones, each evenly spaced in probability from 1/2 (left out) to an outermost one between those of
/// 2^B and of 2^B - 1 equal parts. Codes ascend. For 4 bits bit for bit the table of bitsandbytes. NaN encodes to code
/// 0. Sources: Dettmers et al., "QLoRA", 2023; bitsandbytes, create_normal_map.
template <int B>
  requires(B >= 2 && B <= 8)
struct NormalFloat : TableFormat<normal_float_table<B>> {
  static std::string name() { return text("nf", B); }
};

using NF4 = NormalFloat<4>;

}  // namespace nibble::formats
