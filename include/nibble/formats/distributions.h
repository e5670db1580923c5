// The two densities that number formats are made for, Gaussian and Laplace, in constant expressions.
#pragma once

#include <bit>
#include <cstdint>
#include <string>

namespace nibble::formats {

/// e^x to a few units in the last place of a double; below e^-700, 0. x must be at most 700.
constexpr double exponential(double x) {
  if (x < -700) return 0;
  // x = n ln 2 + r with |r| <= ln 2 / 2; ln 2 in two parts, the first with trailing zeros.
  const int n = static_cast<int>(x * 1.4426950408889634 + (x < 0 ? -0.5 : 0.5));
  const double r = (x - n * 6.93147180369123816490e-01) - n * 1.90821492927058770002e-10;
  double sum = 1;
  for (int i = 14; i > 0; --i) sum = 1 + sum * r / i;
  return sum * std::bit_cast<double>(static_cast<std::uint64_t>(n + 1023) << 52);
}

/// The normal distribution of mean 0 and variance 1. As every distribution here: symmetric about 0, of unit variance,
/// with a density that falls from 0 on; the functions take x >= 0.
struct Gaussian {
  /// The cube root of the density is proportional to the density of this multiple of the values.
  static constexpr double cube_root_spread = 1.7320508075688772;

  static constexpr double density(double x) { return 0.3989422804014327 * exponential(-x * x / 2); }
  /// The probability of values above x, to 1e-12 of itself. Source: Marsaglia, "Evaluating the normal distribution",
  /// 2004, for the series; Laplace's continued fraction beyond.
  static constexpr double tail(double x) {
    if (x < 2.5) {
      double sum = x;
      double term = x;
      for (int i = 3; term > sum * 1e-17; i += 2) sum += term *= x * x / i;
      return 0.5 - density(x) * sum;
    }
    double fraction = x;
    for (int i = 60; i > 0; --i) fraction = x + i / fraction;
    return density(x) / fraction;
  }
  /// The integral of t density(t) over t > x.
  static constexpr double tail_moment(double x) { return density(x); }
  static std::string name() { return "gaussian"; }
};

/// The two-sided exponential distribution of mean 0 and variance 1.
struct Laplace {
  static constexpr double rate = 1.4142135623730951;
  static constexpr double cube_root_spread = 3;

  static constexpr double density(double x) { return rate / 2 * exponential(-rate * x); }
  static constexpr double tail(double x) { return exponential(-rate * x) / 2; }
  static constexpr double tail_moment(double x) { return (x + 1 / rate) * tail(x); }
  static std::string name() { return "laplace"; }
};

/// The x that a fraction p of the values lies below, for 1e-6 <= p <= 1 - 1e-6: Newton's method from 0, which never
/// oversteps as the tail is convex.
template <class Distribution> constexpr double quantile(double p) {
  const double tail = p < 0.5 ? p : 1 - p;
  double x = 0;
  for (int i = 0; i < 100; ++i) {
    const double step = (Distribution::tail(x) - tail) / Distribution::density(x);
    x += step;
    if (step < 1e-15 * x || !(step > 0)) break;
  }
  return p < 0.5 ? -x : x;
}

}  // namespace nibble::formats
