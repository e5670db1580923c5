// dINT: integers with denormals.
#pragma once

#include "nibble/formats/level_table.h"

namespace nibble::formats {

template <int B>
inline constexpr LevelTable dint_table = [] {
  std::array<float, (std::size_t{1} << (B - 1)) - 1> positive{0.5f};
  for (std::size_t i = 1; i < positive.size(); ++i) positive[i] = static_cast<float>(i);
  return symmetric_table(positive);
}();

/// The integers of Int<B> with the two outermost given up for -1/2 and 1/2, so that fewer small weights become 0:
/// values 0, +-1/2, +-1, ..., +-(2^(B-1) - 2). Codes ascend with values and 2^(B-1) stands for 0; code 0 is not chosen.
/// Source: Lee et al., "Enhancing computation efficiency in large language models through weight and activation
/// quantization", EMNLP 2023 (which leaves open whether both or one of the outermost integers go).
template <int B>
  requires(B >= 3 && B <= 8)
struct DInt : TableFormat<dint_table<B>> {
  static std::string name() { return text("dint", B); }
};

}  // namespace nibble::formats
