// Stochastic rounding: between the two neighbours, unbiased, the same for every thread count.
#include <gtest/gtest.h>

#include "formats/toy_formats.h"
#include "nibble/quantize.h"
#include "quantize/weights.h"

namespace nibble {
namespace {

template <class S> class StochasticRounding : public testing::Test {};
using Schemes = testing::Types<Int<3, Group<16>>, Int<4>, Int<8, PerTensor>, UInt<2, Group<32>>, UInt<4, Group<16>>,
                               MxFp4, NvFp4, Scheme<formats::E4M3FN, Group<32>>, Scheme<test::Uneven, Group<16>>>;
TYPED_TEST_SUITE(StochasticRounding, Schemes);

// The mean over n seeds of each weight within the range lies within 6 standard errors of it; a weight is Bernoulli
// between its neighbours. 480 weights: a fault 1 time in a million.
TYPED_TEST(StochasticRounding, IsUnbiasedWithinTheRange) {
  constexpr int n = 1000;
  const Eigen::MatrixXf w = test::gaussian(6, 80, 1);
  Eigen::MatrixXd sum = Eigen::MatrixXd::Zero(6, 80);
  Eigen::MatrixXf least = Eigen::MatrixXf::Constant(6, 80, 1e9f);
  Eigen::MatrixXf most = -least;
  for (int seed = 0; seed < n; ++seed) {
    const Eigen::MatrixXf q = quantize<TypeParam>(w, Stochastic{static_cast<std::uint64_t>(seed)}).dequantize();
    sum += q.cast<double>();
    least = least.cwiseMin(q);
    most = most.cwiseMax(q);
  }
  int inside = 0;
  for (Index i = 0; i < w.rows(); ++i) {
    for (Index j = 0; j < w.cols(); ++j) {
      if (w(i, j) < least(i, j) || w(i, j) > most(i, j)) continue;  // clipped, or too rarely the other neighbour
      ++inside;
      const double low = static_cast<double>(least(i, j));
      const double high = static_cast<double>(most(i, j));
      const double x = static_cast<double>(w(i, j));
      const double variance = (high - x) * (x - low);
      EXPECT_NEAR(sum(i, j) / n, x, 6 * std::sqrt(variance / n) + 3e-6 * std::abs(x)) << i << ", " << j;
    }
  }
  EXPECT_GT(inside, 240);
}

// Never but to a neighbour: no value lies between the weight and what it became.
TYPED_TEST(StochasticRounding, TakesNeighbours) {
  using S = TypeParam;
  using F = typename S::format;
  const Eigen::MatrixXf w = test::gaussian(5, 64, 2);
  const Index size = S::group_inputs == 0 ? w.cols() : S::group_inputs;
  const auto q = quantize<S>(w, Stochastic{9});
  for (Index i = 0; i < w.rows(); ++i) {
    for (Index j = 0; j < w.cols(); ++j) {
      const auto p = q.group(i, j / size);
      const double x = static_cast<double>(w(i, j));
      const double got = static_cast<double>(q.at(i, j));
      const double slack = 1e-6 * std::abs(x) + 1e-6 * static_cast<double>(p.scale * p.zero);
      for (std::uint32_t c = 0; c < code_count<F>; ++c) {
        const double value = static_cast<double>(F::decode(static_cast<typename F::code_type>(c)));
        if (!std::isfinite(value)) continue;
        const double weight = (value - static_cast<double>(p.zero)) * static_cast<double>(p.scale);
        ASSERT_FALSE(weight > std::min(x, got) + slack && weight < std::max(x, got) - slack) << x << ' ' << got;
      }
    }
  }
}

TYPED_TEST(StochasticRounding, DependsOnTheSeedOnly) {
  const Eigen::MatrixXf w = test::gaussian(33, 70, 3);
  const auto one = quantize<TypeParam>(w, Stochastic{1});
  EXPECT_EQ(quantize<TypeParam>(w, Stochastic{1}), one);
  EXPECT_FALSE(quantize<TypeParam>(w, Stochastic{2}) == one);
  const Executor backwards = [](std::ptrdiff_t count, const std::function<void(std::ptrdiff_t)>& task) {
    while (count-- > 0) task(count);
  };
  for (int threads : {2, 5, 33}) EXPECT_EQ(quantize<TypeParam>(w, Stochastic{1}, {threads, backwards}), one);
}

TYPED_TEST(StochasticRounding, FiniteOnAwkwardWeights) {
  const Eigen::MatrixXf w = test::awkward_weights();
  const Eigen::MatrixXf q = quantize<TypeParam>(w, Stochastic{4}).dequantize();
  EXPECT_TRUE(q.allFinite());
  EXPECT_TRUE(q.row(0).isZero(0));
}

// Equal weights in different places are rounded independently: of 64 x 64 halves, half go up, within 6 sigma; so do
// half of the pairs of neighbours that go the same way.
TEST(Stochastic, PlacesAreIndependent) {
  Eigen::MatrixXf w = Eigen::MatrixXf::Constant(64, 65, 0.5f);
  w.col(64).setConstant(7);
  const Eigen::MatrixXf q = quantize<Int<4>>(w, Stochastic{5}).dequantize().leftCols(64);
  EXPECT_TRUE((q.array() == 0 || q.array() == 1).all());
  EXPECT_NEAR(q.sum(), 2048, 6 * 32);
  const auto same = [](const auto& a, const auto& b) { return static_cast<double>((a.array() == b.array()).count()); };
  EXPECT_NEAR(same(q.leftCols(63), q.rightCols(63)), 2016, 6 * 32);
  EXPECT_NEAR(same(q.topRows(63), q.bottomRows(63)), 2016, 6 * 32);
}

}  // namespace
}  // namespace nibble
