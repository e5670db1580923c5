// MinimalError and OutputError against the naive search, published distortions, and MinMax, which they never exceed.
#include <gtest/gtest.h>

#include "quantize/random_weights.h"

namespace nibble {
namespace {

using test::message_of;

/// The error of a row of one group by trying every code for every weight.
template <class S>
double naive_error(std::span<const float> w, const GroupParams<S>& p, double power, const Eigen::VectorXf& counts) {
  double sum = 0;
  for (std::size_t j = 0; j < w.size(); ++j) {
    double least = std::numeric_limits<double>::infinity();
    for (std::uint32_t c = 0; c < code_count<typename S::format>; ++c) {
      if (std::same_as<typename S::format, formats::Int<4>> && c == 0) continue;
      float v = 0;
      decode_to<typename S::format>(static_cast<typename S::code_type>(c), {nullptr, p.choice}, &v);
      if (!std::isfinite(v)) continue;
      const double value = (static_cast<double>(v) - static_cast<double>(p.zero)) * static_cast<double>(p.scale);
      least = std::min(least, std::abs(value - static_cast<double>(w[j])));
    }
    sum += std::pow(least, power) * (counts.size() > 0 ? static_cast<double>(counts[static_cast<Index>(j)]) : 1.0);
  }
  return sum;
}

template <class S> class RangeOfLeastError : public testing::Test {};
using Schemes = testing::Types<Int<4>, UInt<4>, UInt<2>, Scheme<formats::E2M1>, Scheme<formats::E4M3FN>,
                               Scheme<formats::E2M1, PerRow, FloorScale>,
                               Scheme<formats::BestOf<formats::E2M1, formats::Int<4>>>, Int<4, PerRow, formats::Half>>;
TYPED_TEST_SUITE(RangeOfLeastError, Schemes);

TYPED_TEST(RangeOfLeastError, IsThatOfTheNaiveSearch) {
  using S = TypeParam;
  for (Index k : {1, 2, 17, 64, 131}) {
    RowMajorMatrixXf w = test::gaussian(3, k, 5);
    w.row(1) = test::student(1, k, 6, 2);
    w.row(2).array() += 0.8f;
    const Eigen::VectorXf inputs = test::uniform(k, 1, 7).cwiseAbs2();
    for (double power : {2.0, 1.0, 0.7, 4.0, 0.0}) {  // 0: weighted squares
      const bool weighted = power == 0;
      const double exponent = weighted ? 2 : power;
      const Eigen::VectorXf counts = weighted ? inputs : Eigen::VectorXf();
      const auto q = weighted ? quantize<S>(w, OutputError{inputs}) : quantize<S>(w, MinimalError{.power = power});
      for (Index i = 0; i < w.rows(); ++i) {
        const auto group = test::row(w, i);
        const Range whole = MinMax::range(group);
        double least = std::numeric_limits<double>::infinity();
        Quantizer<S> quantizer;
        for (; quantizer.side.choice < S::choices; ++quantizer.side.choice) {
          for (int step = -1; step < 60; ++step) {
            const float part = step < 0 ? 1.0f : 0.4f + static_cast<float>(step) / 59;
            const auto p = quantizer.params({whole.low * part, whole.high * part});
            least = std::min(least, naive_error<S>(group, p, exponent, counts));
          }
        }
        const double got = naive_error<S>(group, q.group(i, 0), exponent, counts);
        const double eps = static_cast<double>(k) * std::pow(1e-7, exponent);
        EXPECT_LE(got, least * (1 + 1e-3) + eps) << S::name() << ", row " << i << ", K " << k << ", p " << power;
        if (!S::affine) {
          EXPECT_GE(got, least * (1 - 1e-3)) << S::name() << ", row " << i << ", K " << k << ", p " << power;
        }
      }
    }
  }
}

TYPED_TEST(RangeOfLeastError, IsNeverWorseThanTheWhole) {
  using S = TypeParam;
  for (Index k : {1, 16, 33, 300}) {
    const RowMajorMatrixXf all = test::awkward(k);
    for (Index i = 0; i < all.rows(); ++i) {
      if (i == 5 && std::same_as<typename S::scale::format, formats::Half>) continue;  // beyond Half under any rule
      const RowMajorMatrixXf w = all.row(i);
      const auto group = WeightGroup{test::row(w, 0), 0, 0, k};
      Quantizer<S> quantizer;
      for (double power : {2.0, 0.5}) {
        const MinimalError rule{.power = power};
        const double error = quantizer.error(group.weights, rule(group, quantizer), power);
        EXPECT_LE(error, quantizer.error(group.weights, MinMax{}(group, quantizer), power)) << S::name() << ", " << i;
      }
      const OutputError rule{test::uniform(k, 1, 8).cwiseAbs()};
      EXPECT_LE(rule.error(group, quantizer, rule(group, quantizer)),
                rule.error(group, quantizer, MinMax{}(group, quantizer)));
      EXPECT_TRUE(quantize<S>(w, MinimalError{}).dequantize().allFinite());
    }
  }
}

// Scales near the largest half cannot be stretched; the search leaves those out.
TEST(MinimalError, StaysWithinTheScaleFormat) {
  const RowMajorMatrixXf w = test::uniform(1, 64, 3, 65000.0f * 7);
  const auto q = quantize<Int<4, PerRow, formats::Half>>(w, MinimalError{});
  EXPECT_LE(compare(w, q).relative_error, compare(w, quantize<Int<4, PerRow, formats::Half>>(w)).relative_error);
  const RowMajorMatrixXf huge = test::uniform(1, 64, 3, 3.3e38f);
  const Eigen::MatrixXf near = quantize<Int<4>>(huge, MinimalError{}).dequantize() * 1e-20f;
  EXPECT_LT((near - huge * 1e-20f).norm() / (huge * 1e-20f).norm(), 0.1f);
}

// A million normal numbers: the least mean squared errors of 2^b - 1 steps about 0 and of -2^(b-1) .. 2^(b-1) - 1
// steps, computed by quadrature.
TEST(MinimalError, ReachesTheBestUniformSteps) {
  const RowMajorMatrixXf w = test::gaussian(1024, 1024, 11);
  const auto distortion = [&](const auto& q) {
    const double e = compare(w, q).relative_error;
    return e * e;
  };
  const MinimalError rule{.steps = 100, .shrink = 0.2f, .stretch = 1};
  EXPECT_NEAR(distortion(quantize<Int<2, PerTensor>>(w, rule)), 0.190174, 0.0019);
  EXPECT_NEAR(distortion(quantize<Int<3, PerTensor>>(w, rule)), 0.0468600, 0.00047);
  EXPECT_NEAR(distortion(quantize<Int<4, PerTensor>>(w, rule)), 0.0128894, 0.00013);
  EXPECT_NEAR(distortion(quantize<Int<8, PerTensor>>(w, rule)), 8.83080e-5, 1.8e-6);  // a hundred samples are clipped
  EXPECT_NEAR(distortion(quantize<UInt<3, PerTensor>>(w, rule)), 0.0406382, 0.0004);
  EXPECT_NEAR(distortion(quantize<UInt<4, PerTensor>>(w, rule)), 0.0118640, 0.00012);
  EXPECT_NEAR(distortion(quantize<UInt<6, PerTensor>>(w, rule)), 0.00104285, 1.1e-5);
}

// One far weight on one side: moving that end alone pays.
TEST(MinimalError, MovesTheEndsOfAffineRangesApart) {
  RowMajorMatrixXf w = test::uniform(1, 2048, 12);
  w(0, 7) = 3;
  const auto q = quantize<UInt<4>>(w, MinimalError{});
  const auto p = q.group(0, 0);
  EXPECT_NEAR(static_cast<double>(-p.zero * p.scale), -1, 0.1);
  EXPECT_LT((15 - p.zero) * p.scale, 1.6f);
  double joint = std::numeric_limits<double>::infinity();
  Quantizer<UInt<4>> quantizer;
  for (int i = 0; i < 60; ++i) {
    const float part = 0.4f + static_cast<float>(i) / 59;
    joint = std::min(joint, quantizer.error(test::row(w, 0), quantizer.params({-part, 3 * part})));
  }
  EXPECT_LT(quantizer.error(test::row(w, 0), p), 0.9 * joint);
}

TEST(MinimalError, RejectsBadOptions) {
  const RowMajorMatrixXf w = test::gaussian(2, 8, 1), none(0, 0);
  const std::string search = "expected steps >= 2, 0 < shrink <= stretch, got ";
  EXPECT_EQ(message_of([&] { quantize<Int<4>>(w, MinimalError{.steps = 1}); }),
            "nibble::MinimalError: " + search + "1, 0.4, 1.4");
  EXPECT_EQ(message_of([&] { quantize<Int<4>>(none, MinimalError{.shrink = 0}); }),
            "nibble::MinimalError: " + search + "60, 0, 1.4");
  EXPECT_EQ(message_of([&] { quantize<Int<4>>(w, MinimalError{.stretch = 0.3f}); }),
            "nibble::MinimalError: " + search + "60, 0.4, 0.3");
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_NE(message_of([&] { quantize<Int<4>>(w, MinimalError{.stretch = infinity}); }), "");
  EXPECT_NE(message_of([&] { quantize<Int<4>>(w, MinimalError{.shrink = std::nanf("")}); }), "");
  for (double power : {0.0, -1.0, std::nan(""), static_cast<double>(infinity)})
    EXPECT_EQ(message_of([&] { quantize<Int<4>>(w, MinimalError{.power = power}); }),
              text("nibble::MinimalError: expected power > 0, got ", power));
}

TEST(OutputError, TakesTheMeanSquareOfActivations) {
  Eigen::MatrixXf x(3, 4);
  x << 1, 2, 3, 4, 0, 0, 0, 0, -1, 1, -1, 1;
  EXPECT_EQ(OutputError::from(x).weights, Eigen::Vector3f(7.5f, 0, 1));
  EXPECT_EQ(OutputError::from(x.cast<double>()).weights, Eigen::Vector3f(7.5f, 0, 1));
  EXPECT_EQ(message_of([&] { OutputError::from(Eigen::MatrixXf(3, 0)); }),
            "nibble::OutputError::from: expected at least one column, got 3 x 0");
  x(1, 1) = std::nanf("");
  EXPECT_NE(message_of([&] { OutputError::from(x); }), "");
}

// Independent inputs of very different sizes: the error of the outputs is the weighted error of the weights.
TEST(OutputError, LowersTheErrorOfTheOutputs) {
  const RowMajorMatrixXf w = test::gaussian(32, 256, 13);
  Eigen::MatrixXf x = test::gaussian(256, 512, 14);
  for (Index k = 0; k < 256; k += 4) x.row(k) *= 10;
  const auto error = [&](const auto& q) { return compare_outputs(w, q, x).relative_error; };
  using S = Int<3, Group<64>>;
  EXPECT_LT(error(quantize<S>(w, OutputError::from(x))), 0.97 * error(quantize<S>(w, MinimalError{})));
}

// The weighted error chooses the format too: only the input that counts is exact in it.
TEST(OutputError, ChoosesFormats) {
  using S = Scheme<formats::BestOf<formats::Int<4>, formats::E2M1>>;
  RowMajorMatrixXf w(1, 4);
  w << 6, 5, 0.5f, 0.5f;
  const auto choice = [&](float five, float half) {
    OutputError rule{Eigen::Vector4f(1, five, half, half)};
    rule.steps = 2;
    rule.shrink = rule.stretch = 1;
    return quantize<S>(w, rule).group(0, 0).choice;
  };
  EXPECT_EQ(choice(100, 0.01f), 0);
  EXPECT_EQ(choice(0.001f, 1), 1);
}

TEST(OutputError, WeightsOfZeroAndLearnedTables) {
  const RowMajorMatrixXf w = test::gaussian(3, 40, 15);
  EXPECT_EQ(quantize<Int<4>>(w, OutputError{Eigen::VectorXf::Zero(40)}), quantize<Int<4>>(w, MinMax{}));
  const OutputError some{test::uniform(40, 1, 16).cwiseAbs()};
  EXPECT_EQ(some.input_weight(7), some.weights[7]);
  const RowMajorMatrixXf equal = RowMajorMatrixXf::Constant(40, 1, 2);
  EXPECT_EQ(quantize<Int<4>>(w, OutputError{equal}), quantize<Int<4>>(w, MinimalError{}));
  // Per tensor, every row has the weights of its inputs.
  const RowMajorMatrixXf three = w.row(0).replicate(3, 1);
  EXPECT_EQ((quantize<Int<4, PerTensor>>(three, some).group(0, 0).scale),
            (quantize<Int<4, PerTensor>>(w.row(0), some).group(0, 0).scale));
}

TEST(OutputError, RejectsBadOptions) {
  const RowMajorMatrixXf w = test::gaussian(2, 8, 1);
  EXPECT_EQ(message_of([&] { quantize<Int<4>>(w, OutputError{Eigen::VectorXf::Ones(7)}); }),
            "nibble::OutputError: expected 8 weights, one for each input, got 7");
  Eigen::VectorXf weights = Eigen::VectorXf::Ones(8);
  weights[3] = -1;
  EXPECT_EQ(message_of([&] { quantize<Int<4>>(w, OutputError{weights}); }),
            "nibble::OutputError: expected finite weights of at least 0, got -1 for input 3");
  weights[3] = std::nanf("");
  EXPECT_NE(message_of([&] { quantize<Int<4>>(w, OutputError{weights}); }), "");
  weights[3] = 1;
  OutputError rule{weights};
  rule.steps = 0;
  EXPECT_EQ(message_of([&] { quantize<Int<4>>(w, rule); }),
            "nibble::OutputError: expected steps >= 2, 0 < shrink <= stretch, got 0, 0.4, 1.4");
  EXPECT_THROW((OutputError{Eigen::VectorXf::Ones(7)}(WeightGroup{test::row(w, 0), 0, 0, 8}, Quantizer<Int<4>>{})),
               std::invalid_argument);
}

}  // namespace
}  // namespace nibble
