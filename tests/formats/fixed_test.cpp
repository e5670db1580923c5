// Fixed point against integers and against std::nearbyint; sums of powers of two against all sums.
#include "nibble/formats/fixed.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "nibble/formats/power_sum.h"

namespace nibble {
namespace {

using formats::Fixed;
using formats::Int;
using formats::PowerSum;

// The element of OCP MXINT8: an implicit scale of 2^-6. Source: OCP MX 1.0, 5.3.4.
TEST(Fixed, IsTheElementOfMxInt8) {
  using F = Fixed<8, 6>;
  EXPECT_EQ(F::max(), 1.984375f);
  EXPECT_EQ(F::decode(128 + 64), 1);
  EXPECT_EQ(F::decode(0), -2);
  EXPECT_EQ(F::encode(-2), 1);
  EXPECT_EQ(F::encode(0x1p-7f), 128);
  EXPECT_EQ(F::encode(0x3p-7f), 130);
}

// round(x 2^P), ties to even, kept within the symmetric range.
template <int B, int P> void expect_rounding() {
  using F = Fixed<B, P>;
  const double top = std::ldexp(1, B - 1) - 1;
  for (int i = -3000; i <= 3000; ++i) {
    const auto x = static_cast<float>(std::ldexp(i, -P) / 4);
    const double expected = std::fmin(std::fmax(std::nearbyint(std::ldexp(static_cast<double>(x), P)), -top), top);
    ASSERT_EQ(static_cast<double>(F::decode(F::encode(x))), std::ldexp(expected, -P)) << x;
  }
}

TEST(Fixed, RoundsToTheStep) {
  expect_rounding<4, 2>();
  expect_rounding<8, 6>();
  expect_rounding<8, -3>();
  expect_rounding<11, 100>();
  expect_rounding<16, 15>();
}

TEST(Fixed, WithoutFractionIsAnInteger) {
  for (int c = 0; c < 256; ++c) {
    const auto code = static_cast<std::uint8_t>(c);
    EXPECT_EQ((Fixed<8, 0>::decode(code)), Int<8>::decode(code));
  }
  EXPECT_EQ((Fixed<8, 0>::encode(2.5f)), Int<8>::encode(2.5f));
}

/// All integers that are sums of at most n of 0, +-1, +-2, ... +-2^bits.
std::set<int> sums(int n, int bits) {
  std::set<int> out{0};
  for (; n > 0; --n) {
    const std::set<int> before = out;
    for (int v : before)
      for (int e = 0; e <= bits; ++e) out.insert({v + (1 << e), v - (1 << e)});
  }
  return out;
}

template <int B, int P, int N> void expect_sums() {
  using F = PowerSum<B, P, N>;
  const std::set<int> possible = sums(N, B + 1);
  const int top = (1 << (B - 1)) - 1;
  int chosen = 0;
  for (int v = -top; v <= top; ++v) {
    const auto x = static_cast<float>(std::ldexp(v, -P));
    const bool found = F::decode(F::encode(x)) == x;
    ASSERT_EQ(found, possible.count(v) != 0) << v;
    chosen += found;
  }
  EXPECT_EQ(F::bits, std::bit_width(static_cast<unsigned>(chosen)));
  EXPECT_EQ(F::encode(0), 1 << (F::bits - 1));
  for (std::uint32_t c = 0; c < code_count<F>; ++c) {
    const auto code = static_cast<typename F::code_type>(c);
    double sum = 0;
    bool ended = false;
    for (const auto& [sign, exponent] : F::terms(code)) {
      ended |= sign == 0;
      if (ended) {
        ASSERT_EQ(sign, 0);
      }
      sum += sign * std::ldexp(1, exponent);
    }
    ASSERT_EQ(sum, static_cast<double>(F::decode(code))) << c;
  }
}

TEST(PowerSum, HoldsAllSumsAndNoOthers) {
  expect_sums<2, 0, 1>();
  expect_sums<6, 2, 1>();
  expect_sums<6, 2, 3>();
  expect_sums<8, 7, 2>();
  expect_sums<10, -4, 2>();
}

TEST(PowerSum, Terms) {
  using F = PowerSum<6, 2, 2>;
  using Term = formats::SignedPower;
  EXPECT_EQ(F::terms(F::encode(7.75f)), (std::array<Term, 2>{Term{1, 3}, Term{-1, -2}}));
  EXPECT_EQ(F::terms(F::encode(-7.75f)), (std::array<Term, 2>{Term{-1, 3}, Term{1, -2}}));
  EXPECT_EQ(F::terms(F::encode(2)), (std::array<Term, 2>{Term{1, 1}, Term{}}));
  EXPECT_EQ(F::terms(F::encode(0)), (std::array<Term, 2>{}));
  // With as many powers as bits, every fixed-point value is there.
  EXPECT_EQ((PowerSum<6, 0, 3>::bits), 6);
}

}  // namespace
}  // namespace nibble
