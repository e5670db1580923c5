// Integer formats against std::nearbyint in double and the closed form of their values.
#include "nibble/formats/integer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <vector>

namespace nibble {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

/// Every quarter from -limit to limit with the floats just below and above, and numbers far beyond.
std::vector<float> inputs(int limit) {
  std::vector<float> xs = {infinity,
                           -infinity,
                           std::numeric_limits<float>::max(),
                           std::numeric_limits<float>::lowest(),
                           1e6f,
                           -1e6f,
                           std::numeric_limits<float>::denorm_min(),
                           -0.0f,
                           0x1p31f,
                           0x1p32f,
                           -0x1p31f};
  for (int quarter = -4 * limit; quarter <= 4 * limit; ++quarter) {
    const float x = static_cast<float>(quarter) / 4;
    for (float y : {std::nextafter(x, -infinity), x, std::nextafter(x, infinity)}) xs.push_back(y);
  }
  return xs;
}

TEST(NearestEven, IsNearbyint) {
  for (float x : inputs(300))
    if (std::abs(x) < 0x1p22f) {
      ASSERT_EQ(formats::nearest_even(x), std::nearbyint(static_cast<double>(x))) << x;
    }
  for (float x = 0x1p22f - 100; x < 0x1p22f; x += 0.5f) {
    ASSERT_EQ(formats::nearest_even(x), std::nearbyint(static_cast<double>(x))) << x;
    ASSERT_EQ(formats::nearest_even(-x), std::nearbyint(static_cast<double>(-x))) << x;
  }
  static_assert(formats::nearest_even(2.5f) == 2 && formats::nearest_even(-3.5f) == -4);
}

template <class B> class Integers : public testing::Test {};
using Widths =
    testing::Types<std::integral_constant<int, 1>, std::integral_constant<int, 2>, std::integral_constant<int, 3>,
                   std::integral_constant<int, 4>, std::integral_constant<int, 5>, std::integral_constant<int, 6>,
                   std::integral_constant<int, 7>, std::integral_constant<int, 8>>;
TYPED_TEST_SUITE(Integers, Widths);

TYPED_TEST(Integers, SignedCodes) {
  constexpr int b = TypeParam::value;
  using F = formats::Int<b>;
  EXPECT_EQ(F::bits, b);
  EXPECT_EQ(F::name(), text("int", b));
  EXPECT_EQ(F::max(), b == 1 ? 1 : std::pow(2, b - 1) - 1);
  for (int code = 0; code < 1 << b; ++code) {
    const float value = F::decode(static_cast<std::uint8_t>(code));
    ASSERT_EQ(value, code - std::pow(2, b - 1));
    // The lowest value is decoded, never chosen.
    ASSERT_EQ(F::encode(value), code == 0 && b > 1 ? 1 : code);
  }
}

TYPED_TEST(Integers, SignedRounding) {
  constexpr int b = TypeParam::value;
  using F = formats::Int<b>;
  const double high = b == 1 ? 0 : std::pow(2, b - 1) - 1;
  const double low = b == 1 ? -1 : -high;
  for (float x : inputs((1 << b) + 3)) {
    const double expected = std::clamp(std::nearbyint(static_cast<double>(x)), low, high);
    ASSERT_EQ(static_cast<double>(F::decode(F::encode(x))), expected) << x;
  }
}

TYPED_TEST(Integers, UnsignedCodes) {
  constexpr int b = TypeParam::value;
  using F = formats::UInt<b>;
  EXPECT_EQ(F::bits, b);
  EXPECT_EQ(F::name(), text("uint", b));
  EXPECT_EQ(F::max(), std::pow(2, b) - 1);
  for (int code = 0; code < 1 << b; ++code) {
    ASSERT_EQ(F::decode(static_cast<std::uint8_t>(code)), code);
    ASSERT_EQ(F::encode(static_cast<float>(code)), code);
  }
}

TYPED_TEST(Integers, UnsignedRounding) {
  constexpr int b = TypeParam::value;
  using F = formats::UInt<b>;
  for (float x : inputs((1 << b) + 3)) {
    const double expected = std::clamp(std::nearbyint(static_cast<double>(x)), 0.0, std::pow(2, b) - 1);
    ASSERT_EQ(F::encode(x), expected) << x;
  }
}

TEST(Integers, WorkAtCompileTime) {
  static_assert(formats::Int<4>::decode(formats::Int<4>::encode(-3.5f)) == -4);
  static_assert(formats::UInt<8>::encode(254.5f) == 254);
}

}  // namespace
}  // namespace nibble
