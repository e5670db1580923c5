// What holds of every scalar format, against the plain list of its values.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

#include "formats/any_format.h"
#include "oracle/grid.h"

namespace nibble {
namespace {

using namespace formats;
using test::AnyFormat;
using test::Rounding;

std::vector<AnyFormat> all_formats() {
  std::vector<AnyFormat> all = test::any_formats<
      // Minifloats: the named ones, and awkward ones.
      E5M2, E4M3, E3M4, E4M3FN, E5M2FNUZ, E4M3FNUZ, E4M3B11FNUZ, E3M2, E2M3, E3M0, E2M1, E1M2, UE5M3, UE4M3, E8M0, Half,
      BFloat16, MiniFloat<2, 5>, MiniFloat<6, 1, 40, Special::Fn>, MiniFloat<1, 6, -3, Special::Finite>,
      MiniFloat<2, 0, 1, Special::Ieee>, MiniFloat<5, 0, 7, Special::Fnuz>, MiniFloat<6, 0, 5, Special::Fn>,
      MiniFloat<4, 0, -20, Special::Scale, Sign::Unsigned>, MiniFloat<4, 4, 7, Special::Finite, Sign::Unsigned>,
      MiniFloat<8, 0, 149, Special::Finite, Sign::Unsigned>, MiniFloat<6, 9>, MiniFloat<3, 12>, MiniFloat<8, 3>,
      MiniFloat<1, 14, 1, Special::Finite>, MiniFloat<4, 8, 7, Special::Fn, Sign::Unsigned>>();
  const std::vector<AnyFormat> others = test::any_formats<
      // Integers and fixed point.
      formats::Int<2>, formats::Int<3>, formats::Int<4>, formats::Int<5>, formats::Int<6>, formats::Int<7>,
      formats::Int<8>, formats::Int<9>, formats::Int<16>, formats::UInt<1>, formats::UInt<2>, formats::UInt<4>,
      formats::UInt<8>, formats::UInt<12>, formats::UInt<16>, formats::Bipolar<1>, formats::Bipolar<2>,
      formats::Bipolar<3>, formats::Bipolar<8>, Fixed<2, 0>, Fixed<4, 2>, Fixed<8, 6>, Fixed<8, -3>, Fixed<12, 4>,
      Fixed<16, 15>, PowerSum<6, 2, 1>, PowerSum<8, 7, 2>, PowerSum<16, 8, 1>, PowerSum<16, 8, 3>, DInt<3>, DInt<4>,
      DInt<8>,
      // Tapered.
      HiFloat8, Posit8, Posit16, Posit<3>, Posit<5>, Posit<10>, DynamicSigned, DynamicUnsigned,
      // Powers.
      PowerOfTwo<2>, PowerOfTwo<4>, PowerOfTwo<5>, PowerOfTwo<8>, DenseShift<1>, DenseShift<2>, DenseShift<4>,
      DenseShift<8>, AdditivePowers<3>, AdditivePowers<4>, AdditivePowers<5>, AdditivePowers<6>, AdditivePowers<7, 3>,
      AdditivePowers<8>, formats::Log2<1>, formats::Log2<3>, formats::Log2<4>, formats::Log2<7>, PowerExponent<2, 1, 2>,
      PowerExponent<4, 1, 1>, PowerExponent<4, 2, 3>, PowerExponent<4, 3, 2>, PowerExponent<8, 1, 4>>();
  all.insert(all.end(), others.begin(), others.end());
  return all;
}

class EveryFormat : public testing::TestWithParam<AnyFormat> {
 protected:
  const AnyFormat& f = GetParam();
  const std::uint32_t code_count = std::uint32_t{1} << f.bits;
  /// The values that encode is to choose from: those of codes that it gives back.
  const oracle::Grid grid = [this] {
    oracle::Grid g;
    for (std::uint32_t c = 0; c < code_count; ++c)
      if (f.encode(static_cast<float>(f.decode(c))) == c) g.add(f.decode(c), c);
    return g;
  }();
  const std::vector<double> values = grid.values();

