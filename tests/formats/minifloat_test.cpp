// Minifloats against the golden tables: every code, every half, every edge, each overflow rule and rounding.
#include "nibble/formats/minifloat.h"

#include <utility>

#include "formats/golden.h"
#include "formats/golden_minifloats.h"
#include "nibble/core/random.h"

namespace nibble {
namespace {

using formats::Overflow;
using formats::RoundTo;

template <class G> class MiniFloatGolden : public testing::Test {
 protected:
  template <Overflow O, RoundTo R> void expect(const char* rounding) {
    test::expect_golden_codes(G::name, rounding, [](float x) { return G::Format::template encode<O, R>(x); });
  }
};

TYPED_TEST_SUITE(MiniFloatGolden, test::GoldenMiniFloats);

TYPED_TEST(MiniFloatGolden, Values) {
  test::expect_golden_values<typename TypeParam::Format>(TypeParam::name);
}

TYPED_TEST(MiniFloatGolden, NearestEven) {
  this->template expect<Overflow::Saturate, RoundTo::NearestEven>("saturate");
  this->template expect<Overflow::Standard, RoundTo::NearestEven>("standard");
}

TYPED_TEST(MiniFloatGolden, PlainEncodeSaturates) {
  test::expect_golden_codes(TypeParam::name, "saturate", [](float x) { return TypeParam::Format::encode(x); });
}

TYPED_TEST(MiniFloatGolden, NearestAway) {
  this->template expect<Overflow::Saturate, RoundTo::NearestAway>("away_saturate");
  this->template expect<Overflow::Standard, RoundTo::NearestAway>("away_standard");
}

TYPED_TEST(MiniFloatGolden, TowardZero) {
  this->template expect<Overflow::Saturate, RoundTo::Zero>("zero_saturate");
  this->template expect<Overflow::Standard, RoundTo::Zero>("zero_standard");
}

// Largest and smallest magnitudes. Source: OCP OFP8 1.0, OCP MX 1.0, IEEE 754.
TEST(MiniFloat, Limits) {
  EXPECT_EQ(formats::E2M1::max(), 6);
  EXPECT_EQ(formats::E4M3FN::max(), 448);
  EXPECT_EQ(formats::E5M2::max(), 57344);
  EXPECT_EQ(formats::E8M0::max(), 0x1p127f);
  EXPECT_EQ(formats::Half::max(), 65504);
  EXPECT_EQ(formats::E2M1::decode(1), 0.5f);
  EXPECT_EQ(formats::E4M3FN::decode(1), 0x1p-9f);
  EXPECT_EQ(formats::E4M3FN::decode(8), 0x1p-6f);
  EXPECT_EQ(formats::E5M2::decode(1), 0x1p-16f);
  EXPECT_EQ(formats::E5M2::decode(4), 0x1p-14f);
  EXPECT_EQ(formats::E8M0::decode(0), 0x1p-127f);
}

/// (-1)^s 2^(e - bias) (1 + m / 2^M), subnormals for e = 0, in double; codes with all-ones exponents are not looked at.
template <int E, int M, int Bias> void expect_fields() {
  using F = formats::MiniFloat<E, M, Bias>;
  for (std::uint32_t code = 0; code < code_count<F>; ++code) {
    const int e = static_cast<int>(code >> M & ((1u << E) - 1));
    const double m = std::ldexp(static_cast<double>(code & ((1u << M) - 1)), -M);
    if (e == (1 << E) - 1) continue;
    const double magnitude = e == 0 ? std::ldexp(m, 1 - Bias) : std::ldexp(1 + m, e - Bias);
    const auto value = static_cast<float>(code >> (E + M) != 0 ? -magnitude : magnitude);
    ASSERT_EQ(static_cast<double>(value), code >> (E + M) != 0 ? -magnitude : magnitude);
    ASSERT_EQ(F::decode(static_cast<typename F::code_type>(code)), value) << F::name() << ' ' << code;
    ASSERT_EQ(F::encode(value), code) << F::name();
  }
}

template <int E, int... M> void expect_mantissas(std::integer_sequence<int, M...>) {
  (expect_fields<E, M, (1 << (E - 1)) - 1>(), ...);
}
template <int... E> void expect_exponents(std::integer_sequence<int, E...>) {
  (expect_mantissas<E + 1>(std::make_integer_sequence<int, 15 - E>()), ...);
}

TEST(MiniFloat, EveryExponentAndMantissaWidth) {
  expect_exponents(std::make_integer_sequence<int, 8>());
}

TEST(MiniFloat, AnyBias) {
  expect_fields<4, 3, 0>();
  expect_fields<4, 3, -100>();
  expect_fields<4, 3, 146>();
  expect_fields<2, 1, 30>();
  expect_fields<5, 2, 40>();
}

TEST(MiniFloat, Names) {
  EXPECT_EQ(formats::E4M3FN::name(), "e4m3fn");
  EXPECT_EQ(formats::E4M3::name(), "e4m3ieee");
  EXPECT_EQ(formats::E5M2FNUZ::name(), "e5m2fnuz");
  EXPECT_EQ(formats::E4M3B11FNUZ::name(), "e4m3b11fnuz");
  EXPECT_EQ(formats::UE5M3::name(), "ue5m3fn");
  EXPECT_EQ(formats::E8M0::name(), "ue8m0");
  EXPECT_EQ(formats::E2M1::name(), "e2m1");
}

// Finite negative values give the smallest value or NaN, as the overflow rule says; -infinity gives NaN where there is
// one.
TEST(MiniFloat, UnsignedFormatsRefuseNegatives) {
  using formats::UE4M3;
  EXPECT_EQ(UE4M3::encode(-1), 0);
  EXPECT_EQ(UE4M3::encode<Overflow::Standard>(-1), 0x7f);
  EXPECT_EQ(UE4M3::encode(-INFINITY), 0x7f);
  EXPECT_EQ(UE4M3::encode(-0.0f), 0);
  EXPECT_EQ(formats::E8M0::encode(-1), 0);
  EXPECT_EQ(formats::E8M0::encode<Overflow::Standard>(-1), 0xff);
  EXPECT_EQ(formats::E8M0::encode<Overflow::Standard>(0), 0xff);
  using Plain = formats::MiniFloat<4, 4, 7, formats::Special::Finite, formats::Sign::Unsigned>;
  EXPECT_EQ(Plain::encode(-INFINITY), 0);
  EXPECT_EQ(Plain::encode<Overflow::Standard>(-1), 0);
}

TEST(MiniFloat, WorksAtCompileTime) {
  static_assert(formats::E4M3FN::encode(448.0f) == 0x7e);
  static_assert(formats::E4M3FN::decode(0x7e) == 448.0f);
  static_assert(formats::E2M1::encode(-6.0f) == 15);
}

// Stochastic rounding takes the upper neighbour if and only if the distance from the lower exceeds random / 2^32.
template <class F> class MiniFloatStochastic : public testing::Test {};
using StochasticFormats = testing::Types<formats::E2M1, formats::E3M2, formats::E3M0, formats::E4M3FN, formats::E5M2,
                                         formats::E4M3FNUZ, formats::Half, formats::BFloat16>;
TYPED_TEST_SUITE(MiniFloatStochastic, StochasticFormats);

TYPED_TEST(MiniFloatStochastic, KeepsValues) {
  using F = TypeParam;
  for (std::uint32_t c = 0; c < code_count<F>; ++c) {
    const auto code = static_cast<typename F::code_type>(c);
    if (!std::isfinite(F::decode(code))) continue;
    for (std::uint32_t random : {0u, 1u, 0x7fffffffu, 0x80000000u, 0xffffffffu})
      ASSERT_EQ((F::template encode<Overflow::Saturate, RoundTo::Stochastic>(F::decode(code), random)), code);
  }
}

TYPED_TEST(MiniFloatStochastic, TakesTheUpperNeighbourByTheDistance) {
  using F = TypeParam;
  // Between neighbours of the smallest codes, of a middle one and of the largest; a quarter, half, 5/8 of the way.
  for (std::uint32_t c : {0u, 1u, std::uint32_t{F::max_code} / 2, std::uint32_t{F::max_code} - 1}) {
    const double low = static_cast<double>(F::decode(static_cast<typename F::code_type>(c)));
    const double high = static_cast<double>(F::decode(static_cast<typename F::code_type>(c + 1)));
    for (double part : {0.25, 0.5, 0.625}) {
      const auto x = static_cast<float>(low + part * (high - low));
      const auto limit = static_cast<std::uint32_t>(part * 0x1p32);
      for (float sign : {1.0f, -1.0f}) {
        const auto encode = [&](std::uint32_t random) {
          return F::template encode<Overflow::Saturate, RoundTo::Stochastic>(sign * x, random) & F::magnitude_mask;
        };
        ASSERT_EQ(encode(0), c + 1);
        ASSERT_EQ(encode(limit - 1), c + 1) << x;
        ASSERT_EQ(encode(limit), c) << x;
        ASSERT_EQ(encode(0xffffffffu), c);
      }
    }
  }
}

// The mean of n roundings lies within 5 standard errors of the input: a fault 1 time in 1.7 million for each input.
TYPED_TEST(MiniFloatStochastic, IsUnbiased) {
  using F = TypeParam;
  constexpr int n = 20000;
  const Random random(7);
  for (float x : {0.3f, -0.7f, 1.1f, -1.37f, 2.2f, 5.9f}) {
    double sum = 0;
    double square = 0;
    for (int i = 0; i < n; ++i) {
      const std::uint32_t bits = random.bits(static_cast<std::uint64_t>(i));
      const auto code = F::template encode<Overflow::Saturate, RoundTo::Stochastic>(x, bits);
      const double error = static_cast<double>(F::decode(code)) - static_cast<double>(x);
      sum += error;
      square += error * error;
    }
    EXPECT_LE(std::abs(sum / n), 5 * std::sqrt(square / n / n)) << x;
    EXPECT_GT(square, 0) << x;
  }
}

}  // namespace
}  // namespace nibble
