// The nearest level, found by looking at all of them.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace oracle {

/// The code of the level nearest to x; of two equally near the even code; of equal levels the first code. Their middle
/// is exact in long double unless one is 2^40 times the other.
inline unsigned nearest_level(const std::vector<float>& by_code, float x) {
  const auto point = static_cast<long double>(x);
  unsigned best = 0;
  for (unsigned code = 1; code < by_code.size(); ++code) {
    if (by_code[code] == by_code[best]) continue;
    const long double middle = (static_cast<long double>(by_code[code]) + static_cast<long double>(by_code[best])) / 2;
    const bool same_side = by_code[code] > by_code[best] ? point > middle : point < middle;
    if (same_side || (point == middle && code % 2 == 0 && best % 2 != 0)) best = code;
  }
  return best;
}

/// Inputs that tell levels apart: each level, each middle of two neighbours, the floats around both, and extremes.
inline std::vector<float> telling_inputs(std::vector<float> levels) {
  std::sort(levels.begin(), levels.end());
  std::vector<float> points = levels;
  for (std::size_t i = 1; i < levels.size(); ++i) points.push_back(levels[i - 1] / 2 + levels[i] / 2);
  const float infinity = std::numeric_limits<float>::infinity();
  std::vector<float> inputs = {0.0f, -0.0f, 1e-45f, -1e-45f, 1e9f, -1e9f, 3e4f, -3e4f};
  for (float x : points) {
    inputs.push_back(x);
    inputs.push_back(std::nextafter(x, infinity));
    inputs.push_back(std::nextafter(x, -infinity));
  }
  return inputs;
}

}  // namespace oracle