  /// Finite halves; all values, the middles between them and the floats beside those; the ends of the floats. Both
  /// signs, ascending.
  std::vector<float> inputs() const {
    std::vector<float> in;
    for (int bits = 0; bits < 0x7c00; ++bits) {
      const int field = bits >> 10;
      const int fraction = bits & 1023;
      in.push_back(
          static_cast<float>(field == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, field - 25)));
    }
    const auto add = [&](double v) {
      const auto x = static_cast<float>(v);
      for (float near : {std::nextafter(x, -INFINITY), x, std::nextafter(x, INFINITY)})
        if (std::isfinite(near)) in.push_back(near);
    };
    for (std::size_t i = 0; i < values.size(); ++i) {
      add(values[i]);
      if (i > 0) add((values[i - 1] + values[i]) / 2);
    }
    using Limits = std::numeric_limits<float>;
    in.insert(in.end(), {Limits::denorm_min(), Limits::min(), 1.0f, 3.0e9f, Limits::max()});
    for (std::size_t i = 0, n = in.size(); i < n; ++i) in.push_back(-in[i]);
    std::sort(in.begin(), in.end());
    return in;
  }
};

// Each code's value encodes to a code of that value, and that code comes back. Values beyond max (the one code that
// symmetric integers leave unused) may be clamped.
TEST_P(EveryFormat, CodesComeBack) {
  for (std::uint32_t c = 0; c < code_count; ++c) {
    const double value = f.decode(c);
    if (!std::isfinite(value)) continue;
    const std::uint32_t code = f.encode(static_cast<float>(value));
    ASSERT_LT(code, code_count);
    if (std::abs(value) <= f.max) {
      ASSERT_EQ(f.decode(code), value) << c;
    }
    ASSERT_EQ(f.encode(static_cast<float>(f.decode(code))), code) << c;
  }
  for (const auto& [value, codes] : grid.codes()) ASSERT_LE(codes.size(), value == 0 ? 2u : 1u) << value;
}

TEST_P(EveryFormat, MaxIsTheLargestMagnitude) {
  ASSERT_GE(values.size(), 2u);
  EXPECT_EQ(f.max, std::max(-values.front(), values.back()));
}

TEST_P(EveryFormat, EncodesToTheNearest) {
  int wrong = 0;
  int ties = 0;
  for (float x : inputs()) {
    const std::uint32_t code = f.encode(x);
    const double got = f.decode(code);
    std::vector<double> expected = grid.nearest(static_cast<double>(x));
    if (f.rounding == Rounding::Neighbour) expected = grid.around(static_cast<double>(x));
    bool right = std::find(expected.begin(), expected.end(), got) != expected.end();
    if (f.rounding == Rounding::Even && expected.size() == 2) {
      ++ties;
      const auto code_of = [&](double v) { return grid.codes().at(v).front(); };
      const std::uint32_t a = code_of(expected[0]);
      const std::uint32_t b = code_of(expected[1]);
      right = right && (a % 2 != b % 2 ? code % 2 == 0 : code == std::min(a, b));
    }
    if (!right && ++wrong <= 5)
      ADD_FAILURE() << text(std::hexfloat, x, " became code ", code, ", ", got, ", not ", expected[0]);
  }
  EXPECT_EQ(wrong, 0);
  if (f.rounding == Rounding::Even) {
    EXPECT_GT(ties, 0);
  }
}

TEST_P(EveryFormat, IsMonotone) {
  double before = -INFINITY;
  for (float x : inputs()) {
    const double now = f.decode(f.encode(x));
    ASSERT_GE(now, before) << x;
    before = now;
  }
}

// Infinities give infinity or NaN where there is one, else the ends. NaN gives NaN where there is one.
TEST_P(EveryFormat, NotFinite) {
  bool nan = false;
  bool infinity = false;
  for (std::uint32_t c = 0; c < code_count; ++c) {
    nan |= std::isnan(f.decode(c));
    infinity |= std::isinf(f.decode(c));
  }
  EXPECT_EQ(f.has_nan, nan);
  EXPECT_EQ(f.has_infinity, infinity);
  const float quiet = std::numeric_limits<float>::quiet_NaN();
  for (float x : {quiet, -quiet}) {
    ASSERT_LT(f.encode(x), code_count);
    EXPECT_EQ(std::isnan(f.decode(f.encode(x))), nan);
  }
  for (float x : {INFINITY, -INFINITY}) {
    const double got = f.decode(f.encode(x));
    if (infinity) {
      EXPECT_EQ(got, static_cast<double>(x));
    } else if (nan) {
      EXPECT_TRUE(std::isnan(got)) << got;
    } else {
      EXPECT_EQ(got, x > 0 ? values.back() : values.front());
    }
  }
}

TEST_P(EveryFormat, Levels) {
  const auto levels = f.levels();
  ASSERT_EQ(levels.size(), values.size());
  for (std::size_t i = 0; i < levels.size(); ++i) {
    const auto [value, code] = levels[i];
    ASSERT_EQ(value, values[i]);
    ASSERT_EQ(f.encode(static_cast<float>(value)), code);
    ASSERT_FALSE(value == 0 && std::signbit(value));
    ASSERT_EQ(f.enclose(static_cast<float>(value)), std::pair(value, value));
  }
  for (std::size_t i = 1; i < levels.size(); ++i) {
    const auto middle = static_cast<float>((values[i - 1] + values[i]) / 2);
    if (static_cast<double>(middle) == values[i - 1] || static_cast<double>(middle) == values[i]) continue;
    ASSERT_EQ(f.enclose(middle), std::pair(values[i - 1], values[i]));
  }
  EXPECT_EQ(f.enclose(INFINITY), std::pair(values.back(), values.back()));
  EXPECT_EQ(f.enclose(-INFINITY), std::pair(values.front(), values.front()));
}

INSTANTIATE_TEST_SUITE_P(All, EveryFormat, testing::ValuesIn(all_formats()));

// A file says by its name which format its codes are of.
TEST(EveryFormatName, IsItsOwn) {
  std::multiset<std::string> names{Pair11::name(), Float32::name()};
  for (const AnyFormat& f : all_formats()) names.insert(f.name);
  for (const std::string& name : names) EXPECT_EQ(names.count(name), 1u) << name;
  EXPECT_EQ(names.count(""), 0u);
}

}  // namespace
}  // namespace nibble
