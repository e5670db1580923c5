// The distortion of a million normal numbers against the exact integrals of REFERENCE.md, section 1.
#include <gtest/gtest.h>

#include "nibble/quantize.h"
#include "quantize/weights.h"

namespace nibble {
namespace {

const Eigen::MatrixXf& samples() {
  static const Eigen::MatrixXf w = test::gaussian(1024, 1024, 2026);
  return w;
}

template <class S, class Rule = DefaultRule<S>> void expect_distortion(double expected, const Rule& rule = {}) {
  const Eigen::MatrixXf& w = samples();
  const Eigen::MatrixXf q = quantize<S>(w, rule).dequantize();
  const double mse = (w - q).cast<double>().squaredNorm() / static_cast<double>(w.size());
  EXPECT_NEAR(mse, expected, 0.01 * expected) << S::name();
}

TEST(Gaussian, Samples) {
  const Eigen::ArrayXXd w = samples().cast<double>().array();
  EXPECT_NEAR(w.mean(), 0, 5.0 / 1024);
  EXPECT_NEAR(w.square().mean(), 1, 5 * std::sqrt(2.0) / 1024);
  EXPECT_NEAR(w.pow(4).mean(), 3, 5 * std::sqrt(96.0) / 1024);
}

TEST(Gaussian, Integers) {
  expect_distortion<Int<4, Group<32>>>(.009409);
  expect_distortion<Int<4, Group<64>>>(.011577);
  expect_distortion<Int<3, Group<32>>>(.051301);
  expect_distortion<Int<3, Group<64>>>(.063099);
  expect_distortion<Int<8, Group<32>>>(2.858e-5);
  expect_distortion<Int<8, Group<64>>>(3.516e-5);
}

// The rule of ggml's Q4_0: the largest weight becomes -8.
TEST(Gaussian, FullIntegers) {
  expect_distortion<Scheme<formats::FullInt<4>, Group<32>>>(.007377);
  expect_distortion<Scheme<formats::FullInt<4>, Group<64>>>(.009003);
}

TEST(Gaussian, Codebooks) {
  expect_distortion<Nf4<32>>(.007623);
  expect_distortion<Nf4<64>>(.008460);
  expect_distortion<Scheme<formats::AF4, Group<32>>>(.008215);
  expect_distortion<Scheme<formats::AF4, Group<64>>>(.009151);
  expect_distortion<Scheme<formats::BnbFp4, Group<32>>>(.013026);
  expect_distortion<Scheme<formats::BnbFp4, Group<64>>>(.014870);
}

TEST(Gaussian, FourBitFloats) {
  expect_distortion<Scheme<formats::E2M1, Group<32>>>(.010220);
  expect_distortion<Scheme<formats::E2M1, Group<64>>>(.011174);
  expect_distortion<MxFp4>(.013218);
  expect_distortion<Scheme<formats::E2M1, Group<64>, FloorScale>>(.012784);
  expect_distortion<NvFp4>(.009045);
}

TEST(Gaussian, PowersOfTwoThatNeverClip) {
  const MxScale rule{MxMode::RoundUp};
  expect_distortion<MxFp4>(.013311, rule);
  expect_distortion<Scheme<formats::E2M1, Group<64>, FloorScale>>(.014150, rule);
}

TEST(Gaussian, SixBitFloats) {
  expect_distortion<MxFp6E2M3>(8.05e-4);
  expect_distortion<Scheme<formats::E2M3, Group<64>, FloorScale>>(8.14e-4);
  expect_distortion<MxFp6E3M2>(.002911);
  expect_distortion<Scheme<formats::E3M2, Group<64>, FloorScale>>(.002827);
}

TEST(Gaussian, EightBitFloats) {
  expect_distortion<Scheme<formats::E4M3FN, Group<32>, FloorScale>>(8.62e-4);
  expect_distortion<Scheme<formats::E4M3FN, Group<64>, FloorScale>>(7.54e-4);
  expect_distortion<Scheme<formats::E5M2, Group<32>, FloorScale>>(.002911);
  expect_distortion<Scheme<formats::E5M2, Group<64>, FloorScale>>(.002827);
  expect_distortion<MxInt8>(6.81e-5);
  expect_distortion<Scheme<formats::Fixed<8, 6>, Group<64>, FloorScale>>(7.93e-5);
}

// BitNet's rounding by the mean magnitude, and sign times mean magnitude.
TEST(Gaussian, TernaryAndBinary) {
  expect_distortion<Ternary<>>(.263382);
  expect_distortion<Binary<PerTensor>>(.363380228);
}

// One scale for all: the best uniform grids of 3, 7 and 15 values.
TEST(Gaussian, BestUniformGrids) {
  const auto mse = [](const auto& q) {
    return (samples() - q.dequantize()).template cast<double>().squaredNorm() / static_cast<double>(samples().size());
  };
  const MinimalError rule{.steps = 60, .shrink = 0.15f, .stretch = 1};
  EXPECT_NEAR((mse(quantize<Int<2, PerTensor>>(samples(), rule))), .190174, .01 * .190174);
  EXPECT_NEAR((mse(quantize<Int<3, PerTensor>>(samples(), rule))), .0468600, .01 * .0468600);
  EXPECT_NEAR((mse(quantize<Int<4, PerTensor>>(samples(), rule))), .0128894, .01 * .0128894);
}

}  // namespace
}  // namespace nibble
