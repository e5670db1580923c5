// The 8-bit dynamic tree maps of 8-bit optimizers.
#pragma once

#include "nibble/formats/level_table.h"

namespace nibble::formats {

/// The means of neighbours in `Count` << i equal steps from 0.1 to 1, times 10^(i - 6), for i = 0 .. 6, ascending; then
/// 1.
template <int Count> constexpr std::array<float, 127 * Count + 1> make_dynamic_levels() {
  std::array<float, 127 * Count + 1> levels{};
  std::size_t at = 0;
  double scale = 1e7;
  for (int i = 0; i < 7; ++i, scale /= 10) {
    const int steps = Count << i;
    // 0.1 + 0.9 (k + 1/2) / steps, over 10^(6 - i), as one quotient of integers.
    for (int k = 0; k < steps; ++k)
      levels[at++] = static_cast<float>((2 * steps + 9 * (2 * k + 1)) / (2 * steps * scale));
  }
  levels[at] = 1;
  return levels;
}

inline constexpr LevelTable dynamic_signed_table = [] {
  constexpr auto positive = make_dynamic_levels<1>();
  std::array<float, 256> levels{};
  for (std::size_t i = 0; i < positive.size(); ++i) {
    levels[128 + i] = positive[i];
    if (positive[i] < 1) levels[126 - i] = -positive[i];
  }
  return LevelTable(levels);
}();

inline constexpr LevelTable dynamic_unsigned_table = [] {
  constexpr auto positive = make_dynamic_levels<2>();
  std::array<float, 256> levels{};
  for (std::size_t i = 0; i < positive.size(); ++i) levels[1 + i] = positive[i];
  return LevelTable(levels);
}();

/// 0, 1, and both signs of 127 magnitudes in seven decades, 1 in the lowest and 64 in the highest; codes ascend with
/// values. -1 is missing. Source: Dettmers et al., "8-bit optimizers via block-wise quantization", ICLR 2022;
/// bitsandbytes' create_dynamic_map.
struct DynamicSigned : TableFormat<dynamic_signed_table> {
  static std::string name() { return "dynamic"; }
};

/// The same for values >= 0, such as second moments: 0, 1 and twice as many magnitudes in each decade.
struct DynamicUnsigned : TableFormat<dynamic_unsigned_table> {
  static std::string name() { return "udynamic"; }
};

}  // namespace nibble::formats
