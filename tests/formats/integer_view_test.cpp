// Integer views against the values of the format.
#include "nibble/formats/integer_view.h"

#include <gtest/gtest.h>

#include "formats/toy_formats.h"
#include "nibble/formats/integer.h"
#include "nibble/formats/minifloat.h"

namespace nibble {
namespace {

using formats::MiniFloat;
using formats::Special;
using E2M3 = MiniFloat<2, 3, 1, Special::Finite>;
using E3M2 = MiniFloat<3, 2, 3, Special::Finite>;
using E1M2 = MiniFloat<1, 2, 1, Special::Finite>;

/// A format of given values.
template <int... Quarters> struct Values {
  using code_type = std::uint8_t;
  static constexpr int bits = sizeof...(Quarters) == 2 ? 1 : 2;
  static constexpr float max() { return 1; }
  static constexpr float decode(code_type code) {
    constexpr float values[] = {static_cast<float>(Quarters) / 4 ...};
    return values[code];
  }
  static constexpr code_type encode(float) { return 0; }
};

template <class F> class Exact : public testing::Test {};
using ExactFormats =
    testing::Types<formats::Int<1>, formats::Int<2>, formats::Int<3>, formats::Int<5>, formats::Int<8>,
                   formats::UInt<1>, formats::UInt<4>, formats::UInt<8>, formats::E2M1, E2M3, E1M2, test::Uneven,
                   Values<-4, 0, 4, 8>, Values<2, 6>, Values<0, 255 * 3>, Values<-510, 510, 6, -6>, Values<0, -6>>;
TYPED_TEST_SUITE(Exact, ExactFormats);

TYPED_TEST(Exact, EveryCode) {
  using F = TypeParam;
  if constexpr (requires { F::exponent_bits; }) {
    EXPECT_EQ(integer_view<F>.unit, F::decode(1));
  }
  ASSERT_TRUE(has_integer_view<F>);
  bool identity = true;
  float unit = std::numeric_limits<float>::infinity();
  for (std::uint32_t c = 0; c < code_count<F>; ++c) {
    const float value = F::decode(static_cast<typename F::code_type>(c));
    ASSERT_EQ(integer_view<F>.unit * static_cast<float>(integer_view<F>.bytes[c] - integer_view<F>.offset), value) << c;
    identity = identity && integer_view<F>.bytes[c] == c;
    if (value != 0) unit = std::min(unit, std::abs(value));
  }
  EXPECT_EQ(integer_view<F>.identity, identity);
  EXPECT_EQ(integer_view<F>.unit, unit);
}

TEST(IntegerView, OfIntegers) {
  EXPECT_TRUE(integer_view<formats::Int<4>>.identity);
  EXPECT_EQ(integer_view<formats::Int<4>>.offset, 8);
  EXPECT_TRUE(integer_view<formats::UInt<4>>.identity);
  EXPECT_EQ(integer_view<formats::UInt<4>>.offset, 0);
}

TEST(IntegerView, OfMiniFloats) {
  EXPECT_EQ(integer_view<formats::E2M1>.unit, 0.5f);
  EXPECT_EQ(integer_view<formats::E2M1>.offset, 12);
  EXPECT_FALSE(integer_view<formats::E2M1>.identity);
  EXPECT_EQ(integer_view<E2M3>.offset, 60);
}

TEST(IntegerView, AbsentWhereValuesDoNotFit) {
  static_assert(!has_integer_view<E3M2>);             // -448 .. 448
  static_assert(!has_integer_view<formats::E4M3FN>);  // NaN
  static_assert(!has_integer_view<formats::E5M2>);    // infinity
  static_assert(!has_integer_view<formats::E8M0>);
  static_assert(!has_integer_view<formats::Half>);            // 16 bits
  static_assert(!has_integer_view<test::Grid>);               // vectors
  static_assert(!has_integer_view<test::Quantiles>);          // values known at run time
  static_assert(!has_integer_view<Values<0, 0>>);             // nothing but 0
  static_assert(!has_integer_view<Values<2, 3, 4, 5>>);       // no multiples of the smallest
  static_assert(!has_integer_view<Values<0, 4, 1024, 8>>);    // 256 units
  static_assert(!has_integer_view<Values<4, -512, 512, 8>>);  // 256 units apart
}

}  // namespace
}  // namespace nibble
