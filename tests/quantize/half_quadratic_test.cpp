// HalfQuadratic against hqq's arithmetic and MinMax. See tests/golden/make_hqq.py.
#include <gtest/gtest.h>

#include <filesystem>

#include "quantize/random_weights.h"

namespace nibble {
namespace {

TEST(HalfQuadratic, FindsTheZeroPointsOfTheOriginal) {
  const auto path = std::filesystem::path(NIBBLE_TEST_DATA_DIR) / "hqq";
  const RowMajorMatrixXf weights = read_npy<float>(path / "weights.npy");
  int moved = 0;
  for (int bits : {2, 3, 4, 8}) {
    const auto scales = read_npy<double>(path / text("scale_", bits, ".npy"));
    const auto zeros = read_npy<double>(path / text("zero_", bits, ".npy"));
    const double top = (1 << bits) - 1;
    ASSERT_EQ(zeros.size(), weights.rows());
    for (Index i = 0; i < weights.rows(); ++i) {
      const double scale = scales(i);
      const double start = -std::min(static_cast<double>(weights.row(i).minCoeff()), 0.0) / scale;
      const auto round = [&](double s, double z, std::vector<double>& values) {
        for (Index j = 0; j < weights.cols(); ++j)
          values[static_cast<std::size_t>(j)] =
              std::max(0.0, std::min(top, std::nearbyint(static_cast<double>(weights(i, j)) / s + z)));
      };
      const double zero = HalfQuadratic{}.optimal_zero(test::row(weights, i), scale, start, round);
      EXPECT_NEAR(zero, zeros(i), 1e-9 * (1 + std::abs(zero))) << bits << " bits, row " << i;
      moved += std::abs(zero - start) > 0.01;
    }
  }
  EXPECT_GT(moved, 12);
}

// The scale is where the sum of squares of the last split is least: no other scale does better for its codes.
TEST(HalfQuadratic, FitsTheScaleByLeastSquares) {
  const RowMajorMatrixXf w = test::student(1, 64, 3, 3, 1e-3f);  // errors too small to be outliers: plain least squares
  const auto code = [&](Index j, double s) {
    return std::max(-7.0, std::min(7.0, std::nearbyint(static_cast<double>(w(0, j)) / s)));
  };
  const auto round = [&](double s, double, std::vector<double>& values) {
    for (Index j = 0; j < w.cols(); ++j) values[static_cast<std::size_t>(j)] = code(j, s);
  };
  const double start = static_cast<double>(w.cwiseAbs().maxCoeff()) / 7;
  const double scale = HalfQuadratic{.iterations = 1}.optimal_scale(test::row(w, 0), start, 0, round);
  double product = 0, square = 0;
  for (Index j = 0; j < w.cols(); ++j) {
    product += code(j, start) * static_cast<double>(w(0, j));
    square += code(j, start) * code(j, start);
  }
  EXPECT_NEAR(scale, product / square, 1e-12);
}

template <class S> class HalfQuadraticOf : public testing::Test {};
using Schemes = testing::Types<Int<4>, Int<3, Group<32>>, UInt<2, Group<64>>, UInt<4, Group<64>>, UInt<8>,
                               Scheme<formats::E2M1, Group<32>>, NvFp4, UInt<4, PerTensor>,
                               Scheme<formats::UInt<5>, Group<16>, SubScale<formats::UInt<6>>, ZeroPoint>>;
TYPED_TEST_SUITE(HalfQuadraticOf, Schemes);

TYPED_TEST(HalfQuadraticOf, IsNeverWorseThanMinMax) {
  using S = TypeParam;
  const auto error = [](const RowMajorMatrixXf& w, const QuantizedMatrix<S>& q, double p) {
    return (w - q.dequantize()).template cast<double>().array().abs().pow(p).sum();
  };
  for (Index k : {1, 16, 33, 256}) {
    for (double freedom : {1.5, 3.0, 30.0}) {
      const RowMajorMatrixXf w = test::student(8, k, 5, freedom, 0.05f);
      for (double p : {0.7, 0.5, 1.0}) {
        const double least = error(w, quantize<S>(w, HalfQuadratic{.p = p}), p);
        EXPECT_LE(least, error(w, quantize<S>(w, MinMax{}), p) * (1 + 1e-12)) << S::name() << ", " << k;
      }
    }
    const RowMajorMatrixXf odd = test::awkward(k);
    EXPECT_TRUE(quantize<S>(odd, HalfQuadratic{}).dequantize().allFinite()) << S::name() << ", " << k;
  }
}

TEST(HalfQuadratic, PaysOnHeavyTails) {
  const RowMajorMatrixXf w = test::student(64, 256, 6, 3, 0.02f);
  const auto error = [&](const auto& q) {
    return static_cast<double>((w - q.dequantize()).array().abs().pow(0.7f).sum());
  };
  EXPECT_LT(error(quantize<UInt<4, Group<64>>>(w, HalfQuadratic{})), 0.985 * error(quantize<UInt<4, Group<64>>>(w)));
  EXPECT_LT(error(quantize<Int<4, Group<64>>>(w, HalfQuadratic{})), 0.985 * error(quantize<Int<4, Group<64>>>(w)));
}

TEST(HalfQuadratic, RejectsBadOptions) {
  const RowMajorMatrixXf none(0, 0);
  const std::string expected = "nibble::HalfQuadratic: expected 0 < p <= 1, beta > 0, kappa > 0, iterations >= 1, got ";
  const auto message = [&](const HalfQuadratic& rule) {
    return test::message_of([&] { quantize<UInt<4>>(none, rule); });
  };
  EXPECT_EQ(message({.p = 0}), expected + "0, 10, 1.01, 20");
  EXPECT_EQ(message({.p = 1.5}), expected + "1.5, 10, 1.01, 20");
  EXPECT_EQ(message({.beta = 0}), expected + "0.7, 0, 1.01, 20");
  EXPECT_EQ(message({.kappa = -1}), expected + "0.7, 10, -1, 20");
  EXPECT_EQ(message({.iterations = 0}), expected + "0.7, 10, 1.01, 0");
  EXPECT_NE(message({.p = std::nan("")}), "");
}

}  // namespace
}  // namespace nibble
