// Lloyd-Max levels: the scalar code of least mean squared error for a distribution.
#pragma once

#include <array>

#include "nibble/formats/distributions.h"
#include "nibble/formats/level_table.h"

namespace nibble::formats {

/// The positive half of the 2^B levels of least mean squared error for a symmetric Distribution of unit variance,
/// ascending: each level is the centroid of the values nearest to it. Source: Max, "Quantizing for minimum distortion",
/// 1960; found by Newton's method on those conditions (a tridiagonal system) from the levels of Panter and Dite, whose
/// density is the cube root of the distribution's; so it takes less than ten steps where Lloyd's method takes
/// thousands.
template <int B, class Distribution> constexpr auto make_lloyd_max_half() {
  constexpr std::size_t half = std::size_t{1} << (B - 1);
  std::array<double, half> level{};
  for (std::size_t i = 0; i < half; ++i)
    level[i] = Distribution::cube_root_spread *
               quantile<Distribution>(0.5 + (static_cast<double>(i) + 0.5) / static_cast<double>(2 * half));

  for (int iteration = 0; iteration < 30; ++iteration) {
    // Row i: -low[i] d[i-1] + (1 - low[i] - high[i]) d[i] - high[i] d[i+1] = centroid[i] - level[i], eliminated
    // downwards as it is built.
    std::array<double, half> upper{}, right{};
    double a = 0;
    double tail_a = Distribution::tail(0);
    double moment_a = Distribution::tail_moment(0);
    double density_a = 0;  // the boundary at 0 stays
    for (std::size_t i = 0; i < half; ++i) {
      const bool last = i + 1 == half;
      const double b = last ? 0 : (level[i] + level[i + 1]) / 2;
      const double tail_b = last ? 0 : Distribution::tail(b);
      const double moment_b = last ? 0 : Distribution::tail_moment(b);
      const double density_b = last ? 0 : Distribution::density(b);
      const double mass = tail_a - tail_b;
      const double centroid = (moment_a - moment_b) / mass;
      const double low = density_a * (centroid - a) / mass / 2;
      const double high = density_b * (b - centroid) / mass / 2;
      const double pivot = 1 - low - high - (i > 0 ? low * upper[i - 1] : 0);
      upper[i] = high / pivot;
      right[i] = (centroid - level[i] + (i > 0 ? low * right[i - 1] : 0)) / pivot;
      a = b;
      tail_a = tail_b;
      moment_a = moment_b;
      density_a = density_b;
    }
    double largest = 0;
    for (std::size_t i = half; i-- > 0;) {
      if (i + 1 < half) right[i] += upper[i] * right[i + 1];
      level[i] += right[i];
      const double step = right[i] < 0 ? -right[i] : right[i];
      if (step > largest) largest = step;
    }
    if (largest < 1e-12) break;
  }
  return level;
}

template <int B, class Distribution> inline constexpr auto lloyd_max_half = make_lloyd_max_half<B, Distribution>();

template <int B, class Distribution>
inline constexpr LevelTable lloyd_max_table = [] {
  constexpr auto half = lloyd_max_half<B, Distribution>;
  std::array<float, 2 * half.size()> levels{};
  for (std::size_t i = 0; i < half.size(); ++i) {
    levels[half.size() + i] = static_cast<float>(half[i]);
    levels[half.size() - 1 - i] = static_cast<float>(-half[i]);
  }
  return LevelTable(levels);
}();

/// The Lloyd-Max levels of B bits for Distribution (Gaussian or Laplace), for values of unit variance; the codes ascend
/// with the levels. max() is the largest centroid. NaN encodes to code 0.
template <int B, class Distribution = Gaussian>
  requires(B >= 1 && B <= 8)
struct LloydMax : TableFormat<lloyd_max_table<B, Distribution>> {
  static std::string name() { return text("lloyd_", Distribution::name(), B); }

  /// The mean squared error on values of Distribution.
  static constexpr double distortion() {
    // The levels are centroids, so the error is the variance of the values less that of the levels.
    constexpr auto half = lloyd_max_half<B, Distribution>;
    double error = 1;
    double tail = 0.5;
    for (std::size_t i = 0; i < half.size(); ++i) {
      const double next = i + 1 < half.size() ? Distribution::tail((half[i] + half[i + 1]) / 2) : 0;
      error -= 2 * (tail - next) * half[i] * half[i];
      tail = next;
    }
    return error;
  }
};

}  // namespace nibble::formats
