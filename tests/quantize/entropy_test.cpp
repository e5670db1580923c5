// Entropy calibration against its definition.
#include <gtest/gtest.h>

#include "oracle/entropy.h"
#include "quantize/random_weights.h"

namespace nibble {
namespace {

void check(const RowMajorMatrixXf& w, int bins, int levels) {
  SCOPED_TRACE(text(w.size(), " weights, ", bins, " bins, ", levels, " levels"));
  const std::vector<float> values(w.data(), w.data() + w.size());
  const auto divergence = oracle::entropy_divergences(values, bins, levels);
  const float reach = w.cwiseAbs().maxCoeff();
  const float got = Entropy{bins}.threshold({values.data(), values.size()}, static_cast<std::size_t>(levels));
  const auto i = static_cast<std::size_t>(std::lround(got / reach * static_cast<float>(bins)));
  EXPECT_FLOAT_EQ(got, reach * static_cast<float>(i) / static_cast<float>(bins));
  double least = std::numeric_limits<double>::infinity();
  for (double d : divergence) least = std::min(least, d);
  ASSERT_LE(i, static_cast<std::size_t>(bins));
  EXPECT_NEAR(divergence[i], least, 1e-10);
  for (std::size_t wider = i + 1; wider < divergence.size(); ++wider) EXPECT_GT(divergence[wider], least - 1e-10);
}

TEST(Entropy, FindsTheLeastDivergence) {
  for (unsigned seed : {1u, 2u, 3u}) {
    check(test::gaussian(1, 5000, seed), 512, 128);
    check(test::student(1, 5000, seed, 3), 512, 8);
    check(test::uniform(1, 300, seed), 300, 8);
    check(test::student(1, 3000, seed, 2), 257, 2);
    check(test::gaussian(1, 3000, seed), 101, 1);
    check(test::gaussian(1, 3000, seed), 130, 128);
  }
  check(test::student(1, 20000, 4, 3), 2048, 128);
}

TEST(Entropy, CutsFarOutliersOff) {
  RowMajorMatrixXf w = test::gaussian(1, 1 << 16, 5);
  w(0, 100) = 1000;
  const auto q = quantize<Int<8, PerTensor>>(w, Entropy{});
  EXPECT_LT(q.group(0, 0).scale * 127, 70);
  EXPECT_GT(q.group(0, 0).scale * 127, 1);
}

TEST(Entropy, LevelsFollowTheScheme) {
  const RowMajorMatrixXf w = test::student(1, 4096, 6, 3);
  const RowMajorMatrixXf positive = w.cwiseAbs();
  const auto values = test::row(w, 0);
  const Entropy rule{.bins = 512};
  EXPECT_EQ((quantize<Int<4>>(w, rule).group(0, 0).scale), rule.threshold(values, 8) / 7);
  EXPECT_EQ((quantize<Int<8>>(w, rule).group(0, 0).scale), rule.threshold(values, 128) / 127);
  EXPECT_EQ((quantize<Scheme<formats::E2M1>>(w, rule).group(0, 0).scale), rule.threshold(values, 8) / 6);
  const float reach = rule.threshold(values, 8);
  const float low = std::max(w.minCoeff(), -reach), high = std::min(w.maxCoeff(), reach);
  EXPECT_EQ((quantize<UInt<4>>(w, rule).group(0, 0).scale), (high - low) / 15);
  EXPECT_EQ((quantize<UInt<4>>(positive, rule).group(0, 0).scale), rule.threshold(test::row(positive, 0), 16) / 15);
  EXPECT_EQ((quantize<UInt<4>>(-positive, rule).group(0, 0).scale), rule.threshold(test::row(positive, 0), 16) / 15);
}

TEST(Entropy, TakesSmallGroupsWhole) {
  for (Index k : {1, 7, 8}) {
    const RowMajorMatrixXf w = test::gaussian(3, k, 7);
    EXPECT_EQ(quantize<Int<4>>(w, Entropy{}), quantize<Int<4>>(w, MinMax{}));
    EXPECT_EQ(quantize<UInt<4>>(w, Entropy{}), quantize<UInt<4>>(w, MinMax{}));
  }
  for (Index k : {9, 16, 33, 150}) EXPECT_TRUE(quantize<Int<4>>(test::awkward(k), Entropy{}).dequantize().allFinite());
  const RowMajorMatrixXf zeros = RowMajorMatrixXf::Zero(2, 600), constant = RowMajorMatrixXf::Constant(1, 600, -2);
  EXPECT_EQ(quantize<Int<4>>(zeros, Entropy{}).dequantize(), zeros);
  EXPECT_EQ(quantize<Int<4>>(constant, Entropy{}).dequantize(), constant);
  EXPECT_EQ(quantize<Int<4>>(RowMajorMatrixXf(0, 0), Entropy{}).rows(), 0);
}

TEST(Entropy, RejectsBadOptions) {
  for (int bins : {1, 0, -5}) {
    const Entropy rule{.bins = bins};
    EXPECT_EQ(test::message_of([&] { quantize<Int<4>>(RowMajorMatrixXf(0, 0), rule); }),
              text("nibble::Entropy: expected at least 2 bins, got ", bins));
  }
}

}  // namespace
}  // namespace nibble
