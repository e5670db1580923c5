// NormalFloat against bitsandbytes' table and against the quantiles of the C library's error function.
#include "nibble/formats/normal_float.h"

#include "formats/golden_levels.h"

namespace nibble::formats {
namespace {

static_assert(Format<NF4> && NF4::decode(7) == 0 && NF4::encode(0.0f) == 7 && NF4::encode(1.0f) == 15);
template <int B> constexpr bool exists = requires {
  typename NormalFloat<B>;
};
static_assert(!exists<1> && exists<2> && exists<8> && !exists<9>);

TEST(NormalFloat, Nf4IsTheTableOfBitsandbytes) {
  test::expect_golden_levels<NF4>("nf4");
  EXPECT_EQ(NF4::decode(1), -0.6961928009986877f);
  EXPECT_EQ(NF4::decode(14), 0.7229568362236023f);
}

template <class F> class EachNormalFloat : public testing::Test {};
using All = testing::Types<NormalFloat<2>, NormalFloat<3>, NormalFloat<4>, NormalFloat<5>, NormalFloat<6>,
                           NormalFloat<7>, NormalFloat<8>>;
TYPED_TEST_SUITE(EachNormalFloat, All);

TYPED_TEST(EachNormalFloat, LevelsAreEvenlySpacedInProbability) {
  constexpr int half = 1 << (TypeParam::bits - 1);
  const std::vector<float> levels = test::values_of<TypeParam>();
  ASSERT_EQ(levels.size(), std::size_t{2 * half});
  EXPECT_EQ(levels.front(), -1);
  EXPECT_EQ(levels[half - 1], 0);
  EXPECT_EQ(levels.back(), 1);
  for (std::size_t i = 1; i < levels.size(); ++i) EXPECT_LT(levels[i - 1], levels[i]);

  // The outermost one is rounded to seven decimals, where the density is as low as 0.006.
  const double outermost = 1 - (1 / (2 * (2.0 * half - 1)) + 1 / (2 * 2.0 * half)) / 2;
  double top = 0;
  for (double step = 4; step > 1e-17; step /= 2)
    if (std::erfc(-(top + step) / std::sqrt(2.0)) / 2 < outermost) top += step;
  for (int i = 0; i < half; ++i) {
    const double positive = static_cast<double>(levels[static_cast<std::size_t>(2 * half - 1 - i)]) * top;
    EXPECT_NEAR(std::erfc(-positive / std::sqrt(2.0)) / 2, outermost + (0.5 - outermost) * i / half, 1e-6) << i;
    if (i == half - 1) break;
    const double negative = static_cast<double>(levels[static_cast<std::size_t>(i)]) * top;
    EXPECT_NEAR(std::erfc(negative / std::sqrt(2.0)) / 2, outermost + (0.5 - outermost) * i / (half - 1), 1e-6) << i;
  }
}

TYPED_TEST(EachNormalFloat, EncodesToTheNearestLevel) {
  test::expect_nearest<TypeParam>();
}

TYPED_TEST(EachNormalFloat, IsNamedByItsBits) {
  EXPECT_EQ(TypeParam::name(), "nf" + std::to_string(TypeParam::bits));
  EXPECT_EQ(TypeParam::max(), 1);
}

TEST(NormalFloat, BlockErrorOnNormalSamples) {
  // Order-statistic integrals of REFERENCE, section 1.
  EXPECT_NEAR(test::block_error<NF4>(32, 40000), 0.007623, 0.01 * 0.007623);
  EXPECT_NEAR(test::block_error<NF4>(64, 20000), 0.008460, 0.01 * 0.008460);
}

}  // namespace
}  // namespace nibble::formats
