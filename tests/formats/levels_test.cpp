// The values of a format in order, against a search through all codes.
#include "nibble/formats/levels.h"

#include <gtest/gtest.h>

#include <limits>

#include "formats/toy_formats.h"
#include "nibble/formats/integer.h"
#include "nibble/formats/minifloat.h"

namespace nibble {
namespace {

template <class F> class Levels : public testing::Test {};
using LevelFormats =
    testing::Types<formats::Int<1>, formats::Int<4>, formats::Int<8>, formats::UInt<3>, formats::E2M1, formats::E4M3FN,
                   formats::E5M2, formats::E8M0, formats::Half, formats::BFloat16, test::Uneven>;
TYPED_TEST_SUITE(Levels, LevelFormats);

/// Int<B> from 2 bits on never chooses -2^(B-1).
template <class F> constexpr bool is_symmetric_integer = false;
template <int B> constexpr bool is_symmetric_integer<formats::Int<B>> = B > 1;

TYPED_TEST(Levels, AreTheFiniteValuesInOrderEachOnce) {
  using F = TypeParam;
  const auto levels = make_levels<F>();
  std::size_t finite = 0;
  for (std::uint32_t c = 0; c < code_count<F>; ++c) {
    const float value = F::decode(static_cast<typename F::code_type>(c));
    const bool counts =
        std::isfinite(value) && !(value == 0 && std::signbit(value)) && !(is_symmetric_integer<F> && c == 0);
    finite += counts;
    if (counts) {
      const auto found = std::find_if(levels.begin(), levels.end(), [&](const auto& l) { return l.value == value; });
      ASSERT_TRUE(found != levels.end()) << value;
    }
    if (code_count < F >> 256) c += 250;  // a search for each code of 16 bits would take long
  }
  if (code_count<F> <= 256) {
    EXPECT_EQ(levels.size(), finite);
  }
  for (std::size_t i = 0; i < levels.size(); ++i) {
    ASSERT_EQ(F::decode(levels[i].code), levels[i].value);
    ASSERT_FALSE(levels[i].value == 0 && std::signbit(levels[i].value));
    if (i > 0) {
      ASSERT_LT(levels[i - 1].value, levels[i].value);
    }
  }
}

TYPED_TEST(Levels, NeighboursEnclose) {
  using F = TypeParam;
  const auto levels = make_levels<F>();
  std::vector<float> xs = {0.0f, -0.0f, 1e30f, -1e30f, 0.3f, -0.3f, 1e-30f};
  for (std::size_t i = 0; i < levels.size(); i += 1 + levels.size() / 300) {
    const float v = levels[i].value;
    for (float x : {v, std::nextafter(v, 1e38f), std::nextafter(v, -1e38f)}) xs.push_back(x);
  }
  for (float x : xs) {
    // The least value from x on and the greatest up to x; at the ends, the end.
    const Level<F>* below = nullptr;
    const Level<F>* above = nullptr;
    for (const auto& level : levels) {
      if (level.value <= x) below = &level;
      if (level.value >= x && above == nullptr) above = &level;
    }
    if (below == nullptr) below = &levels.front();
    if (above == nullptr) above = &levels.back();
    const auto found = neighbours(levels, x);
    ASSERT_EQ(found.below.value, below->value) << x;
    ASSERT_EQ(found.above.value, above->value) << x;
    ASSERT_EQ(found.below.code, below->code) << x;
    ASSERT_EQ(found.above.code, above->code) << x;
  }
}

TEST(Levels, Counts) {
  EXPECT_EQ(make_levels<formats::Int<4>>().size(), 15U);   // -8
  EXPECT_EQ(make_levels<formats::E2M1>().size(), 15U);     // -0
  EXPECT_EQ(make_levels<formats::E4M3FN>().size(), 253U);  // -0, two NaNs
  EXPECT_EQ(make_levels<formats::E5M2>().size(), 247U);    // -0, two infinities, six NaNs
  EXPECT_EQ(make_levels<formats::E8M0>().size(), 255U);
  EXPECT_EQ(make_levels<formats::Half>().size(), 63487U);
}

TEST(Levels, OfATableWithEqualEntries) {
  const float table[] = {0.5f, -1, 0.5f, 0};
  const auto levels = make_levels<test::Quantiles>({table});
  ASSERT_EQ(levels.size(), 3U);
  EXPECT_EQ(levels[0].value, -1);
  EXPECT_EQ(levels[0].code, 1);
  EXPECT_EQ(levels[1].value, 0);
  EXPECT_EQ(levels[2].value, 0.5f);
  EXPECT_EQ(levels[2].code, 0);  // the first of the two
}

}  // namespace
}  // namespace nibble
