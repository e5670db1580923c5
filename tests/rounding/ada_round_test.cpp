// AdaRound: its formulas and gradient against naive ones in double, its codes against all combinations of up and down.
#include <gtest/gtest.h>
#include <nibble/rounding.h>

#include "message_of.h"
#include "oracle/column_rounding.h"
#include "rounding/correlated.h"

namespace nibble {
namespace {

using Eigen::MatrixXd;
using Eigen::MatrixXf;

double h_of(double v) {
  return std::clamp(1.2 / (1 + std::exp(-v)) - 0.1, 0.0, 1.0);
}

TEST(AdaRound, RectifiedSigmoid) {
  using rounding::inverse_rectified_sigmoid, rounding::rectified_sigmoid;
  EXPECT_EQ(rectified_sigmoid(0.0), 0.5);
  EXPECT_NEAR(rectified_sigmoid(-std::log(11.0) + 1e-9), 0, 1e-8);  // from here on it is clipped
  EXPECT_NEAR(rectified_sigmoid(std::log(11.0) - 1e-9), 1, 1e-8);
  EXPECT_EQ(rectified_sigmoid(-2.4), 0);
  EXPECT_EQ(rectified_sigmoid(2.4), 1);
  for (double h : {0.0, 0.01, 0.3, 0.5, 0.99, 1.0}) {
    EXPECT_NEAR(rectified_sigmoid(inverse_rectified_sigmoid(h)), h, 1e-12);
  }
  EXPECT_NEAR(rectified_sigmoid(0.7f), static_cast<float>(h_of(0.7)), 1e-6);
}

TEST(AdaRound, GradientIsThatOfTheObjective) {
  constexpr Index lane = kernels::lane_rows;
  for (Index k : {1, 8, 13}) {
    const Hessian hessian(test::correlated_inputs(k, 40, 1));
    const MatrixXd h = hessian.matrix() / hessian.diagonal().mean();
    const rounding::HessianTiles lanes(hessian, 1, rounding::all_of(k), {});
    rounding::SoftRows<> rows(lanes, resolve());
    const MatrixXf base = test::normal(lane, k, 2), step = test::normal(lane, k, 3);
    MatrixXf v = test::normal(lane, k, 4).cwiseMax(-2.2f).cwiseMin(2.2f);
    v(0, 0) = 4;  // clipped
    v(1, k / 2) = 0;
    std::copy_n(base.data(), base.size(), rows.base.data());
    std::copy_n(step.data(), step.size(), rows.step.data());
    std::copy_n(v.data(), v.size(), rows.v.data());
    rows.place();
    for (const auto& [lambda, beta] : {std::pair{0.0, 20.0}, {0.7, 5.0}, {3.0, 2.0}, {1.0, 20.0}}) {
      const auto objective = [&, l = lambda, b = beta](Index row, Index moved, double by) {
        Eigen::RowVectorXd e(k);
        double penalty = 0;
        for (Index j = 0; j < k; ++j) {
          const double soft = h_of(static_cast<double>(v(row, j)) + (j == moved ? by : 0));
          e[j] = static_cast<double>(base(row, j)) + soft * static_cast<double>(step(row, j));
          penalty += 1 - std::pow(std::abs(2 * soft - 1), b);
        }
        return oracle::loss(e, h) + l * penalty;
      };
      AlignedArray<float> slopes(static_cast<std::size_t>(round_up(k, Index{kernels::lane_cols}) * lane));
      for (Index piece = 0; piece < lanes.pieces(); ++piece)
        rows.gradient(piece, static_cast<float>(lambda), static_cast<float>(beta),
                      slopes.data() + lanes.first(piece) * lane);
      for (Index row : {Index{0}, Index{1}, Index{30}, lane - 1}) {
        for (Index j = 0; j < k; ++j) {
          const double exact = (objective(row, j, 1e-5) - objective(row, j, -1e-5)) / 2e-5;
          EXPECT_NEAR(static_cast<double>(slopes.data()[j * lane + row]), exact, 1e-4 * (1 + std::abs(exact)))
              << k << ' ' << row << ' ' << j << ' ' << lambda << ' ' << beta;
        }
      }
      EXPECT_EQ(slopes.data()[0], 0);
    }
  }
}

TEST(AdaRound, IsNearlyAlwaysTheBestOfAllCombinations) {
  Index best = 0, rows = 0;
  double sum_best = 0, sum_learned = 0, sum_nearest = 0;
  for (Index k : {2, 5, 8}) {
    for (unsigned seed : {10u, 20u, 30u}) {
      const MatrixXf w = test::normal(50, k, seed);
      const Hessian h(test::correlated_inputs(k, 60, seed + 1, 2));
      const auto q = quantize<Int<3>>(w, AdaRound{h}), n = quantize<Int<3>>(w);
      const MatrixXf learned = q.dequantize(), nearest = n.dequantize();
      for (Index i = 0; i < w.rows(); ++i) {
        const double scale = static_cast<double>(n.group(i, 0).scale);
        double least = std::numeric_limits<double>::infinity();
        for (int ups = 0; ups < 1 << k; ++ups) {
          Eigen::RowVectorXd e(k);
          for (Index j = 0; j < k; ++j) {
            const double x = static_cast<double>(w(i, j));
            // A weight on the grid, to the rounding of floats, stays there.
            const double place = x / scale, on = std::nearbyint(place);
            const double low = std::abs(place - on) < 1e-5 ? on : std::floor(place) + (ups >> j & 1);
            e[j] = x - low * scale;
          }
          least = std::min(least, oracle::loss(e, h.matrix()));
        }
        const auto loss = [&](const MatrixXf& m) {
          return oracle::loss((w.row(i) - m.row(i)).cast<double>(), h.matrix());
        };
        ++rows;
        best += loss(learned) <= least * (1 + 1e-4) + 1e-12;
        sum_best += least;
        sum_learned += loss(learned);
        sum_nearest += loss(nearest);
        EXPECT_LE(loss(learned), loss(nearest) * (1 + 1e-5));
        EXPECT_GE(loss(learned), least * (1 - 1e-4) - 1e-12);
      }
    }
  }
  std::printf("best of all combinations: %.1f %% of %d rows; loss of the best %.4g, AdaRound's %.4g, nearest's %.4g\n",
              100 * static_cast<double>(best) / static_cast<double>(rows), static_cast<int>(rows), sum_best,
              sum_learned, sum_nearest);
  EXPECT_GE(static_cast<double>(best), 0.6 * static_cast<double>(rows));
  EXPECT_LT(sum_learned - sum_best, 0.3 * (sum_nearest - sum_best));
}

TEST(AdaRound, OfUncorrelatedInputsIsNearest) {
  const MatrixXf w = test::normal(60, 37, 17);
  const Hessian h = Hessian::from_matrix(MatrixXd(Eigen::VectorXd::LinSpaced(37, 1, 3).asDiagonal()));
  EXPECT_EQ((quantize<UInt<3, Group<8>>>(w, AdaRound{h})), (quantize<UInt<3, Group<8>>>(w)));
}

TEST(AdaRound, DoesNotDependOnUnits) {
  const MatrixXf w = test::normal(30, 20, 18), x = test::correlated_inputs(20, 40, 19);
  using S = Int<4, Group<8>>;
  const auto q = quantize<S>(w, AdaRound{Hessian(x)}).codes();
  EXPECT_EQ(quantize<S>(0x1p-40f * w, AdaRound{Hessian(0x1p80f * x)}).codes(), q);
  EXPECT_EQ(quantize<S>(0x1p90f * w, AdaRound{Hessian(0x1p-80f * x)}).codes(), q);
}

TEST(AdaRound, TakesShapesOfAllKinds) {
  const AdaRoundOptions few{.iterations = 60};
  for (Index n : {0, 1, 47, 48, 49}) {
    for (Index k : {0, 1, 2, 7, 17}) {
      const MatrixXf w = test::normal(n, k, 20);
      const Hessian h = k == 0 ? Hessian(0) : Hessian(test::correlated_inputs(k, 2, 21));
      const auto q = quantize<UInt<2, Group<16>>>(w, AdaRound{h, few});
      EXPECT_EQ(q.rows(), n);
      EXPECT_EQ(q.cols(), k);
      if (n > 0 && k > 0) {
        EXPECT_LE(proxy_loss(w, q, h), proxy_loss(w, quantize<UInt<2, Group<16>>>(w), h) * (1 + 1e-5) + 1e-9);
      }
    }
  }
  // Inputs that are always 0, rows of zeros, and one whose weights are all on the grid: nearest.
  MatrixXf x = test::correlated_inputs(6, 30, 22);
  x.row(3).setZero();
  MatrixXf w = test::normal(5, 6, 23);
  w.row(1).setZero();
  w.row(2) << 7, -3, 0, 1, 2, -7;
  const auto q = quantize<Int<4>>(w, AdaRound{Hessian(x), few}), nearest = quantize<Int<4>>(w);
  EXPECT_EQ(q.codes().middleRows(1, 2), nearest.codes().middleRows(1, 2));
  EXPECT_EQ(quantize<Int<4>>(w, AdaRound{Hessian(MatrixXf::Zero(6, 3)), few}), nearest);
  EXPECT_EQ(quantize<Int<4>>(w, AdaRound{Hessian(x), {.iterations = 0}}), nearest);
}

TEST(AdaRound, TellsOfItsProgressAndStops) {
  const MatrixXf w = test::normal(60, 9, 24);
  const Hessian h(test::correlated_inputs(9, 40, 25));
  std::vector<std::ptrdiff_t> seen;
  const Progress watch = [&](std::ptrdiff_t done, std::ptrdiff_t total) {
    EXPECT_EQ(total, 2 * 30);
    seen.push_back(done);
    return true;
  };
  quantize<Int<4>>(w, AdaRound{h, {.iterations = 30, .progress = watch}});
  EXPECT_EQ(seen.front(), 0);
  EXPECT_EQ(seen.back(), 60);
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
  for (std::ptrdiff_t stop : {0, 31, 60}) {
    const Progress cancel = [&](std::ptrdiff_t done, std::ptrdiff_t) { return done < stop; };
    EXPECT_EQ(test::message_of<Cancelled>([&] {
                quantize<Int<4>>(w, AdaRound{h, {.iterations = 30, .progress = cancel}}, {.threads = 2});
              }),
              "nibble::AdaRound: cancelled");
  }
}

TEST(AdaRound, RejectsBadInput) {
  const MatrixXf w = test::normal(4, 6, 26);
  const Hessian h(test::correlated_inputs(6, 40, 27));
  const auto expect = [&](const Hessian& hessian, const AdaRoundOptions& options, const char* part) {
    const std::string message = test::message_of([&] { quantize<Int<4>>(w, AdaRound{hessian, options}); });
    EXPECT_NE(message.find(part), std::string::npos) << message;
  };
  const float nan = std::numeric_limits<float>::quiet_NaN();
  expect(Hessian(5), {}, "nibble::AdaRound: expected a Hessian of 6 inputs, got 5");
  expect(Hessian(6), {}, "got 0 samples");
  expect(h, {.iterations = -1}, "at least 0 iterations, got -1");
  expect(h, {.rate = nan}, "finite rate and regulariser of at least 0, got nan");
  expect(h, {.rate = -1}, "finite rate");
  expect(h, {.regulariser = std::numeric_limits<float>::infinity()}, "finite rate and regulariser");
  expect(h, {.warm_up = 1.5f}, "a warm-up of 0 to 1, got 1.5");
  expect(h, {.warm_up = nan}, "warm-up");
  expect(h, {.first_beta = 0.5f}, "finite betas of at least 1, got 0.5, 2");
  expect(h, {.last_beta = nan}, "finite betas");
}

}  // namespace
}  // namespace nibble
