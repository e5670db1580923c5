// Powers of two, additive powers of two, logarithms, power-exponent grids and dINT against closed forms.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "nibble/formats/dint.h"
#include "nibble/formats/integer.h"
#include "nibble/formats/logarithmic.h"
#include "nibble/formats/power_exponent.h"
#include "nibble/formats/power_of_two.h"

namespace nibble {
namespace {

using formats::AdditivePowers;
using formats::DenseShift;
using formats::DInt;
using formats::Int;
using formats::PowerExponent;
using formats::PowerOfTwo;

template <class F> std::vector<float> values() {
  std::vector<float> out;
  for (std::uint32_t c = 0; c < code_count<F>; ++c) out.push_back(F::decode(static_cast<typename F::code_type>(c)));
  return out;
}

TEST(PowerOfTwo, Values) {
  EXPECT_EQ(values<PowerOfTwo<3>>(), (std::vector<float>{0, 1, 2, 4, -0.0f, -1, -2, -4}));
  EXPECT_EQ(PowerOfTwo<8>::max(), 0x1p126f);
  EXPECT_EQ(PowerOfTwo<4>::encode(0.5f), 0);
  EXPECT_EQ(PowerOfTwo<4>::encode(1.5f), 2);
  EXPECT_EQ(PowerOfTwo<4>::encode(3), 2);
  EXPECT_EQ(PowerOfTwo<4>::encode(-6), 12);
}

TEST(DenseShift, IsASignAndAShift) {
  EXPECT_EQ(values<DenseShift<1>>(), (std::vector<float>{1, -1}));
  EXPECT_EQ(values<DenseShift<3>>(), (std::vector<float>{1, 2, 4, 8, -1, -2, -4, -8}));
  for (int c = 0; c < 32; ++c) {
    const auto code = static_cast<std::uint8_t>(c);
    EXPECT_EQ(DenseShift<6>::exponent(code), c);
    EXPECT_EQ(static_cast<double>(DenseShift<6>::decode(code)), static_cast<double>(std::int64_t{1} << c));
  }
  EXPECT_EQ(DenseShift<8>::max(), 0x1p127f);
  EXPECT_EQ(DenseShift<4>::encode(0), 0);
  EXPECT_EQ(DenseShift<4>::encode(-0.0f), 0);
  EXPECT_EQ(DenseShift<4>::encode(-0.1f), 8);
  EXPECT_EQ(DenseShift<4>::encode(3), 2);  // between 2 (code 1) and 4 (code 2)
  EXPECT_EQ(DenseShift<4>::encode(6), 2);
}

// The levels of build_power_value in the authors' code, over the least of them: 3, 4 and 5 bits.
TEST(AdditivePowers, Levels) {
  EXPECT_EQ(values<AdditivePowers<3>>(), (std::vector<float>{-4, -4, -2, -1, 0, 1, 2, 4}));
  EXPECT_EQ(values<AdditivePowers<4>>(),
            (std::vector<float>{-10, -10, -8, -6, -4, -3, -2, -1, 0, 1, 2, 3, 4, 6, 8, 10}));
  const std::vector<float> five{0, 1, 2, 3, 4, 6, 8, 9, 12, 16, 18, 24, 32, 33, 36, 48};
  for (std::size_t i = 0; i < 16; ++i) EXPECT_EQ(AdditivePowers<5>::decode(static_cast<std::uint8_t>(16 + i)), five[i]);
}

// Six bits: {0, 2^6, 2^4, 2^1} + {0, 2^5, 2^3, 2^0} + {0, 2^2}; seven bits in two terms of three: interleaved powers.
template <int B, int K> void expect_sums(const std::vector<std::vector<int>>& terms) {
  std::vector<float> expected{0};
  for (const auto& term : terms) {
    const std::vector<float> before = expected;
    for (int v : term)
      for (float x : before) expected.push_back(x + static_cast<float>(v));
  }
  std::sort(expected.begin(), expected.end());
  ASSERT_EQ(expected.size(), std::size_t{1} << (B - 1));
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ((AdditivePowers<B, K>::decode(static_cast<std::uint8_t>(expected.size() + i))), expected[i]);
    if (i > 0) {
      EXPECT_EQ((AdditivePowers<B, K>::decode(static_cast<std::uint8_t>(expected.size() - i))), -expected[i]);
    }
  }
}

TEST(AdditivePowers, SumsOfTerms) {
  expect_sums<6, 2>({{64, 16, 2}, {32, 8, 1}, {4}});
  expect_sums<7, 3>({{8192, 2048, 512, 128, 32, 8, 2}, {4096, 1024, 256, 64, 16, 4, 1}});
  expect_sums<7, 2>({{256, 32, 4}, {128, 16, 2}, {64, 8, 1}});
  expect_sums<4, 3>({{64, 32, 16, 8, 4, 2, 1}});
  expect_sums<8, 1>({{64}, {32}, {16}, {8}, {4}, {2}, {1}});
}

TEST(Log2, Values) {
  using F = formats::Log2<4>;
  for (int c = 0; c < 16; ++c) EXPECT_EQ(F::decode(static_cast<std::uint8_t>(c)), std::ldexp(1.0f, -c));
  EXPECT_EQ(F::encode(1), 0);
  EXPECT_EQ(F::encode(7), 0);
  EXPECT_EQ(F::encode(0.75f), 0);   // between codes 0 and 1
  EXPECT_EQ(F::encode(0.375f), 2);  // between codes 1 and 2
  EXPECT_EQ(F::encode(0.37f), 1 + (0.37f < 0.375f));
  EXPECT_EQ(F::encode(0), 15);
  EXPECT_EQ(F::encode(-1), 15);
  EXPECT_EQ(formats::Log2<7>::decode(127), 0x1p-127f);
}

// t (i / t)^(Den / Num) in long double, rounded to float.
template <int B, int Num, int Den> void expect_powers() {
  const int top = (1 << (B - 1)) - 1;
  for (int i = -top; i <= top; ++i) {
    const long double part = static_cast<long double>(std::abs(i)) / top;
    const long double power = top * std::pow(part, static_cast<long double>(Den) / Num);
    const auto code = static_cast<std::uint8_t>(top + 1 + i);
    EXPECT_EQ((PowerExponent<B, Num, Den>::decode(code)), static_cast<float>(i < 0 ? -power : power)) << i;
  }
}

TEST(PowerExponent, ClosedForm) {
  expect_powers<4, 1, 2>();
  expect_powers<4, 3, 2>();
  expect_powers<8, 1, 4>();
  expect_powers<8, 2, 3>();
  expect_powers<8, 3, 5>();
  expect_powers<8, 9, 10>();
  expect_powers<8, 11, 10>();
  expect_powers<6, 3, 4>();
}

TEST(PowerExponent, OneIsTheInteger) {
  for (int c = 1; c < 256; ++c) {
    const auto code = static_cast<std::uint8_t>(c);
    EXPECT_EQ((PowerExponent<8, 1, 1>::decode(code)), Int<8>::decode(code));
  }
  for (float x = -130; x <= 130; x += 0.125f) EXPECT_EQ((PowerExponent<8, 1, 1>::encode(x)), Int<8>::encode(x)) << x;
}

TEST(DInt, HasHalves) {
  EXPECT_EQ(values<DInt<3>>(), (std::vector<float>{-2, -2, -1, -0.5f, 0, 0.5f, 1, 2}));
  EXPECT_EQ(DInt<4>::max(), 6);
  EXPECT_EQ(DInt<8>::max(), 126);
  EXPECT_EQ(DInt<4>::encode(0.25f), 8);  // between 0 (code 8) and 1/2 (code 9)
  EXPECT_EQ(DInt<4>::encode(0.75f), 10);
  EXPECT_EQ(DInt<4>::encode(1.5f), 10);  // between 1 (code 10) and 2 (code 11)
  EXPECT_EQ(DInt<4>::encode(100), 14 + 1);
}

// What the format is for: fewer values become zero than with integers of the same reach.
TEST(DInt, UnderflowsLess) {
  int zeros = 0;
  int integer_zeros = 0;
  for (int i = -700; i <= 700; ++i) {
    const auto x = static_cast<float>(i) / 100;
    zeros += DInt<4>::decode(DInt<4>::encode(x * 6 / 7)) == 0;
    integer_zeros += Int<4>::decode(Int<4>::encode(x)) == 0;
  }
  EXPECT_LT(zeros, integer_zeros * 2 / 3);
}

}  // namespace
}  // namespace nibble
