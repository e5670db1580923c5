// Propagation: its moments, its target against least squares, and a network that it makes better.
#include <gtest/gtest.h>
#include <nibble/nibble.h>

#include "message_of.h"
#include "oracle/products.h"
#include "rounding/correlated.h"
#include "threads.h"

namespace nibble {
namespace {

using Eigen::MatrixXd;
using Eigen::MatrixXf;

/// Inputs, and what a quantized network would make of them.
struct Pair {
  MatrixXf x, x_hat;
  Pair(Index k, Index m, unsigned seed) : x(test::correlated_inputs(k, m, seed)) {
    x_hat = 0.9f * x + 0.2f * x.colwise().reverse() + 0.1f * test::normal(k, m, seed + 9);
  }
};

Propagation of(const Pair& pair, const HessianOptions& options = {}) {
  Propagation p(pair.x.rows(), options);
  p.add(pair.x, pair.x_hat);
  return p;
}

double distance(const MatrixXd& a, const MatrixXd& b) {
  return (a - b).norm() / b.norm();
}

TEST(Propagation, GathersTheMomentsOfTheErrors) {
  for (Index k : {1, 7, 48, 131}) {
    for (Index m : {1, 50, 700}) {
      const Pair pair(k, m, 1);
      const MatrixXd x = pair.x.cast<double>(), x_hat = pair.x_hat.cast<double>();
      const MatrixXd expected = oracle::product(x - x_hat, x_hat.transpose()) * (2.0 / static_cast<double>(m));
      const Propagation p = of(pair);
      EXPECT_LT(distance(p.cross(), expected), 1e-5) << k << ' ' << m;
      EXPECT_EQ(p.hessian().matrix(), Hessian(pair.x_hat).matrix());
      EXPECT_EQ(p.samples(), m);
    }
  }
}

TEST(Propagation, BatchesThreadsAndMerging) {
  const Pair pair(60, 1100, 2);
  const Propagation whole = of(pair);
  Propagation parts(60), rest(60);
  parts.add(pair.x.leftCols(1), pair.x_hat.leftCols(1));
  parts.add(pair.x.middleCols(1, 0), pair.x_hat.middleCols(1, 0));
  parts.add(pair.x.middleCols(1, 600).cast<double>(), RowMajorMatrixXf(pair.x_hat.middleCols(1, 600)));
  rest.add(pair.x.rightCols(499), pair.x_hat.rightCols(499));
  parts.merge(rest);
  EXPECT_LT(distance(parts.cross(), whole.cross()), 1e-6);
  EXPECT_LT(distance(parts.hessian().matrix(), whole.hessian().matrix()), 1e-6);
  const MatrixXf w = test::normal(99, 60, 3);
  EXPECT_LT(distance(parts.target(w).cast<double>(), whole.target(w).cast<double>()), 1e-5);
  const Propagation two = of(pair, {.threads = 2, .executor = test::threads});
  EXPECT_EQ(two.cross(), whole.cross());
  EXPECT_EQ(two.target(w, 1), whole.target(w, 1));
}

TEST(Propagation, OfSizesThatFloatsWouldLose) {
  const Pair pair(5, 20, 4);
  const MatrixXd expected = of(pair).cross();
  for (float unit : {1e-30f, 1e-12f, 1e12f, 1e30f}) {
    Propagation p(5);
    p.add(unit * pair.x, unit * pair.x_hat);
    EXPECT_LT(distance(p.cross() / static_cast<double>(unit) / static_cast<double>(unit), expected), 1e-5);
  }
}

TEST(Propagation, StrengthOneIsLeastSquares) {
  for (const auto& [n, k, m] : {std::tuple<Index, Index, Index>{1, 1, 5}, {70, 20, 300}, {5, 33, 100}}) {
    const Pair pair(k, m, 5);
    const Propagation p = of(pair);
    const MatrixXf w = test::normal(n, k, 6);
    // min |W X - T X^|: columns of T^T are least squares solutions of X^^T.
    const MatrixXd outputs = oracle::product(w.cast<double>(), pair.x.cast<double>());
    const MatrixXd x_hat = pair.x_hat.cast<double>();
    const MatrixXd best = x_hat.transpose().colPivHouseholderQr().solve(outputs.transpose()).transpose();
    EXPECT_LT(distance(p.target(w, 1, 0).cast<double>(), best), 2e-4) << k;
    EXPECT_EQ(p.target(w, 0), w);
    const MatrixXd half = (w.cast<double>() + best) / 2;
    EXPECT_LT(distance(p.target(w, 0.5, 0).cast<double>(), half), 2e-4);
  }
}

TEST(Propagation, OfInputsThatAreExactLeavesTheWeights) {
  const MatrixXf x = test::correlated_inputs(9, 40, 7), w = test::normal(4, 9, 8);
  Propagation p(9);
  p.add(x, x);
  EXPECT_EQ(p.target(w, 1), w);
}

// tr((T - W) H' (T - W)^T) with the damped H' is what the damped problem leaves: no direction without samples moves.
TEST(Propagation, FewerSamplesThanInputsAndDeadInputs) {
  Pair pair(40, 6, 9);
  pair.x_hat.row(3).setZero();
  const Propagation p = of(pair);
  const MatrixXf w = test::normal(7, 40, 10), target = p.target(w, 1, 0.01);
  ASSERT_TRUE(target.allFinite());
  const auto loss = [&](const MatrixXf& t) { return (w * pair.x - t * pair.x_hat).norm(); };
  EXPECT_LT(loss(target), 0.2f * loss(w));
  EXPECT_LT((target.col(3) - w.col(3)).norm(), 1e-6f);
  const MatrixXd shift = (target - w).cast<double>();
  const MatrixXd left = shift * p.hessian().damped(0.01).matrix();
  EXPECT_LT(distance(left, w.cast<double>() * p.cross()), 1e-4);
  EXPECT_NE(test::message_of([&] { p.target(w, 1, 0); }).find("try a damping of 0.01"), std::string::npos);
}

// Two layers with a nonlinearity between. The second is rounded as if the first were exact, or knowing that it is not;
// judged on samples that neither has seen.
TEST(Propagation, MakesTheSecondLayerBetterThanItIsWithoutIt) {
  const auto relu = [](const MatrixXf& y) -> MatrixXf { return y.cwiseMax(0.0f); };
  const MatrixXf first = test::normal(96, 48, 11) / 7, second = test::normal(40, 96, 12) / 10;
  const MatrixXf mixing = test::normal(48, 10, 13);
  const auto inputs = [&](Index m, unsigned seed) -> MatrixXf {
    return mixing * test::normal(10, m, seed) + 0.3f * test::normal(48, m, seed + 1);
  };
  const MatrixXf train = inputs(2000, 14), eval = inputs(500, 16);
  using S = UInt<2, Group<16>>;
  const auto q1 = quantize<S>(first, Gptq{Hessian(train)});
  Propagation p(96);
  p.add(relu(first * train), relu(q1.dequantize() * train));
  const MatrixXf exact = second * relu(first * eval), hidden = relu(q1.dequantize() * eval);
  const auto error = [&](double strength) {
    const auto q2 = quantize<S>(p.target(second, strength), Gptq{p.hessian()});
    return (exact - q2.dequantize() * hidden).norm() / exact.norm();
  };
  const auto naive = quantize<S>(second, Gptq{Hessian(relu(first * train))});
  const float without = error(0), half = error(0.5), full = error(1);
  std::printf("exact inputs %.4f, strength 0 %.4f, 0.5 %.4f, 1 %.4f\n",
              static_cast<double>((exact - naive.dequantize() * hidden).norm() / exact.norm()),
              static_cast<double>(without), static_cast<double>(half), static_cast<double>(full));
  EXPECT_LT(half, without);
  EXPECT_LT(full, 0.9f * without);
}

TEST(Propagation, EmptyAndBad) {
  EXPECT_EQ(Propagation(0).target(MatrixXf(3, 0), 1).rows(), 3);
  EXPECT_EQ(of(Pair(4, 9, 1)).target(MatrixXf(0, 4), 1).cols(), 4);
  Propagation p(3);
  const MatrixXf x = MatrixXf::Ones(3, 2);
  const auto has = [](const std::string& message, const char* part) {
    return message.find(part) != std::string::npos ? "" : "\"" + message + "\"";
  };
  const auto add = [&](const MatrixXf& a, const MatrixXf& b) { return test::message_of([&] { p.add(a, b); }); };
  EXPECT_EQ(has(add(MatrixXf::Ones(4, 2), x), "samples of 3 x 2, got 4 x 2"), "");
  EXPECT_EQ(has(add(x, MatrixXf::Ones(3, 1)), "samples of 3 x 2, got 3 x 1"), "");
  EXPECT_EQ(has(add(x, NAN * x), "finite samples"), "");
  EXPECT_EQ(has(add(3e38f * x, -3e38f * x), "difference is finite"), "");
  EXPECT_EQ(p.samples(), 0);
  const auto target = [&](const MatrixXf& w, double strength, double damping = 0.01) {
    return test::message_of([&] { p.target(w, strength, damping); });
  };
  EXPECT_EQ(has(target(x.transpose(), 1), "samples, got none"), "");
  EXPECT_EQ(target(x.transpose(), 0), "");
  p.add(x, x);
  EXPECT_EQ(has(target(x, 1), "weights of 3 inputs, got 2"), "");
  EXPECT_EQ(has(target(NAN * x.transpose(), 1), "finite weights"), "");
  EXPECT_EQ(has(target(x.transpose(), -0.1), "strength from 0 to 1, got -0.1"), "");
  EXPECT_EQ(has(target(x.transpose(), NAN), "strength from 0 to 1, got nan"), "");
  EXPECT_EQ(has(target(x.transpose(), 1, -1), "damping of at least 0"), "");
  EXPECT_EQ(has(test::message_of([&] { p.merge(Propagation(4)); }), "moments of 3 inputs, got 4"), "");
  EXPECT_EQ(has(test::message_of([] { (void)Propagation(2).cross(); }), "samples"), "");
  EXPECT_NE(test::message_of([] { Propagation(-1); }), "");
}

}  // namespace
}  // namespace nibble
