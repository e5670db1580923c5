// Quantized activations against a double loop.
#include "nibble/quantize/quantize_activations.h"

#include <gtest/gtest.h>

#include "quantize/weights.h"

namespace nibble {
namespace {

template <class S> class ActivationRounding : public testing::Test {};
using Schemes =
    testing::Types<Int<8>, Int<4>, Int<2>, Int<8, Group<32>>, Int<8, Group<5>>, Int<6, Group<64>>, Int<8, Group<1>>>;
TYPED_TEST_SUITE(ActivationRounding, Schemes);

template <class S, class X> void expect_quantized(const X& inputs, const QuantizedActivations<S>& q) {
  const Eigen::MatrixXd x = inputs.template cast<double>();
  ASSERT_EQ(q.rows(), x.rows());
  ASSERT_EQ(q.cols(), x.cols());
  const double top = std::pow(2, S::format::bits - 1) - 1;
  const Index size = S::group_inputs == 0 ? x.rows() : S::group_inputs;
  for (Index m = 0; m < x.cols(); ++m) {
    for (Index first = 0, g = 0; first < x.rows(); first += size, ++g) {
      const Index count = std::min(size, x.rows() - first);
      const double reach = x.col(m).segment(first, count).cwiseAbs().maxCoeff();
      const double scale = static_cast<double>(q.scale(g, m));
      // One rounding; half a denormal.
      ASSERT_LE(std::abs(scale - reach / top), 0x1p-24 * reach / top + 0x1p-150) << first << ", " << m;
      for (Index k = first; k < first + count; ++k) {
        const int code = q.integer(k, m);
        ASSERT_LE(std::abs(code), top);
        ASSERT_EQ(q.at(k, m), static_cast<float>(code) * q.scale(g, m));
        if (scale == 0) {
          ASSERT_EQ(code, 0);
        } else {
          // The nearest code; x / scale is rounded once.
          const double wanted = std::clamp(x(k, m) / scale, -top, top);
          ASSERT_LE(std::abs(code - wanted), 0.5 + 0x1p-23 * std::abs(wanted)) << k << ", " << m;
        }
      }
    }
  }
  const Eigen::MatrixXf dense = q.dequantize();
  for (Index m = 0; m < x.cols(); ++m)
    for (Index k = 0; k < x.rows(); ++k) ASSERT_EQ(dense(k, m), q.at(k, m));
}

TYPED_TEST(ActivationRounding, Shapes) {
  for (Index k : {1, 3, 4, 5, 15, 16, 17, 63, 64, 65, 131})
    for (Index m : {1, 2, 11, 12, 13, 25}) {
      const Eigen::MatrixXf x = test::gaussian(k, m, 1);
      expect_quantized(x, quantize_activations<TypeParam>(x));
    }
}

TYPED_TEST(ActivationRounding, Empty) {
  for (const auto& [k, m] : {std::pair(0, 0), {0, 3}, {3, 0}}) {
    const auto q = quantize_activations<TypeParam>(Eigen::MatrixXf(k, m));
    EXPECT_EQ(q.rows(), k);
    EXPECT_EQ(q.cols(), m);
    EXPECT_EQ(q.dequantize().size(), 0);
  }
}

TYPED_TEST(ActivationRounding, AwkwardColumns) {
  const Eigen::MatrixXf x = test::awkward_weights().transpose();
  const auto q = quantize_activations<TypeParam>(x);
  expect_quantized(x, q);
  EXPECT_TRUE(q.dequantize().allFinite());
  EXPECT_TRUE(q.dequantize().col(0).isZero(0));
}

TYPED_TEST(ActivationRounding, AnyExpression) {
  const Eigen::MatrixXf x = test::gaussian(40, 15, 2).cast<Eigen::half>().cast<float>();
  const Eigen::MatrixXf expected = quantize_activations<TypeParam>(x).dequantize();
  const auto same = [&](const auto& expression) {
    EXPECT_EQ(quantize_activations<TypeParam>(expression).dequantize(), expected);
  };
  same(RowMajorMatrixXf(x));
  same(Eigen::MatrixXf(x.transpose()).transpose());
  same(x.cast<double>());
  same(x.cast<Eigen::half>());
  same(2 * x - x);
  Eigen::MatrixXf larger = Eigen::MatrixXf::Constant(50, 20, std::numeric_limits<float>::infinity());
  larger.block(4, 3, 40, 15) = x;
  same(larger.block(4, 3, 40, 15));
  const Eigen::Matrix<Eigen::bfloat16, Eigen::Dynamic, Eigen::Dynamic> brain = x.cast<Eigen::bfloat16>();
  EXPECT_EQ(quantize_activations<TypeParam>(brain).dequantize(),
            quantize_activations<TypeParam>(brain.cast<float>()).dequantize());
}

TYPED_TEST(ActivationRounding, DoNotDependOnThreads) {
  const Eigen::MatrixXf x = test::gaussian(33, 40, 3);
  const auto serial = quantize_activations<TypeParam>(x);
  const Executor backwards = [](std::ptrdiff_t count, const std::function<void(std::ptrdiff_t)>& task) {
    while (count-- > 0) task(count);
  };
  for (int threads : {2, 7, 40})
    EXPECT_EQ(quantize_activations<TypeParam>(x, {threads, backwards}).dequantize(), serial.dequantize());
}

// Ties go to the even code; the scale is 1, or 2 in the second column.
TEST(Activations, TiesToEven) {
  const Eigen::MatrixXf x =
      (Eigen::MatrixXf(6, 2) << 127, -254, 0.5f, 1, 1.5f, 3, -2.5f, -5, 125.5f, 251, -126.5f, 253).finished();
  const Eigen::MatrixXf expected =
      (Eigen::MatrixXf(6, 2) << 127, -254, 0, 0, 2, 4, -2, -4, 126, 252, -126, 252).finished();
  EXPECT_EQ(quantize_activations(x).dequantize(), expected);
}

TEST(Activations, RejectsWhatIsNotFinite) {
  for (float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                    -std::numeric_limits<float>::infinity()}) {
    Eigen::MatrixXf x = Eigen::MatrixXf::Ones(9, 4);
    x(5, 2) = bad;
    const auto message = [&](auto&& f) { return test::message_of<std::invalid_argument>(f); };
    const std::string expected =
        "nibble::quantize_activations: expected finite activations, got a NaN or an infinity in column 2";
    EXPECT_EQ(message([&] { quantize_activations(x); }), expected);
    EXPECT_EQ((message([&] { quantize_activations<Int<8, Group<4>>>(x); })), expected);
  }
}

}  // namespace
}  // namespace nibble
