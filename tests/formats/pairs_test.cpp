// Pairs of 11 levels: every code, against the rule and the nearest of all 121 pairs.
#include "nibble/formats/pairs.h"

#include <gtest/gtest.h>

#include <cmath>

namespace nibble {
namespace {

using formats::Pair11;
using Pair = std::array<float, 2>;

static_assert(Format<Pair11> && dim_of<Pair11> == 2);
static_assert(Pair11::encode(Pair11::decode(77)) == 77);

TEST(Pair11, CodesComeBack) {
  for (int a = -5; a <= 5; ++a) {
    for (int b = -5; b <= 5; ++b) {
      const auto code = static_cast<std::uint8_t>(11 * (a + 5) + b + 5);
      EXPECT_EQ(Pair11::decode(code), (Pair{static_cast<float>(a), static_cast<float>(b)}));
      EXPECT_EQ(Pair11::encode(Pair11::decode(code)), code);
    }
  }
}

TEST(Pair11, CodesThatAreNeverChosen) {
  for (int c = 121; c < 128; ++c) {
    const auto code = static_cast<std::uint8_t>(c);
    EXPECT_EQ(Pair11::decode(code), (Pair{6, static_cast<float>(c - 126)}));
    EXPECT_LT(Pair11::encode(Pair11::decode(code)), 121);
  }
}

TEST(Pair11, EncodesToTheNearest) {
  for (float a = -7; a <= 7; a += 0.25f) {
    for (float b = -7; b <= 7; b += 0.25f) {
      const auto distance = [&](std::uint8_t code) {
        const Pair p = Pair11::decode(code);
        return (p[0] - a) * (p[0] - a) + (p[1] - b) * (p[1] - b);
      };
      const std::uint8_t got = Pair11::encode({a, b});
      ASSERT_LT(got, 121);
      for (std::uint8_t c = 0; c < 121; ++c) ASSERT_LE(distance(got), distance(c)) << a << ' ' << b;
      // Ties go to even numbers.
      const Pair p = Pair11::decode(got);
      for (int i = 0; i < 2; ++i) {
        const float x = i == 0 ? a : b;
        if (std::abs(x) < 5 && std::abs(x - std::floor(x)) == 0.5f) {
          ASSERT_EQ(std::fmod(p[static_cast<std::size_t>(i)], 2.0f), 0) << x;
        }
      }
    }
  }
}

TEST(Pair11, IsAsNamed) {
  EXPECT_EQ(Pair11::max(), 5);
  EXPECT_EQ(format_name<Pair11>(), "pair11");
  float out[2];
  decode_to<Pair11>(60, {}, out);
  EXPECT_EQ(out[0], 0);
  EXPECT_EQ(out[1], 0);
  const float in[2] = {-INFINITY, INFINITY};
  EXPECT_EQ(encode_from<Pair11>(in, {}), 10);
}

}  // namespace
}  // namespace nibble
