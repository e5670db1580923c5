// Casts of arrays: matrices of any kind, lengths, formats without SIMD, stochastic rounding, bad input.
#include "nibble/kernels/cast.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "formats/toy_formats.h"
#include "kernels/guard_pages.h"
#include "message_of.h"

namespace nibble {
namespace {

using formats::BFloat16;
using formats::E2M1;
using formats::E4M3FN;
using formats::Half;
using formats::Overflow;
using formats::RoundTo;
using test::Guard;
using test::GuardedBytes;
using test::message_of;

/// Random bits: NaNs, infinities and subnormals among them.
std::vector<float> random_bits(std::size_t count) {
  std::vector<float> x(count);
  for (std::size_t i = 0; i < count; ++i) x[i] = std::bit_cast<float>(Random(3).bits(i));
  return x;
}

/// `count` numbers of N(0, 1), nearly: sums of twelve uniform ones.
Eigen::MatrixXd numbers(Eigen::Index rows, Eigen::Index cols) {
  std::uint64_t next = 0;
  return Eigen::MatrixXd::NullaryExpr(rows, cols, [&] {
    double sum = -6;
    for (int i = 0; i < 12; ++i) sum += static_cast<double>(Random(4).uniform(next++));
    return sum;
  });
}

template <class F> void expect_any_length() {
  using Code = typename F::code_type;
  const std::vector<float> x = random_bits(200);
  for (std::size_t count = 0; count <= 200; ++count) {
    for (Guard guard : {Guard::Before, Guard::After}) {
      GuardedBytes floats(count * sizeof(float), guard), codes(count * sizeof(Code), guard);
      auto* const f = reinterpret_cast<float*>(floats.data());
      auto* const c = reinterpret_cast<Code*>(codes.data());
      for (Isa isa : available_isas()) {
        std::copy_n(x.data(), count, f);
        encode<F>(f, static_cast<std::ptrdiff_t>(count), c, {.isa = isa});
        for (std::size_t i = 0; i < count; ++i) ASSERT_EQ(c[i], F::encode(x[i])) << name(isa) << ' ' << i;
        decode<F>(c, static_cast<std::ptrdiff_t>(count), f, isa);
        for (std::size_t i = 0; i < count; ++i) {
          const float expected = F::decode(F::encode(x[i]));
          ASSERT_EQ(std::memcmp(&f[i], &expected, sizeof(float)), 0) << name(isa) << ' ' << i;
        }
      }
    }
  }
}

TEST(Cast, AnyLengthInsideGuardPages) {
  expect_any_length<E4M3FN>();
  expect_any_length<E2M1>();
  expect_any_length<Half>();
  expect_any_length<formats::MiniFloat<5, 5>>();
}

/// A format of 8 bits whose values need all bits of a float; code 255 is NaN.
struct Thirds {
  using code_type = std::uint8_t;
  static constexpr int bits = 8;
  static constexpr float max() { return 254 / 3.0f; }
  static constexpr float decode(code_type code) {
    return code == 255 ? std::numeric_limits<float>::quiet_NaN() : static_cast<float>(code) / -3.0f;
  }
  static code_type encode(float x) {
    return std::isnan(x) ? code_type{255} : static_cast<code_type>(std::lrint(std::clamp(x * -3, 0.0f, 254.0f)));
  }
};

/// The same with 7 bits.
struct FewerThirds : Thirds {
  static constexpr int bits = 7;
  static constexpr float max() { return 127 / 3.0f; }
  static code_type encode(float x) { return std::min(Thirds::encode(x), code_type{127}); }
};

TEST(Cast, FormatsOfAnyKind) {
  expect_any_length<test::Uneven>();
  expect_any_length<formats::UInt<3>>();
  expect_any_length<formats::UInt<6>>();
  expect_any_length<FewerThirds>();
  expect_any_length<Thirds>();
  expect_any_length<formats::Float32>();
}

TEST(Cast, MatricesOfAnyKind) {
  const Eigen::MatrixXd wide = numbers(37, 11);
  const Eigen::MatrixXf x = wide.cast<float>();
  CodeMatrix<E4M3FN> expected(37, 11);
  for (Eigen::Index j = 0; j < 11; ++j)
    for (Eigen::Index i = 0; i < 37; ++i) expected(i, j) = E4M3FN::encode(x(i, j));
  const Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor> rows = x;
  Eigen::MatrixXf big = Eigen::MatrixXf::Zero(50, 20);
  big.block(3, 4, 37, 11) = x;
  const Eigen::Map<const Eigen::MatrixXf, 0, Eigen::InnerStride<2>> every_second(x.data(), 18, 11);
  for (Isa isa : available_isas()) {
    const CastOptions options{.isa = isa};
    EXPECT_EQ(encode<E4M3FN>(x, options), expected);
    EXPECT_EQ(encode<E4M3FN>(rows, options), expected);
    EXPECT_EQ(encode<E4M3FN>(big.block(3, 4, 37, 11), options), expected);
    EXPECT_EQ(encode<E4M3FN>(x + 0 * x, options), expected);
    EXPECT_EQ(encode<E4M3FN>(rows.transpose(), options), expected.transpose());
    EXPECT_EQ(encode<E4M3FN>(x.row(5), options), expected.row(5));
    EXPECT_EQ(encode<E4M3FN>(x.col(5), options), expected.col(5));
    EXPECT_EQ(encode<E4M3FN>(x.transpose().col(5), options), expected.row(5).transpose());
    EXPECT_EQ(encode<E4M3FN>(every_second, options), encode<E4M3FN>(Eigen::MatrixXf(every_second), options));
    const Eigen::MatrixXf values = decode<E4M3FN>(expected, isa);
    EXPECT_EQ(values, decode<E4M3FN>(expected.transpose(), isa).transpose());
    EXPECT_EQ(values.block(3, 2, 30, 7), decode<E4M3FN>(expected.block(3, 2, 30, 7), isa));
    for (Eigen::Index i = 0; i < x.size(); ++i) EXPECT_EQ(values.data()[i], E4M3FN::decode(expected.data()[i]));
    for (const auto& [r, c] : {std::pair<Eigen::Index, Eigen::Index>{0, 0}, {0, 5}, {5, 0}}) {
      const CodeMatrix<E4M3FN> none = encode<E4M3FN>(Eigen::MatrixXf(r, c), options);
      EXPECT_TRUE(none.rows() == r && none.cols() == c);
      EXPECT_TRUE(decode<E4M3FN>(none, isa).rows() == r);
    }
  }
}

TEST(Cast, HalvesKeepTheirBits) {
  Eigen::Matrix<Eigen::half, Eigen::Dynamic, Eigen::Dynamic> halves(256, 256);
  for (int i = 0; i < 65536; ++i) halves.data()[i] = std::bit_cast<Eigen::half>(static_cast<std::uint16_t>(i));
  const CodeMatrix<Half> codes = encode<Half>(halves);
  int wrong = 0;
  for (int i = 0; i < 65536; ++i)
    wrong +=
        !(Eigen::numext::isnan(halves.data()[i]) ? std::isnan(Half::decode(codes.data()[i])) : codes.data()[i] == i);
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(encode<BFloat16>(halves.cast<Eigen::bfloat16>()),
            encode<BFloat16>(halves.cast<Eigen::bfloat16>().cast<float>()));
}

// Half of the step between 1 and 1.125 and a little more: as a float, exactly half.
TEST(Cast, DoublesAreRoundedOnce) {
  Eigen::MatrixXd x(3, 3);
  x << 1.0625 + 1e-12, 1.0625, 1.0625 - 1e-12, 1.1875 + 1e-12, 1.1875, 1.1875 - 1e-12, -1.0625 - 1e-12, 1e300, 1e-300;
  CodeMatrix<E4M3FN> expected(3, 3);
  expected << 0x39, 0x38, 0x38, 0x3a, 0x3a, 0x39, 0xb9, 0x7e, 0;
  EXPECT_EQ(encode<E4M3FN>(x), expected);
  expected(2, 1) = 0x7f;
  EXPECT_EQ(encode<E4M3FN>(x, {.overflow = Overflow::Standard}), expected);
  EXPECT_EQ(encode<Half>(Eigen::MatrixXd::Constant(1, 1, INFINITY))(0), 0x7c00);
  EXPECT_EQ(encode<formats::Float32>(Eigen::MatrixXd::Constant(1, 1, 1 + 1e-12))(0), 0x3f800000u);
  EXPECT_EQ(encode<Half>(Eigen::MatrixXd::Constant(1, 1, -1e300))(0), 0xfbff);
  EXPECT_EQ(encode<Half>(Eigen::MatrixXd::Constant(1, 1, NAN))(0), 0x7e00);
}

template <class F> void expect_stochastic(Overflow overflow) {
  const std::vector<float> x = random_bits(1000);
  const auto count = static_cast<std::ptrdiff_t>(x.size());
  const CastOptions options{.overflow = overflow, .rounding = RoundTo::Stochastic, .seed = 9, .first = 6};
  std::vector<typename F::code_type> expected(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::uint32_t random = Random(9).bits(i + 6);
    expected[i] = overflow == Overflow::Saturate
                      ? F::template encode<Overflow::Saturate, RoundTo::Stochastic>(x[i], random)
                      : F::template encode<Overflow::Standard, RoundTo::Stochastic>(x[i], random);
  }
  for (Isa isa : available_isas()) {
    for (std::ptrdiff_t split : {0, 1, 2, 3, 4, 17, 999, 1000}) {
      std::vector<typename F::code_type> codes(x.size());
      CastOptions part = options;
      part.isa = isa;
      encode<F>(x.data(), split, codes.data(), part);
      part.first += static_cast<std::uint64_t>(split);
      encode<F>(x.data() + split, count - split, codes.data() + split, part);
      EXPECT_EQ(codes, expected) << name(isa) << ' ' << split;
    }
  }
}

TEST(Cast, StochasticRoundingDependsOnSeedAndPositionOnly) {
  expect_stochastic<E4M3FN>(Overflow::Saturate);
  expect_stochastic<E2M1>(Overflow::Saturate);
  expect_stochastic<Half>(Overflow::Standard);

  const Eigen::MatrixXf x = numbers(37, 11).cast<float>();
  Eigen::MatrixXf big = Eigen::MatrixXf::Zero(50, 20);
  big.block(3, 4, 37, 11) = x;
  const CastOptions options{.rounding = RoundTo::Stochastic, .seed = 1};
  EXPECT_EQ(encode<E4M3FN>(x, options), encode<E4M3FN>(big.block(3, 4, 37, 11), options));
  EXPECT_EQ(encode<E4M3FN>(x, options), encode<E4M3FN>(x.cast<double>(), options));
  EXPECT_NE(encode<E4M3FN>(x, options), encode<E4M3FN>(x, {.rounding = RoundTo::Stochastic, .seed = 2}));
}

// 2.25 lies a quarter of the way from 2 to 3. Five standard deviations: a false alarm in two million seeds.
TEST(Cast, StochasticRoundingIsUnbiased) {
  constexpr int count = 100000;
  const Eigen::VectorXf x = Eigen::VectorXf::Constant(count, 2.25f);
  const Eigen::MatrixXf y = decode<E2M1>(encode<E2M1>(x, {.rounding = RoundTo::Stochastic, .seed = 11}));
  EXPECT_TRUE((y.array() == 2 || y.array() == 3).all());
  EXPECT_NEAR(y.cast<double>().mean(), 2.25, 5 * std::sqrt(0.25 * 0.75 / count));
}

TEST(Cast, NamesWhatIsWrong) {
  const float x[2] = {1, 2};
  std::uint8_t codes[2] = {77, 77};
  float values[2] = {-7, -7};
  const auto says = [&](const std::string& words, auto&& f) {
    const std::string message = message_of(f);
    EXPECT_NE(message.find(words), std::string::npos) << message;
    EXPECT_TRUE(codes[0] == 77 && codes[1] == 77 && values[0] == -7 && values[1] == -7);
  };
  const auto no_isa = static_cast<Isa>(6);
  says("nibble::encode: expected a count of at least 0, got -1", [&] { encode<E4M3FN>(x, -1, codes); });
  says("nibble::decode: expected a count of at least 0, got -1", [&] { decode<E4M3FN>(codes, -1, values); });
  says("an instruction set that this CPU has", [&] { encode<E4M3FN>(x, 2, codes, {.isa = no_isa}); });
  says("an instruction set that this CPU has", [&] { decode<E4M3FN>(codes, 2, values, no_isa); });
  says("an instruction set that this CPU has", [&] { encode<E4M3FN>(Eigen::MatrixXf(), {.isa = no_isa}); });
  says("an instruction set that this CPU has", [&] { decode<E4M3FN>(CodeMatrix<E4M3FN>(), no_isa); });
  says("nibble::encode: expected an overflow and a rounding that uint3 has, got Overflow(0) and RoundTo(2)",
       [&] { encode<formats::UInt<3>>(x, 2, codes, {.rounding = RoundTo::Zero}); });
  says("an overflow and a rounding that custom2 has, got Overflow(1) and RoundTo(0)",
       [&] { encode<test::Uneven>(x, 2, codes, {.overflow = Overflow::Standard}); });
  says("an overflow and a rounding that e4m3fn has, got Overflow(0) and RoundTo(9)",
       [&] { encode<E4M3FN>(x, 2, codes, {.rounding = static_cast<RoundTo>(9)}); });
}

}  // namespace
}  // namespace nibble
