// The search for exponent bits, bias and clipping: what two papers say of it.
#include <gtest/gtest.h>

#include "quantize/random_weights.h"

namespace nibble {
namespace {

/// Floats without special codes.
template <int E, int M, int Bias = (1 << (E - 1)) - 1>
using Float = formats::MiniFloat<E, M, Bias, formats::Special::Finite>;

using Search = formats::BestOf<formats::Int<8>, Float<2, 5>, Float<3, 4>, Float<4, 3>, Float<5, 2>>;
constexpr MinimalError wide{.steps = 100, .shrink = 0.1f};

/// The mean squared error of each format over the variance, per tensor.
std::vector<double> errors(const RowMajorMatrixXf& w) {
  std::vector<double> result;
  const auto add = [&]<class F>(F) {
    const double e = compare(w, quantize<Scheme<F, PerTensor>>(w, wide)).relative_error;
    result.push_back(e * e);
  };
  add(formats::Int<8>{});
  add(Float<2, 5>{});
  add(Float<3, 4>{});
  add(Float<4, 3>{});
  add(Float<5, 2>{});
  return result;
}

std::vector<int> order(const std::vector<double>& errors) {
  std::vector<int> places = {0, 1, 2, 3, 4};
  std::sort(places.begin(), places.end(),
            [&](int a, int b) { return errors[static_cast<std::size_t>(a)] < errors[static_cast<std::size_t>(b)]; });
  return places;
}

// Kuzmin et al., "FP8 quantization: the power of the exponent", figure 2: integers for uniform values, 5 bits of
// mantissa for normal ones, ever more exponent bits as tails grow heavier. 0: INT8, 1: E2M5, 2: E3M4, 3: E4M3, 4: E5M2.
TEST(FormatSearch, OrdersFormatsAsThePaper) {
  const RowMajorMatrixXf uniform = test::uniform(100, 1000, 1), normal = test::gaussian(100, 1000, 1);
  const RowMajorMatrixXf tails = test::student(100, 1000, 1, 5), heavy = test::student(100, 1000, 1, 1.5);
  const RowMajorMatrixXf heaviest = test::student(100, 1000, 1, 1);
  EXPECT_EQ(order(errors(uniform)), (std::vector{0, 1, 2, 3, 4}));
  EXPECT_EQ(order(errors(normal)), (std::vector{1, 0, 2, 3, 4}));
  EXPECT_EQ(order(errors(tails)), (std::vector{2, 1, 3, 0, 4}));
  EXPECT_EQ(order(errors(heavy)), (std::vector{3, 4, 2, 1, 0}));
  EXPECT_EQ(order(errors(heaviest))[0], 3);
  EXPECT_EQ(order(errors(heaviest))[1], 4);
  // 254 steps over [-1, 1], variance 1 / 3.
  EXPECT_NEAR(errors(uniform)[0], 3 / (12 * 127.0 * 127), 2e-7);
}

TEST(FormatSearch, PicksTheBestOfEach) {
  for (const auto& w : {test::uniform(40, 100, 1), test::gaussian(40, 100, 1), test::student(40, 100, 1, 5),
                        test::student(40, 100, 1, 1.5)}) {
    const auto each = errors(w);
    const auto q = quantize<Scheme<Search, PerTensor>>(w, wide);
    EXPECT_EQ(int{q.group(0, 0).choice}, order(each)[0]);
    const double e = compare(w, q).relative_error;
    EXPECT_DOUBLE_EQ(e * e, *std::min_element(each.begin(), each.end()));
    EXPECT_NEAR(q.bits_per_weight(), 8 + 40.0 / 4000, 1e-9);
    const auto rows = quantize<Scheme<Search, PerRow>>(w, wide);
    EXPECT_LE(compare(w, rows).relative_error, e);
  }
}

// Liu et al., "LLM-FP4": the search is never worse than the scale of the largest magnitude.
TEST(FormatSearch, IsNeverWorseThanAbsMax) {
  const auto check = [&]<class F>(F) {
    using S = Scheme<F, PerRow>;
    for (double freedom : {1.5, 3.0, 100.0}) {
      const RowMajorMatrixXf w = test::student(16, 128, 2, freedom);
      const auto searched = quantize<S>(w, MinimalError{});
      const auto whole = quantize<S>(w, AbsMax{});
      for (Index i = 0; i < w.rows(); ++i)
        EXPECT_LE(compare(w.row(i), quantize<S>(w.row(i), MinimalError{})).relative_error,
                  compare(w.row(i), quantize<S>(w.row(i), AbsMax{})).relative_error);
      EXPECT_LT(compare(w, searched).relative_error, compare(w, whole).relative_error);
    }
  };
  check(Float<2, 1>{});
  check(Float<1, 2>{});
  check(Float<3, 0>{});
  check(formats::BestOf<Float<2, 1>, Float<1, 2>, Float<3, 0>>{});
}

// The scale is 2^-bias for a real bias: an integer change of the format's own bias is undone by it.
TEST(FormatSearch, ScaleIsTheExponentBias) {
  const RowMajorMatrixXf w = test::gaussian(8, 64, 3);
  const auto a = quantize<Scheme<Float<2, 1, 1>>>(w, MinimalError{});
  const auto b = quantize<Scheme<Float<2, 1, 3>>>(w, MinimalError{});
  EXPECT_EQ(a.codes(), b.codes());
  EXPECT_EQ(a.dequantize(), b.dequantize());
  for (Index i = 0; i < 8; ++i) EXPECT_EQ(4 * a.group(i, 0).scale, b.group(i, 0).scale);
}

// Activation scales of powers of two, one per input, moved into the columns of W before it is quantized: the product is
// the same to the last bit, and a common one changes no code.
TEST(FormatSearch, FoldsActivationScalesExactly) {
  const RowMajorMatrixXf w = test::gaussian(8, 64, 4);
  const Eigen::MatrixXf x = test::gaussian(64, 5, 5);
  Eigen::VectorXf scale(64), inverse(64);
  for (Index k = 0; k < 64; ++k) {
    scale[k] = std::ldexp(1.0f, static_cast<int>(k % 9) - 4);
    inverse[k] = 1 / scale[k];
  }
  const RowMajorMatrixXf folded = w * scale.asDiagonal();
  const Eigen::MatrixXf scaled = inverse.asDiagonal() * x;
  EXPECT_EQ(Eigen::MatrixXf(folded * scaled), Eigen::MatrixXf(w * x));
  const auto q = quantize<Scheme<Float<2, 1>>>(folded, MinimalError{});
  const Eigen::MatrixXf values = q.dequantize() * inverse.asDiagonal();  // what q stands for, as weights of x
  EXPECT_EQ(Eigen::MatrixXf(q.dequantize() * scaled), Eigen::MatrixXf(values * x));
  const auto plain = quantize<Scheme<Float<2, 1>>>(w, MinimalError{});
  const auto common = quantize<Scheme<Float<2, 1>>>(RowMajorMatrixXf(8 * w), MinimalError{});
  EXPECT_EQ(common.codes(), plain.codes());
  EXPECT_EQ(common * Eigen::MatrixXf(x / 8), plain * x);
}

}  // namespace
}  // namespace nibble
