// Linear views against the values of the format; bipolar values against their bits.
#include "nibble/formats/linear_view.h"

#include <gtest/gtest.h>

#include "nibble/formats.h"

namespace nibble {
namespace {

template <class F> void expect_linear(float unit, int slope, int offset) {
  SCOPED_TRACE(F::name());
  const LinearView& view = linear_view<F>;
  ASSERT_TRUE(view.exists);
  EXPECT_EQ(view.unit, unit);
  EXPECT_EQ(view.slope, slope);
  EXPECT_EQ(view.offset, offset);
  for (std::uint32_t c = 0; c < code_count<F>; ++c)
    EXPECT_EQ(view.unit * static_cast<float>(view.slope * static_cast<int>(c) - view.offset),
              F::decode(static_cast<typename F::code_type>(c)));
}

TEST(LinearView, OfLinearFormats) {
  expect_linear<formats::Binary>(1, 2, 1);
  expect_linear<formats::Bipolar<1>>(1, 2, 1);
  expect_linear<formats::Bipolar<3>>(1, 2, 7);
  expect_linear<formats::Bipolar<8>>(1, 2, 255);
  expect_linear<formats::Ternary>(1, 1, 1);
  expect_linear<formats::Int<1>>(1, 1, 1);
  expect_linear<formats::Int<4>>(1, 1, 8);
  expect_linear<formats::FullInt<8>>(1, 1, 128);
  expect_linear<formats::UInt<1>>(1, 1, 0);
  expect_linear<formats::UInt<8>>(1, 1, 0);
  expect_linear<formats::Fixed<8, 6>>(1.0f / 64, 1, 128);
}

TEST(LinearView, OfOthers) {
  EXPECT_FALSE(linear_view<formats::E2M1>.exists);
  EXPECT_FALSE(linear_view<formats::E8M0>.exists);
  EXPECT_FALSE(linear_view<formats::PowerOfTwo<4>>.exists);
  EXPECT_FALSE(linear_view<formats::Int<16>>.exists);
  EXPECT_FALSE(linear_view<formats::Codebook<4>>.exists);
}

template <int B> void expect_signs() {
  for (unsigned c = 0; c < 1u << B; ++c) {
    int sum = 0;
    for (int i = 0; i < B; ++i) sum += (c >> i & 1) != 0 ? 1 << i : -(1 << i);
    EXPECT_EQ(formats::Bipolar<B>::decode(static_cast<std::uint8_t>(c)), static_cast<float>(sum)) << B << ' ' << c;
  }
}

TEST(Bipolar, EveryBitIsASign) {
  expect_signs<1>();
  expect_signs<2>();
  expect_signs<5>();
  expect_signs<8>();
}

}  // namespace
}  // namespace nibble
