// Lloyd-Max levels against published distortions, quadrature and the recursion that solves the Laplace case.
#include "nibble/formats/lloyd_max.h"

#include "formats/golden_levels.h"

namespace nibble::formats {
namespace {

static_assert(Format<LloydMax<4>> && LloydMax<1>::encode(3.0f) == 1 && LloydMax<1>::encode(-3.0f) == 0);
template <int B> constexpr bool exists = requires {
  typename LloydMax<B, Laplace>;
};
static_assert(!exists<0> && exists<1> && exists<8> && !exists<9>);

template <class F> double distortion_of() {
  return F::distortion();
}

TEST(LloydMax, GaussianDistortionsOfTheReference) {
  const double computed[] = {distortion_of<LloydMax<1>>(), distortion_of<LloydMax<2>>(), distortion_of<LloydMax<3>>(),
                             distortion_of<LloydMax<4>>(), distortion_of<LloydMax<5>>(), distortion_of<LloydMax<6>>(),
                             distortion_of<LloydMax<7>>(), distortion_of<LloydMax<8>>()};
  const double published[] = {0.363380228, 0.117481848, 0.034547761, 0.009501008,
                              0.002504668, 6.442397e-4, 1.634782e-4, 4.118508e-5};
  for (int i = 0; i < 8; ++i) EXPECT_NEAR(computed[i], published[i], 1e-6 * published[i]) << i + 1 << " bits";
}

TEST(LloydMax, GaussianCentroidsOfTheReference) {
  const auto expect_upper_half = [](const std::vector<float>& levels, const std::vector<double>& published) {
    ASSERT_EQ(levels.size(), 2 * published.size());
    for (std::size_t i = 0; i < published.size(); ++i) {
      EXPECT_NEAR(static_cast<double>(levels[published.size() + i]), published[i], 3e-7);
      EXPECT_EQ(levels[published.size() - 1 - i], -levels[published.size() + i]);
    }
  };
  expect_upper_half(test::values_of<LloydMax<1>>(), {0.7978846});
  expect_upper_half(test::values_of<LloydMax<2>>(), {0.4527800, 1.5104176});
  expect_upper_half(test::values_of<LloydMax<3>>(), {0.2450942, 0.7560053, 1.3439093, 2.1519457});
  expect_upper_half(test::values_of<LloydMax<4>>(),
                    {0.1283950, 0.3880483, 0.6567591, 0.9423405, 1.2562312, 1.6180464, 2.0690172, 2.7325896});
}

/// The integral of f over [a, b], by Gauss's rule of three points on 400 pieces.
template <class F> double integral(double a, double b, F&& f) {
  constexpr int pieces = 400;
  const double h = (b - a) / pieces;
  double sum = 0;
  for (int i = 0; i < pieces; ++i) {
    const double middle = a + (i + 0.5) * h;
    const double reach = h / 2 * std::sqrt(0.6);
    sum += (5 * f(middle - reach) + 8 * f(middle) + 5 * f(middle + reach)) / 18;
  }
  return sum * h;
}

struct GaussianDensity {
  static double at(double x) { return std::exp(-x * x / 2) / std::sqrt(2 * std::acos(-1.0)); }
};
struct LaplaceDensity {
  static double at(double x) { return std::exp(-std::sqrt(2.0) * std::abs(x)) / std::sqrt(2.0); }
};

template <class F, class D> struct Case {
  using format = F;
  using density = D;
};
template <class C> class EachLloydMax : public testing::Test {};
template <int B> using G = Case<LloydMax<B, Gaussian>, GaussianDensity>;
template <int B> using L = Case<LloydMax<B, Laplace>, LaplaceDensity>;
using All =
    testing::Types<G<1>, G<2>, G<3>, G<4>, G<5>, G<6>, G<7>, G<8>, L<1>, L<2>, L<3>, L<4>, L<5>, L<6>, L<7>, L<8>>;
TYPED_TEST_SUITE(EachLloydMax, All);

TYPED_TEST(EachLloydMax, LevelsAreCentroidsAndDistortionIsTheirError) {
  using F = typename TypeParam::format;
  const auto density = [](double x) { return TypeParam::density::at(x); };
  const std::vector<float> levels = test::values_of<F>();
  const std::size_t half = levels.size() / 2;
  double error = 0;
  for (std::size_t i = half; i < levels.size(); ++i) {
    const double level = static_cast<double>(levels[i]);
    const double a = i == half ? 0 : (level + static_cast<double>(levels[i - 1])) / 2;
    const double b = i + 1 == levels.size() ? level + 30 : (level + static_cast<double>(levels[i + 1])) / 2;
    EXPECT_LT(a, b);
    const double mass = integral(a, b, density);
    EXPECT_NEAR(integral(a, b, [&](double x) { return x * density(x); }) / mass, level, 2e-7 * (1 + level)) << i;
    error += 2 * integral(a, b, [&](double x) { return (x - level) * (x - level) * density(x); });
  }
  EXPECT_NEAR(F::distortion(), error, 1e-8 * error);
}

TYPED_TEST(EachLloydMax, EncodesToTheNearestLevel) {
  test::expect_nearest<typename TypeParam::format>();
}

/// The positive levels for the Laplace density from the outermost inwards. All cells are scaled copies of one another's
/// beginnings, so a cell is known from the distance of its level to the boundary above.
std::vector<double> laplace_levels(int count) {
  const double rate = std::sqrt(2.0);
  const auto offset = [&](double width) { return 1 / rate - width / std::expm1(rate * width); };
  std::vector<double> below = {1 / rate};  // distance of a level to its lower boundary, outermost first
  std::vector<double> widths = {0};
  for (int i = 1; i < count; ++i) {
    double low = 0;
    double high = 100;
    for (int step = 0; step < 200; ++step) {
      const double width = (low + high) / 2;
      (width - offset(width) < below.back() ? low : high) = width;
    }
    widths.push_back(low);
    below.push_back(offset(low));
  }
  std::vector<double> levels;
  double boundary = 0;
  for (std::size_t i = below.size(); i-- > 0;) {
    levels.push_back(boundary + below[i]);
    boundary += widths[i];
  }
  return levels;
}

template <int B> void expect_laplace() {
  const std::vector<float> levels = test::values_of<LloydMax<B, Laplace>>();
  const std::vector<double> exact = laplace_levels(1 << (B - 1));
  for (std::size_t i = 0; i < exact.size(); ++i)
    EXPECT_NEAR(static_cast<double>(levels[exact.size() + i]), exact[i], 1e-7 * exact[i]) << B << " bits, level " << i;
}

TEST(LloydMax, LaplaceLevelsSolveTheirRecursion) {
  expect_laplace<1>();
  expect_laplace<2>();
  expect_laplace<3>();
  expect_laplace<4>();
  expect_laplace<5>();
  expect_laplace<6>();
  expect_laplace<7>();
  expect_laplace<8>();
}

TEST(LloydMax, NamesTellDistributionAndBits) {
  EXPECT_EQ(LloydMax<3>::name(), "lloyd_gaussian3");
  EXPECT_EQ((LloydMax<8, Laplace>::name()), "lloyd_laplace8");
}

}  // namespace
}  // namespace nibble::formats
