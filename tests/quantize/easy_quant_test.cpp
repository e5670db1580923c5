// EasyQuant: the cosine of outputs against its definition, and where the search starts.
#include <gtest/gtest.h>

#include "quantize/random_weights.h"

namespace nibble {
namespace {

/// The cosine of two matrices as vectors, in double.
double cosine(const Eigen::MatrixXd& a, const Eigen::MatrixXd& b) {
  double dot = 0, aa = 0, bb = 0;
  for (Index j = 0; j < a.cols(); ++j) {
    for (Index i = 0; i < a.rows(); ++i) {
      dot += a(i, j) * b(i, j);
      aa += a(i, j) * a(i, j);
      bb += b(i, j) * b(i, j);
    }
  }
  return dot / std::sqrt(aa * bb);
}

template <class S> class EasyQuant : public testing::Test {};
using Schemes = testing::Types<Int<4>, Int<4, PerTensor>, UInt<3>, UInt<8, PerTensor>, Scheme<formats::E2M1>,
                               Scheme<formats::BestOf<formats::E2M1, formats::Int<4>>, PerRow, formats::Half>>;
TYPED_TEST_SUITE(EasyQuant, Schemes);

TYPED_TEST(EasyQuant, IsNeverWorseThanItsStart) {
  using S = TypeParam;
  double before = 0, after = 0;
  for (Index n : {1, 5, 16}) {
    for (Index k : {1, 17, 96}) {
      SCOPED_TRACE(text(S::name(), ": ", n, " x ", k));
      const RowMajorMatrixXf w = test::student(n, k, 3, 4, 0.05f);
      const Eigen::MatrixXf x = test::student(k, 24, 4, 3);
      const Eigen::MatrixXd exact = w.cast<double>() * x.cast<double>();
      const auto of = [&](const QuantizedMatrix<S>& q, float scale) {
        const Eigen::MatrixXd rounded = quantize_activations_at(x, scale).dequantize().template cast<double>();
        return cosine(exact, q.dequantize().template cast<double>() * rounded);
      };
      const double absmax = of(quantize<S>(w), x.cwiseAbs().maxCoeff() / 127);
      const auto found = easy_quant<S>(w, x);
      EXPECT_NEAR(found.cosine, of(found.weights, found.activation_scale), 1e-6);
      EXPECT_GE(found.cosine, absmax - 1e-6);
      before += absmax;
      after += found.cosine;
      const auto start = easy_quant<S>(w, x, {.rounds = 0});
      EXPECT_EQ(start.weights, quantize<S>(w));
      EXPECT_EQ(start.activation_scale, x.cwiseAbs().maxCoeff() / 127);
      EXPECT_GE(found.cosine, start.cosine);
      EXPECT_GE(found.cosine, easy_quant<S>(w, x, {.rounds = 1}).cosine - 1e-7);
    }
  }
  if (S::format::bits < 8) {
    EXPECT_GT(after, before + 0.005);
  }
}

// One round with a tensor scale and fixed activations: the best of all candidates, tried one by one.
TEST(EasyQuant, FindsTheBestOfTheCandidates) {
  using S = Int<4, PerTensor>;
  const RowMajorMatrixXf w = test::gaussian(8, 64, 5);
  const Eigen::MatrixXf x = test::gaussian(64, 32, 6);
  const float reach = w.cwiseAbs().maxCoeff();
  const float activation_scale = x.cwiseAbs().maxCoeff() / 127;
  const Eigen::MatrixXd exact = w.cast<double>() * x.cast<double>();
  const Eigen::MatrixXd rounded = quantize_activations_at(x, activation_scale).dequantize().cast<double>();
  double best = 0;
  for (int i = 0; i < 21; ++i) {
    const double scale = static_cast<double>(reach) / 7 * (0.5 + 0.025 * i);
    const Eigen::MatrixXd values = (w.cast<double>() / scale).array().max(-7).min(7).rint() * scale;
    best = std::max(best, cosine(exact, values * rounded));
  }
  const auto found = easy_quant<S>(w, x, {.steps = 21, .shrink = 0.5f, .stretch = 1, .rounds = 1});
  const double got = cosine(exact, found.weights.dequantize().cast<double>() * rounded);
  EXPECT_NEAR(got, best, 1e-5);
  EXPECT_GE(found.cosine, got - 1e-6);
}

TEST(EasyQuant, ZerosAndEmptyMatrices) {
  const RowMajorMatrixXf w = test::gaussian(3, 8, 5);
  const Eigen::MatrixXf x = test::gaussian(8, 4, 6);
  EXPECT_EQ(easy_quant<Int<4>>(RowMajorMatrixXf::Zero(3, 8), x).cosine, 1);
  const auto none = easy_quant<Int<4>>(w, Eigen::MatrixXf::Zero(8, 4));
  EXPECT_EQ(none.cosine, 1);
  EXPECT_EQ(none.activation_scale, 0);
  EXPECT_EQ(none.weights, quantize<Int<4>>(w));
  EXPECT_EQ(easy_quant<Int<4>>(w, Eigen::MatrixXf(8, 0)).weights, quantize<Int<4>>(w));
  EXPECT_EQ(easy_quant<Int<4>>(RowMajorMatrixXf(0, 8), x).weights.rows(), 0);
  EXPECT_EQ((easy_quant<Int<4, PerTensor>>(RowMajorMatrixXf(0, 0), Eigen::MatrixXf(0, 4)).weights.rows()), 0);
}

TEST(EasyQuant, RejectsBadInput) {
  const RowMajorMatrixXf w = test::gaussian(3, 8, 5);
  Eigen::MatrixXf x = test::gaussian(8, 4, 6);
  EXPECT_EQ(test::message_of([&] { easy_quant<Int<4>>(w, x.topRows(7)); }),
            "nibble::easy_quant: expected X with the 8 rows that W has columns, got 7 x 4");
  const std::string options = "nibble::easy_quant: expected steps >= 2, 0 < shrink <= stretch, rounds >= 0, got ";
  EXPECT_EQ(test::message_of([&] { easy_quant<Int<4>>(w, x, {.steps = 1}); }), options + "1, 0.5, 1.2, 3");
  EXPECT_EQ(test::message_of([&] { easy_quant<Int<4>>(w, x, {.shrink = 2}); }), options + "40, 2, 1.2, 3");
  EXPECT_EQ(test::message_of([&] { easy_quant<Int<4>>(w, x, {.rounds = -1}); }), options + "40, 0.5, 1.2, -1");
  x(2, 2) = std::numeric_limits<float>::infinity();
  EXPECT_EQ(test::message_of([&] { easy_quant<Int<4>>(w, x); }),
            "nibble::easy_quant: expected finite activations, got a NaN or an infinity");
  RowMajorMatrixXf bad = w;
  bad(0, 0) = std::nanf("");
  EXPECT_NE(test::message_of([&] { easy_quant<Int<4>>(bad, Eigen::MatrixXf::Zero(8, 4)); }), "");
}

TEST(QuantizeActivationsAt, ClipsAtTheStaticScale) {
  Eigen::MatrixXf x(3, 2);
  x << 0.4f, -200, 0.6f, 2.5f, 127.4f, 1e30f;
  const auto q = quantize_activations_at(x, 1);
  Eigen::MatrixXf expected(3, 2);
  expected << 0, -127, 1, 2, 127, 127;
  EXPECT_EQ(q.dequantize(), expected);
  EXPECT_EQ(quantize_activations_at(x, 0).dequantize(), Eigen::MatrixXf::Zero(3, 2));
  EXPECT_EQ((quantize_activations_at<Int<4, Group<2>>>(x, 0.5f).at(2, 0)), 3.5f);
  for (float scale : {-1.0f, std::nanf(""), std::numeric_limits<float>::infinity()})
    EXPECT_EQ(test::message_of([&] { quantize_activations_at(x, scale); }),
              text("nibble::quantize_activations_at: expected a finite scale of at least 0, got ", scale));
}

}  // namespace
}  // namespace nibble
