// Activations in bits against a double loop.
#include "nibble/quantize/quantize_bit_activations.h"

#include <gtest/gtest.h>

#include <random>

#include "message_of.h"
#include "quantize/weights.h"

namespace nibble {
namespace {

/// K x M values of many sizes, some of them 0.
Eigen::MatrixXf values(Index k, Index m) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  return Eigen::MatrixXf::NullaryExpr(k, m, [&] { return random() % 16 == 0 ? 0.0f : normal(random); });
}

const std::pair<Index, Index> shapes[] = {{1, 1}, {15, 3}, {31, 13}, {32, 12}, {33, 1}, {64, 2}, {131, 25}};

/// Calls f(scale, column, first, count, m) for each group.
template <class S, class F> void for_groups(const BitActivations<S>& q, const F& f) {
  const Index size = S::group_inputs == 0 ? q.rows() : S::group_inputs;
  for (Index m = 0; m < q.cols(); ++m)
    for (Index first = 0, g = 0; first < q.rows(); first += size, ++g) f(g, first, std::min(size, q.rows() - first), m);
}

template <class S> void expect_signs(const Eigen::MatrixXf& x, int sign_of_zero) {
  const auto q = quantize_bit_activations<S>(x);
  for_groups(q, [&](Index g, Index first, Index count, Index m) {
    const double mean = x.col(m).segment(first, count).cast<double>().cwiseAbs().mean();
    EXPECT_NEAR(static_cast<double>(q.scale(g, m)), mean, 1e-6 * mean);
    for (Index k = first; k < first + count; ++k) {
      ASSERT_EQ(q.integer(k, m), x(k, m) > 0 ? 1 : x(k, m) < 0 ? -1 : sign_of_zero) << k << ", " << m;
      ASSERT_EQ(q.at(k, m), static_cast<float>(q.integer(k, m)) * q.scale(g, m));
    }
  });
}

TEST(BitActivationRounding, SignsUnderTheirMeanMagnitude) {
  for (const auto& [k, m] : shapes) {
    expect_signs<Binary<>>(values(k, m), 1);
    expect_signs<Binary<Group<32>>>(values(k, m), 1);
    expect_signs<Bipolar<1>>(values(k, m), -1);
  }
}

TEST(BitActivationRounding, TernaryByMeanMagnitude) {
  for (const auto& [k, m] : shapes) {
    const Eigen::MatrixXf x = values(k, m);
    const auto q = quantize_bit_activations<Ternary<Group<64>>>(x);
    for_groups(q, [&](Index g, Index first, Index count, Index column) {
      const double mean = x.col(column).segment(first, count).cast<double>().cwiseAbs().mean();
      const double scale = static_cast<double>(q.scale(g, column));
      EXPECT_NEAR(scale, mean, 1e-6 * mean);
      for (Index i = first; i < first + count; ++i) {
        const double wanted = static_cast<double>(x(i, column)) / scale;
        ASSERT_EQ(q.integer(i, column), wanted > 0.5 ? 1 : wanted < -0.5 ? -1 : 0) << wanted;
      }
    });
  }
}

template <class S> void expect_nearest(const Eigen::MatrixXf& x, double low, double high, int step) {
  const auto q = quantize_bit_activations<S>(x);
  for_groups(q, [&](Index g, Index first, Index count, Index m) {
    const double scale = static_cast<double>(q.scale(g, m));
    const Eigen::ArrayXd group = x.col(m).segment(first, count).cast<double>();
    const double reach =
        S::affine ? std::max(group.maxCoeff(), 0.0) - std::min(group.minCoeff(), 0.0) : group.abs().maxCoeff();
    EXPECT_NEAR(scale, reach / high, 1e-6 * reach / high) << S::name();
    const int zero = q.zero(g, m);
    for (Index k = first; k < first + count; ++k) {
      const int integer = q.integer(k, m);
      ASSERT_TRUE(low <= integer && integer <= high);
      if (scale == 0) continue;
      const double wanted = std::clamp(group[k - first] / scale + zero, low, high);
      ASSERT_LE(std::abs(integer - wanted), 0.5 * step + 1e-5 * high) << S::name() << ' ' << k << ", " << m;
      ASSERT_EQ(q.at(k, m), static_cast<float>(integer - zero) * q.scale(g, m));
    }
  });
}

TEST(BitActivationRounding, IntegersAreTheNearest) {
  for (const auto& [k, m] : shapes) {
    const Eigen::MatrixXf x = values(k, m);
    expect_nearest<Int<2>>(x, -1, 1, 1);
    expect_nearest<Int<5, Group<32>>>(x, -15, 15, 1);
    expect_nearest<Int<8>>(x, -127, 127, 1);
    expect_nearest<Bipolar<2>>(x, -3, 3, 2);
    expect_nearest<Bipolar<8, Group<96>>>(x, -255, 255, 2);
    expect_nearest<UInt<1>>(x, 0, 1, 1);
    expect_nearest<UInt<3, Group<32>>>(x, 0, 7, 1);
    expect_nearest<UInt<8>>(x, 0, 255, 1);
  }
}

TEST(BitActivationRounding, TakesARule) {
  const Eigen::MatrixXf x = values(40, 3);
  const auto q = quantize_bit_activations<Binary<>>(x, AbsMax{});
  for (Index m = 0; m < 3; ++m) EXPECT_EQ(q.scale(0, m), x.col(m).cwiseAbs().maxCoeff());
}

TEST(BitActivationRounding, ZerosHaveNoScale) {
  const Eigen::MatrixXf x = Eigen::MatrixXf::Zero(33, 2);
  EXPECT_TRUE(quantize_bit_activations(x).dequantize().isZero(0));
  EXPECT_TRUE((quantize_bit_activations<UInt<4, Group<32>>>(x).dequantize().isZero(0)));
}

TEST(BitActivationRounding, Empty) {
  EXPECT_EQ(quantize_bit_activations(Eigen::MatrixXf(0, 5)).cols(), 5);
  EXPECT_EQ(quantize_bit_activations<Int<4>>(Eigen::MatrixXf(5, 0)).rows(), 5);
}

TEST(BitActivationRounding, AnyExpressionAndNumberOfThreads) {
  const Eigen::MatrixXf x = values(70, 30);
  const auto serial = quantize_bit_activations<Int<3>>(x).dequantize();
  for (int threads : {2, 7, 40})
    EXPECT_EQ(quantize_bit_activations<Int<3>>(x, AbsMax{}, {threads}).dequantize(), serial);
  EXPECT_EQ(quantize_bit_activations<Int<3>>(2 * x.cast<double>()).dequantize(), 2 * serial);
  const Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor> rows = x;
  EXPECT_EQ(quantize_bit_activations<Int<3>>(rows).dequantize(), serial);
}

TEST(BitActivationRounding, RejectsWhatIsNotFinite) {
  for (float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                    -std::numeric_limits<float>::infinity()}) {
    Eigen::MatrixXf x = Eigen::MatrixXf::Ones(40, 4);
    x(35, 2) = bad;
    EXPECT_EQ(test::message_of<std::invalid_argument>([&] { quantize_bit_activations<Binary<Group<32>>>(x); }),
              "nibble::quantize_bit_activations: expected finite activations, got a NaN or an infinity in column 2");
  }
}

}  // namespace
}  // namespace nibble
