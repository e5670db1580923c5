// FP4 and FP3 whose second zero is put to use.
#pragma once

#include "nibble/formats/best_of.h"
#include "nibble/formats/level_table.h"

namespace nibble::formats {

/// The levels of a minifloat without mantissa or of E2M1, in the order of their codes, Extra in the place of -0.
template <int B, int Extra>
inline constexpr LevelTable extended_float_table = [] {
  static_assert(B == 3 || B == 4, "3 or 4 bits");
  constexpr std::array<float, 8> magnitudes =
      B == 4 ? std::array<float, 8>{0, 0.5f, 1, 1.5f, 2, 3, 4, 6} : std::array<float, 8>{0, 1, 2, 4};
  constexpr std::size_t half = std::size_t{1} << (B - 1);
  std::array<float, 2 * half> levels{};
  for (std::size_t i = 0; i < half; ++i) {
    levels[i] = magnitudes[i];
    levels[half + i] = i == 0 ? static_cast<float>(Extra) : -magnitudes[i];
  }
  return LevelTable(levels);
}();

/// E2M1 (B = 4) or 0, +-1, 2, 4 (B = 3), with the value Extra in the place of -0.
template <int B, int Extra> struct ExtendedFloat : TableFormat<extended_float_table<B, Extra>> {
  static std::string name() { return text("fp", B, Extra < 0 ? "minus" : "plus", Extra < 0 ? -Extra : Extra); }
};

/// The choices of BitMoD: more resolution (+-5, +-3) or more reach on one side (+-8, +-6).
/// Source: Chen et al., "BitMoD: bit-serial mixture-of-datatype LLM acceleration", HPCA 2025, section III.
using BitMod4 = BestOf<ExtendedFloat<4, 5>, ExtendedFloat<4, -5>, ExtendedFloat<4, 8>, ExtendedFloat<4, -8>>;
using BitMod3 = BestOf<ExtendedFloat<3, 3>, ExtendedFloat<3, -3>, ExtendedFloat<3, 6>, ExtendedFloat<3, -6>>;

}  // namespace nibble::formats
