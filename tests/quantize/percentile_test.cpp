// Percentile and AbsMean against sorted lists and closed forms.
#include <gtest/gtest.h>

#include "quantize/random_weights.h"

namespace nibble {
namespace {

/// By sorting: linear between places.
double naive_percentile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  const double place = static_cast<double>(values.size() - 1) * q / 100;
  const double below = std::floor(place), above = std::ceil(place);
  return values[static_cast<std::size_t>(below)] * (1 - (place - below)) +
         values[static_cast<std::size_t>(above)] * (place - below);
}

TEST(Percentile, IsThatOfTheSortedWeights) {
  for (Index k : {1, 2, 5, 16, 101, 1000}) {
    const RowMajorMatrixXf w = test::student(1, k, 3, 3);
    std::vector<double> values, sizes;
    for (float x : test::row(w, 0)) {
      values.push_back(static_cast<double>(x));
      sizes.push_back(std::abs(static_cast<double>(x)));
    }
    for (double p : {0.1, 3.0, 50.0, 90.0, 99.0, 99.9, 99.999}) {
      const double reach = naive_percentile(sizes, p);
      EXPECT_NEAR(static_cast<double>(quantize<Int<4>>(w, Percentile{p}).group(0, 0).scale), reach / 7, 1e-6 * reach)
          << k << ", " << p;
      const double low = std::min(naive_percentile(values, (100 - p) / 2), 0.0);
      const double high = std::max(naive_percentile(values, (100 + p) / 2), 0.0);
      EXPECT_NEAR(static_cast<double>(quantize<UInt<4>>(w, Percentile{p}).group(0, 0).scale), (high - low) / 15,
                  1e-6 * (high - low))
          << k << ", " << p;
    }
  }
}

TEST(Percentile, KnownPlaces) {
  std::vector<float> values = {40, 10, 30, 20, 50};
  EXPECT_EQ(Percentile::percentile(values, 0), 10);
  EXPECT_EQ(Percentile::percentile(values, 25), 20);
  EXPECT_EQ(Percentile::percentile(values, 60), 34);
  EXPECT_EQ(Percentile::percentile(values, 100), 50);
}

TEST(Percentile, OfAHundredIsMinMax) {
  for (Index k : {1, 15, 33, 130}) {
    const RowMajorMatrixXf w = test::awkward(k);
    EXPECT_EQ((quantize<Int<4, Group<16>>>(w, Percentile{100})), (quantize<Int<4, Group<16>>>(w, MinMax{})));
    EXPECT_EQ((quantize<UInt<4, Group<16>>>(w, Percentile{100})), (quantize<UInt<4, Group<16>>>(w, MinMax{})));
    EXPECT_EQ((quantize<UInt<4, PerTensor>>(w, Percentile{100})), (quantize<UInt<4, PerTensor>>(w, MinMax{})));
    EXPECT_EQ(quantize<NvFp4>(w.topRows(4), Percentile{100}), quantize<NvFp4>(w.topRows(4), MinMax{}));
    EXPECT_TRUE(quantize<Int<4>>(w, Percentile{50}).dequantize().allFinite());
    EXPECT_TRUE(quantize<UInt<4>>(w, Percentile{50}).dequantize().allFinite());
  }
}

TEST(Percentile, RejectsWhatIsNone) {
  for (double p : {0.0, -1.0, 100.0001, std::nan("")}) {
    EXPECT_EQ(test::message_of([&] { quantize<Int<4>>(RowMajorMatrixXf(2, 2), Percentile{p}); }),
              text("nibble::Percentile: expected 0 < p <= 100, got ", p));
    EXPECT_NE(test::message_of([&] { quantize<Int<4>>(RowMajorMatrixXf(0, 0), Percentile{p}); }), "");
  }
}

// Ma et al.: clip(round(w / mean |w|), -1, 1).
TEST(AbsMean, IsTheTernaryRuleOfBitNet) {
  for (Index k : {1, 7, 64, 300}) {
    const RowMajorMatrixXf w = test::gaussian(3, k, 8, 0.02f);
    const auto q = quantize<Int<2, PerTensor>>(w, AbsMean{});
    const double mean = w.cast<double>().cwiseAbs().mean();
    EXPECT_NEAR(static_cast<double>(q.group(0, 0).scale), mean, 1e-7 * mean);
    for (Index i = 0; i < w.rows(); ++i) {
      for (Index j = 0; j < k; ++j) {
        const double ternary = std::max(-1.0, std::min(1.0, std::nearbyint(static_cast<double>(w(i, j)) / mean)));
        EXPECT_NEAR(static_cast<double>(q.at(i, j)), ternary * mean, 1e-6 * mean);
      }
    }
  }
}

/// -1 and 1.
struct Signs {
  using code_type = std::uint8_t;
  static constexpr int bits = 1;
  static constexpr float max() { return 1; }
  static constexpr float decode(code_type c) { return c == 0 ? -1.0f : 1.0f; }
  static constexpr code_type encode(float x) { return x >= 0; }
};

// The mean magnitude is the best scale of signs: the error is sum w^2 - (sum |w|)^2 / n.
TEST(AbsMean, IsTheBestScaleOfSigns) {
  const RowMajorMatrixXf w = test::gaussian(4, 100, 9);
  const auto q = quantize<Scheme<Signs>>(w, AbsMean{});
  for (Index i = 0; i < 4; ++i) {
    const double size = static_cast<double>(w.row(i).cwiseAbs().sum());
    const double error = static_cast<double>((w.row(i) - q.dequantize().row(i)).squaredNorm());
    EXPECT_NEAR(error, static_cast<double>(w.row(i).squaredNorm()) - size * size / 100, 1e-4);
  }
}

// A million normal numbers, rounded by the mean magnitude: 0.263382 of their variance is lost.
TEST(AbsMean, LosesWhatIsKnownOfANormalDistribution) {
  const RowMajorMatrixXf w = test::gaussian(1000, 1000, 10);
  const double e = compare(w, quantize<Int<2, PerTensor>>(w, AbsMean{})).relative_error;
  EXPECT_NEAR(e * e, 0.263382, 0.0026);
}

TEST(AbsMean, TakesAnyGroup) {
  for (Index k : {1, 15, 40}) {
    const RowMajorMatrixXf w = test::awkward(k);
    EXPECT_TRUE((quantize<Int<2, Group<16>>>(w, AbsMean{}).dequantize().allFinite()));
  }
  EXPECT_EQ(quantize<Int<2>>(RowMajorMatrixXf(0, 3), AbsMean{}).rows(), 0);
}

}  // namespace
}  // namespace nibble
