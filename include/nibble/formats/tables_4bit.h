// 4-bit formats that are a table of levels and no rule: AF4, bitsandbytes' FP4, ggml's IQ4_NL.
#pragma once

#include "nibble/formats/level_table.h"

namespace nibble::formats {

inline constexpr LevelTable<16> af4_table{{1.0f, 0.72424863f, 0.55496234f, 0.42563882f, 0.31675666f, 0.21961275f,
                                           0.12934483f, 0.04273164f, 0.0f, -0.04934812f, -0.14982478f, -0.25607552f,
                                           -0.37369511f, -0.51243739f, -0.69441008f, -1.0f}};

inline constexpr LevelTable bnb_fp4_table = [] {
  std::array<float, 16> levels{0.0f, 0.0625f, 8.0f, 12.0f, 4.0f, 6.0f, 2.0f, 3.0f};
  for (std::size_t c = 0; c < 8; ++c) levels[c] /= 12;
  for (std::size_t c = 1; c < 8; ++c) levels[c + 8] = -levels[c];
  return LevelTable(levels);
}();

inline constexpr LevelTable<16> iq4nl_table{{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}};

/// AbnormalFloat: levels of least mean absolute error for normal weights scaled by the largest of 64. Code 0 is +1 and
/// the codes descend. NaN encodes to code 15, -1. Sources: Yoshida, "NF4 isn't information theoretically optimal (and
/// that's good)", 2023; the table of bitsandbytes.
struct AF4 : TableFormat<af4_table> {
  static std::string name() { return "af4"; }
};

/// bitsandbytes' FP4: a sign bit above the multiples 0, 1/16, 8, 12, 4, 6, 2, 3 of 1/12. It is not OCP's E2M1. Code 8,
/// a second 0, is never chosen. NaN encodes to code 11, -1. Source: bitsandbytes.
struct BnbFp4 : TableFormat<bnb_fp4_table> {
  static std::string name() { return "bnb_fp4"; }
};

/// The levels of ggml's IQ4_NL and IQ4_XS, integers from -127 to 113 without a 0; codes ascend. max() is 127, so a
/// group scaled by its largest magnitude clips only positive values beyond 113 of it. NaN encodes to code 0. Source:
/// ggml.
struct Iq4Nl : TableFormat<iq4nl_table> {
  static std::string name() { return "iq4nl"; }
};

}  // namespace nibble::formats
