// Salience, outliers chosen by it, and salient columns in more bits: against dense algebra and naive searches.
#include <gtest/gtest.h>
#include <nibble/nibble.h>

#include <filesystem>

#include "message_of.h"
#include "rounding/correlated.h"
#include "threads.h"

namespace nibble {
namespace {

using Eigen::MatrixXd;
using Eigen::MatrixXf;

TEST(Salience, IsTheLossOfAWeightThatIsMissing) {
  const Index k = 23;
  const MatrixXf w = test::normal(4, k, 1);
  const Hessian h(test::correlated_inputs(k, 15, 2));
  const MatrixXd damped = h.damped(0.02).matrix();
  const auto s = salience(w, h, {.damping = 0.02});
  EXPECT_TRUE(inverse_diagonal(h, {.damping = 0.02}).isApprox(damped.inverse().diagonal(), 1e-8));
  for (Index i = 0; i < w.rows(); ++i) {
    for (Index j = 0; j < k; ++j) {
      // e_j = w; the others solve H_oo e_o = -H_oj w.
      Eigen::VectorX<Index> others(k - 1);
      for (Index o = 0; o < k - 1; ++o) others[o] = o < j ? o : o + 1;
      Eigen::VectorXd e(k);
      e[j] = static_cast<double>(w(i, j));
      const Eigen::VectorXd rest = -Eigen::LDLT<MatrixXd>(damped(others, others)).solve(damped(others, j) * e[j]);
      e(others) = rest;
      EXPECT_NEAR(static_cast<double>(s(i, j)), e.dot(damped * e), 1e-4 * e.dot(damped * e)) << i << ' ' << j;
    }
  }
}

TEST(SplitSalient, TakesTheMostSalientWeights) {
  const MatrixXf w = test::normal(9, 31, 3);
  const Hessian h(test::correlated_inputs(31, 90, 4));
  const auto split = split_salient(w, h, 0.2);
  const MatrixXf kept = split.outliers.dequantize();
  EXPECT_EQ(MatrixXf(kept + split.dense), w);
  EXPECT_EQ(split.outliers.matrix().nonZeros(), 55);
  const MatrixXf s = salience(w, h);
  EXPECT_GE((kept.array() != 0).select(s, 1e30f).minCoeff(), (kept.array() != 0).select(0.0f, s).maxCoeff());
}

// Dettmers et al., algorithm 1, with the scale of a group of integers from its largest weight.
TEST(SplitSalient, DoesNotDependOnTheUnitOfTheInputs) {
  MatrixXf w = test::normal(9, 31, 3);
  w(2, 2) = 0;
  const MatrixXf x = test::correlated_inputs(31, 90, 4);
  const auto kept = split_salient(w, Hessian(x), 0.2).outliers;
  for (float unit : {1e-23f, 1e20f}) EXPECT_EQ(split_salient(w, Hessian(unit * x), 0.2).outliers, kept) << unit;
}

TEST(SplitSensitive, IsTheRuleOfTheirPaper) {
  const Index n = 6, k = 40;
  MatrixXf w = test::normal(n, k, 5);
  w(2, 17) = 40;
  w(4, 3) = -25;
  const Hessian h(test::correlated_inputs(k, 90, 6));
  const Eigen::VectorXd inverse = h.damped(0.01).matrix().inverse().diagonal();
  const auto error = [&](Index i, Index first, Index out) {
    double largest = 0, sum = 0;
    for (Index j = first; j < std::min(k, first + 16); ++j)
      if (j != out) largest = std::max(largest, std::abs(static_cast<double>(w(i, j))));
    for (Index j = first; j < std::min(k, first + 16); ++j) {
      const double x = static_cast<double>(w(i, j)), step = largest / 3;
      if (j != out) sum += std::pow(x - step * std::nearbyint(x / step), 2) / inverse[j];
    }
    return sum;
  };
  std::vector<std::pair<double, Index>> gains;
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j < k; ++j) gains.emplace_back(error(i, j / 16 * 16, -1) - error(i, j / 16 * 16, j), i * k + j);
  std::sort(gains.rbegin(), gains.rend());
  const auto split = split_sensitive<Int<3, Group<16>>>(w, h, 0.05, AbsMax{});
  const MatrixXf kept = split.outliers.dequantize();
  EXPECT_EQ(split.outliers.matrix().nonZeros(), 12);
  EXPECT_EQ(kept(2, 17), 40);
  EXPECT_EQ(kept(4, 3), -25);
  for (std::size_t g = 0; g < 12; ++g) EXPECT_NE(kept(gains[g].second / k, gains[g].second % k), 0) << g;
}

TEST(FitOutliers, SolvesTheLeastSquares) {
  const MatrixXf w = test::normal(20, 48, 7);
  const Hessian h(test::correlated_inputs(48, 30, 8));
  const Hessian damped = h.damped(0.01);
  for (double share : {0.0, 0.02, 0.3}) {
    const auto split = split_outliers(w, share);
    const auto before = quantize_with_outliers<Int<2, Group<16>>>(split, AbsMax{}, Gptq{h});
    const auto after = fit_outliers(w, before, h);
    EXPECT_EQ(after.first(), before.first());
    EXPECT_EQ(after.second().matrix().nonZeros(), before.second().matrix().nonZeros());
    EXPECT_LE(proxy_loss(w, after, damped), proxy_loss(w, before, damped) * (1 + 1e-9));
    // No value that is stored can be improved: the gradient E H is 0 there.
    const MatrixXd e = w.cast<double>() - after.dequantize().cast<double>();
    const MatrixXd gradient = e * damped.matrix(), scale = e.cwiseAbs() * damped.matrix().cwiseAbs();
    for (Index i = 0; i < w.rows(); ++i)
      for (Sparse::Matrix::InnerIterator it(after.second().matrix(), i); it; ++it)
        EXPECT_NEAR(gradient(i, it.col()), 0, 1e-5 * scale(i, it.col()) + 1e-6);
    const MatrixXf x = test::normal(48, 5, 9);
    EXPECT_TRUE((after * x).isApprox(after.dequantize() * x, 1e-5f));
  }
}

TEST(SalientColumns, AreTheMostSalientOnesInMoreBits) {
  const MatrixXf w = test::normal(30, 40, 10);
  const Hessian h(test::correlated_inputs(40, 100, 11));
  using High = Int<8>;
  using Low = UInt<2, Group<16>>;
  const auto q = quantize_salient_columns<High, Low>(w, h, 0.25);
  EXPECT_EQ(q.matrix().left().cols(), 10);
  const Eigen::VectorXf by_input = salience(w, h).colwise().sum().transpose();
  const Eigen::VectorXi& order = q.column_order();
  float least = std::numeric_limits<float>::infinity(), most = 0;
  for (Index j = 0; j < 40; ++j)
    (j < 10 ? least : most) = j < 10 ? std::min(least, by_input[order[j]]) : std::max(most, by_input[order[j]]);
  EXPECT_GE(least, most);
  const MatrixXf x = test::normal(40, 7, 12);
  EXPECT_TRUE((q * x).isApprox(q.dequantize() * x, 1e-5f));

  // The salient weights take errors of the others upon them: better than if they were exact.
  MatrixXf plain = q.dequantize();
  for (Index j = 0; j < 10; ++j) plain.col(order[j]) = w.col(order[j]);
  EXPECT_LT(proxy_loss(w, q, h), proxy_loss(w, plain, h));

  EXPECT_EQ((quantize_salient_columns<High, Low>(w, h, 0).dequantize()),
            quantize<Low>(w, Gptq{h.damped(0.01), {.damping = 0}}).dequantize());
  EXPECT_EQ((quantize_salient_columns<High, Low>(w, h, 1).matrix().right().cols()), 0);
  EXPECT_EQ((quantize_salient_columns<High, Low>(MatrixXf(0, 40), h, 0.3).rows()), 0);
  EXPECT_EQ((quantize_salient_columns<High, Low>(MatrixXf(3, 0), Hessian(0), 0.3).cols()), 0);
  EXPECT_EQ((quantize_salient_columns<High, Low>(w, h, 0.25, DefaultRule<Low>{}, {.threads = 3})), q);
}

TEST(Salience, LowersTheErrorOfARealLayerOnTokensThatItHasNotSeen) {
  const std::filesystem::path folder = NIBBLE_EXAMPLE_DATA_DIR;
  const MatrixXf w = read_npy(folder / "weight.npy"), eval = read_npy(folder / "activations_eval.npy");
  const Hessian h(read_npy(folder / "activations_train.npy"));
  const auto error = [&](const auto& q) { return compare_outputs(w, q, eval).relative_error; };
  using S = UInt<2, Group<128>>;
  const double gptq = error(quantize<S>(w, Gptq{h}));
  const auto with = [&](const SplitWeights& split) { return quantize_with_outliers<S>(split, MinMax{}, Gptq{h}); };
  const auto by_size = with(split_outliers(w, 0.02)), by_salience = with(split_salient(w, h, 0.02));
  const auto by_group = with(split_sensitive<S>(w, h, 0.02, MinMax{}));
  const auto fitted = fit_outliers(w, by_group, h);
  std::printf("2 bits, 2 %% kept: GPTQ %.2f %%, by size %.2f %%, by salience %.2f %%, SpQR %.2f %%, fitted %.2f %%\n",
              100 * gptq, 100 * error(by_size), 100 * error(by_salience), 100 * error(by_group), 100 * error(fitted));
  EXPECT_LT(error(by_size), gptq);
  EXPECT_LT(error(by_salience), gptq);
  EXPECT_LT(error(by_group), gptq);
  EXPECT_LT(proxy_loss(w, fitted, h), proxy_loss(w, by_group, h));

  double last = std::numeric_limits<double>::infinity();
  for (double share : {0.0, 0.05, 0.1, 0.3}) {
    const auto q = quantize_salient_columns<Int<8>, Binary<>>(w, h, share);
    std::printf("binary with %2.0f %% of the columns in 8 bits: %.2f bits, %.2f %%\n", 100 * share, q.bits_per_weight(),
                100 * error(q));
    EXPECT_LT(error(q), last);
    last = error(q);
  }
}

TEST(Salience, SaysWhatIsWrong) {
  const MatrixXf w = test::normal(3, 6, 13);
  const Hessian five(test::correlated_inputs(5, 9, 1)), one(test::correlated_inputs(6, 1, 2));
  EXPECT_EQ(test::message_of([&] { salience(w, five); }), "nibble::salience: expected a Hessian of 6 inputs, got 5");
  EXPECT_NE(test::message_of([&] { salience(w, one, {.damping = 0}); }).find("try a damping of 0.01"),
            std::string::npos);
  EXPECT_EQ(test::message_of([&] { split_salient(w, one, 2); }),
            "nibble::split_salient: expected a share from 0 to 1, got 2");
  EXPECT_EQ(test::message_of([&] { split_sensitive<Int<3>>(w, five); }),
            "nibble::split_sensitive: expected a Hessian of 6 inputs, got 5");
  EXPECT_EQ(test::message_of([&] { quantize_salient_columns<Int<8>, Int<2>>(w, one, -1); }),
            "nibble::quantize_salient_columns: expected a share from 0 to 1, got -1");
  EXPECT_NE(test::message_of(
                [&] { fit_outliers(w, quantize_with_outliers<Int<2>>(split_outliers(w, 1)), one, {.damping = 0}); }),
            "");
  const SalienceOptions stop{.progress = [](auto, auto) { return false; }};
  EXPECT_THROW(split_sensitive<Int<3>>(w, one, 0.1, AbsMax{}, stop), Cancelled);
  EXPECT_THROW(fit_outliers(w, quantize_with_outliers<Int<2>>(split_outliers(w, 1)), one, stop), Cancelled);
  EXPECT_THROW((quantize_salient_columns<Int<8>, Int<2>>(w, one, 0.5, AbsMax{}, stop)), Cancelled);
  EXPECT_THROW(salience(w, one, stop), Cancelled);
  EXPECT_THROW(split_salient(w, one, 0.1, stop), Cancelled);
  for (double share : {0.0, 0.5, 1.0}) {
    std::vector<Index> calls;
    quantize_salient_columns<Int<8>, Int<2>>(w, one, share, AbsMax{}, {.progress = [&](Index done, Index total) {
                                               EXPECT_EQ(total, 6);
                                               calls.push_back(done);
                                               return done <= total;
                                             }});
    EXPECT_TRUE(std::is_sorted(calls.begin(), calls.end())) << share;
    EXPECT_EQ(calls.front(), 0) << share;
    EXPECT_EQ(calls.back(), 6) << share;
  }
}

TEST(Salience, DoesNotDependOnThreads) {
  const MatrixXf w = test::normal(40, 70, 14);
  const Hessian h(test::correlated_inputs(70, 90, 15));
  const SalienceOptions three{.threads = 3, .executor = test::threads};
  EXPECT_EQ(salience(w, h, three), salience(w, h));
  using S = UInt<3, Group<16>>;
  const auto split = split_sensitive<S>(w, h, 0.05), also = split_sensitive<S>(w, h, 0.05, DefaultRule<S>{}, three);
  EXPECT_EQ(split.outliers, also.outliers);
  const auto q = quantize_with_outliers<S>(split);
  EXPECT_EQ(fit_outliers(w, q, h, three), fit_outliers(w, q, h));
}

}  // namespace
}  // namespace nibble
