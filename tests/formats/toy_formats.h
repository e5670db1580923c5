// Formats of the tests' own: what a user would write who adds one.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

#include "nibble/formats/format.h"

namespace nibble::test {

/// Four uneven values.
struct Uneven {
  using code_type = std::uint8_t;
  static constexpr int bits = 2;
  static constexpr std::array<float, 4> values = {-3, 0, 1, 2};
  static constexpr float max() { return 3; }
  static constexpr float decode(code_type code) { return values[code]; }
  static constexpr code_type encode(float x) {
    return x < -1.5f ? std::uint8_t{0} : x <= 0.5f ? std::uint8_t{1} : x < 1.5f ? std::uint8_t{2} : std::uint8_t{3};
  }
};

/// A vector format: the 32 points of the 4 x 8 grid (-1.5 .. 1.5) x (-3.5 .. 3.5), two inputs in one code of 5 bits.
struct Grid {
  using code_type = std::uint8_t;
  static constexpr int bits = 5;
  static constexpr int dim = 2;
  static constexpr float max() { return 1.5f; }
  static constexpr std::array<float, 2> decode(code_type code) {
    return {static_cast<float>(code & 3) - 1.5f, static_cast<float>(code >> 2) - 3.5f};
  }
  static constexpr code_type encode(std::array<float, 2> x) {
    return static_cast<code_type>(index(x[0] + 1.5f, 3) | index(x[1] + 3.5f, 7) << 2);
  }
  static std::string name() { return "grid"; }

 private:
  static constexpr int index(float x, int last) {
    int best = 0;
    for (int i = 1; i <= last; ++i)
      if (distance(x, i) < distance(x, best)) best = i;
    return best;
  }
  static constexpr float distance(float x, int i) {
    const float d = x - static_cast<float>(i);
    return d < 0 ? -d : d;
  }
};

/// A format with a table: four values at even quantiles of the samples.
struct Quantiles {
  using code_type = std::uint8_t;
  static constexpr int bits = 2;
  static constexpr int table_size = 4;
  static constexpr float max() { return 1; }
  static float decode(code_type code, const float* table) { return table[code]; }
  static code_type encode(float x, const float* table) {
    int best = 0;
    for (int i = 1; i < 4; ++i)
      if (std::abs(x - table[i]) < std::abs(x - table[best])) best = i;
    return static_cast<code_type>(best);
  }
  static void fit(const float* values, std::ptrdiff_t count, float* table) {
    std::vector<float> sorted(values, values + count);
    std::sort(sorted.begin(), sorted.end());
    for (std::ptrdiff_t i = 0; i < 4; ++i)
      table[i] = count > 0 ? sorted[static_cast<std::size_t>((2 * i + 1) * count / 8)] : 0.0f;
  }
  static void fit(const float* values, const float*, std::ptrdiff_t count, float* table) { fit(values, count, table); }
  static std::string name() { return "quantiles"; }
};

}  // namespace nibble::test
