// The constant expressions of the Gaussian and Laplace densities, against the C library and quadrature.
#include "nibble/formats/distributions.h"

#include <gtest/gtest.h>

#include <cmath>

namespace nibble::formats {
namespace {

void expect_relative(double got, double expected, double tolerance) {
  EXPECT_LE(std::abs(got - expected), tolerance * std::abs(expected)) << got << " instead of " << expected;
}

TEST(Distributions, ExponentialIsThatOfTheLibrary) {
  static_assert(exponential(0) == 1);
  for (double x = -700; x < 700; x += 0.317) expect_relative(exponential(x), std::exp(x), 1e-15);
  for (double x = -1; x < 1; x += 0.00131) expect_relative(exponential(x), std::exp(x), 1e-15);
  EXPECT_EQ(exponential(-701), 0);
  EXPECT_EQ(exponential(-1e300), 0);
}

TEST(Distributions, GaussianTailIsTheErrorFunction) {
  for (double x = 0; x < 37; x += 0.0137) {
    expect_relative(Gaussian::tail(x), std::erfc(x / std::sqrt(2.0)) / 2, 1e-12);
    expect_relative(Gaussian::density(x), std::exp(-x * x / 2) / std::sqrt(2 * std::acos(-1.0)), 1e-12);
  }
}

template <class D> class EachDistribution : public testing::Test {};
using All = testing::Types<Gaussian, Laplace>;
TYPED_TEST_SUITE(EachDistribution, All);

/// Simpson's rule on [from, 40].
template <class F> double integral(double from, F&& f) {
  constexpr int steps = 40000;
  const double h = (40 - from) / steps;
  double sum = f(from) + f(40.0);
  for (int i = 1; i < steps; ++i) sum += f(from + i * h) * (i % 2 == 1 ? 4 : 2);
  return sum * h / 3;
}

TYPED_TEST(EachDistribution, TailAndMomentAreIntegralsOfTheDensityWhoseVarianceIsOne) {
  using D = TypeParam;
  for (double x : {0.0, 0.3, 1.0, 2.4, 2.6, 5.0}) {
    expect_relative(D::tail(x), integral(x, [](double t) { return D::density(t); }), 1e-9);
    expect_relative(D::tail_moment(x), integral(x, [](double t) { return t * D::density(t); }), 1e-9);
  }
  EXPECT_NEAR(D::tail(0), 0.5, 1e-15);
  EXPECT_NEAR(2 * integral(0, [](double t) { return t * t * D::density(t); }), 1, 1e-9);
}

TYPED_TEST(EachDistribution, TheCubeRootOfTheDensityIsThatOfTheSpreadValues) {
  using D = TypeParam;
  for (double x : {0.1, 0.7, 1.9, 4.0})
    expect_relative(std::cbrt(D::density(x) / D::density(0)), D::density(x / D::cube_root_spread) / D::density(0),
                    1e-13);
}

TYPED_TEST(EachDistribution, QuantileInvertsTheTail) {
  using D = TypeParam;
  static_assert(quantile<D>(0.5) == 0);
  for (double p : {1e-6, 1e-4, 0.01, 0.03229170, 0.25, 0.4, 0.499999, 0.51, 0.75, 0.9677083, 0.999, 0.999999}) {
    const double x = quantile<D>(p);
    EXPECT_EQ(x < 0, p < 0.5);
    expect_relative(D::tail(std::abs(x)), p < 0.5 ? p : 1 - p, 1e-12);
  }
  EXPECT_NEAR(quantile<Gaussian>(0.975), 1.959963984540054, 1e-14);
  EXPECT_NEAR(quantile<Laplace>(0.975), std::log(20.0) / std::sqrt(2.0), 1e-14);
}

}  // namespace
}  // namespace nibble::formats
