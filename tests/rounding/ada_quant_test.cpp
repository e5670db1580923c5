// AdaQuant: its slopes against differences of the loss that they are of, the scales that it finds, its bias.
#include <gtest/gtest.h>
#include <nibble/rounding.h>

#include "message_of.h"
#include "oracle/column_rounding.h"
#include "rounding/correlated.h"

namespace nibble {
namespace {

using Eigen::MatrixXd;
using Eigen::MatrixXf;

/// Scales that make some weights leave the range.
struct FixedScale {
  float scale;
  template <class S> GroupParams<S> operator()(const WeightGroup&, const Quantizer<S>& quantizer) const {
    return quantizer.params({-scale * quantizer.top(), scale * quantizer.top()});
  }
};

TEST(AdaQuant, SlopesAreThoseOfTheLossWithRoundingStraightThrough) {
  using S = Int<3, Group<5>>;
  constexpr Index lane = kernels::lane_rows;
  const double scale = 0.4, top = 3;
  for (Index k : {1, 13}) {
    const Hessian hessian(test::correlated_inputs(k, 40, 1));
    const MatrixXd h = hessian.matrix() / hessian.diagonal().mean();
    const RowMajorMatrixXf w = test::normal(20, k, 2);
    Parts<S> parts(20, k);
    Nearest{}.round(w, FixedScale{0.4f}, parts);
    const rounding::HessianTiles lanes(hessian, 1, rounding::all_of(k), {});
    const rounding::LevelsOf<S> levels;
    rounding::StraightRows<S> rows(w, 0, 20, lanes, resolve(), levels, parts);
    rows.round();
    const auto [moves, log_scales] = rows.slopes();
    int outside = 0;
    for (Index i = 0; i < 20; ++i) {
      const Eigen::RowVectorXd row = w.row(i).cast<double>();
      const Eigen::RowVectorXd q =
          row.unaryExpr([&](double x) { return scale * std::clamp(std::nearbyint(x / scale), -top, top); });
      const Eigen::RowVectorXd error = q - row;
      const double unit2 = error.cwiseAbs2().dot(h.diagonal()) / static_cast<double>(k);
      // A move of one weight by a part of its group's distance, and a factor of one group's scale.
      const auto loss = [&](Index moved, double by, Index group, double log_scale) {
        Eigen::RowVectorXd e = error;
        for (Index j = 0; j < k; ++j) {
          if (j / 5 == group) e[j] = std::exp(log_scale) * q[j] - row[j];
          if (j == moved) {
            const auto of_group = error.segment(j / 5 * 5, std::min<Index>(5, k - j / 5 * 5));
            e[j] += by * std::sqrt(12 * of_group.squaredNorm() / static_cast<double>(of_group.size()));
          }
        }
        return oracle::loss(e, h) / unit2;
      };
      for (Index j = 0; j < k; ++j) {
        double slope = (loss(j, 1e-5, -1, 0) - loss(j, -1e-5, -1, 0)) / 2e-5;
        if (std::abs(row[j]) > top * scale) {
          ++outside;
          if (slope * row[j] < 0) slope = 0;
        }
        EXPECT_NEAR(static_cast<double>(moves[j * lane + i]), slope, 1e-3 * (1 + std::abs(slope))) << i << ' ' << j;
      }
      for (Index g = 0; g < (k + 4) / 5; ++g) {
        const double slope = (loss(-1, 0, g, 1e-5) - loss(-1, 0, g, -1e-5)) / 2e-5;
        EXPECT_NEAR(static_cast<double>(log_scales[g * lane + i]), slope, 1e-3 * (1 + std::abs(slope)))
            << i << ' ' << g;
      }
    }
    EXPECT_GT(outside, 0);
  }
}

// Weights that a scale represents exactly, and a rule that chooses another.
TEST(AdaQuant, FindsTheScale) {
  const Index k = 48;
  const MatrixXf w = (1.5f * test::normal(40, k, 3)).array().rint().cwiseMax(-7.0f).cwiseMin(7.0f) * 0.5f;
  const Hessian h(test::correlated_inputs(k, 100, 4));
  for (float wrong : {0.96f, 1.04f}) {
    const FixedScale rule{0.5f * wrong};
    const auto q = quantize<Int<4>>(w, rule, AdaQuant{h});
    EXPECT_LT(proxy_loss(w, q, h), 0.1 * proxy_loss(w, quantize<Int<4>>(w, rule), h)) << wrong;
    for (Index i = 0; i < w.rows(); ++i) EXPECT_NEAR(q.group(i, 0).scale, 0.5f, 0.02f) << i;
  }
}

TEST(AdaQuant, WithoutRatesOrIterationsIsNearest) {
  const MatrixXf w = test::normal(50, 30, 5);
  const Hessian h(test::correlated_inputs(30, 60, 6));
  const auto nearest = quantize<UInt<3, Group<16>>>(w);
  EXPECT_EQ((quantize<UInt<3, Group<16>>>(w, AdaQuant{h, {.iterations = 0}})), nearest);
  EXPECT_EQ((quantize<UInt<3, Group<16>>>(w, AdaQuant{h, {.rate = 0, .scale_rate = 0}})), nearest);
  // Fixed scales, and those of a tensor.
  const auto q = quantize<UInt<3, Group<16>>>(w, AdaQuant{h, {.scale_rate = 0}});
  EXPECT_EQ(q.parts().scales, nearest.parts().scales);
  EXPECT_LT(proxy_loss(w, q, h), proxy_loss(w, nearest, h));
  using Tensor = Int<3, PerTensor>;
  const auto tensor = quantize<Tensor>(w, AdaQuant{h});
  EXPECT_EQ(tensor.parts().scales, quantize<Tensor>(w).parts().scales);
  EXPECT_LT(proxy_loss(w, tensor, h), 0.8 * proxy_loss(w, quantize<Tensor>(w), h));
}

TEST(AdaQuant, LearnsForACorrectedBias) {
  using S = Int<3>;
  const MatrixXf w = test::normal(50, 30, 7);
  const MatrixXf x = test::correlated_inputs(30, 90, 8).colwise() + 2 * test::normal(30, 1, 9).col(0);
  const Hessian h(x);
  const auto with = quantize<S>(w, AdaQuant{h, {.bias = true}});
  EXPECT_EQ(with, quantize<S>(w, AdaQuant{h.centred()}));
  const auto error = [&](const QuantizedMatrix<S>& q) {
    const MatrixXf e = (w - q.dequantize()) * x;
    return (e.colwise() - corrected_bias(w, q, h)).squaredNorm();
  };
  EXPECT_LT(error(with), 0.95f * error(quantize<S>(w, AdaQuant{h})));
  EXPECT_LT(error(with), 0.5f * error(quantize<S>(w)));
}

TEST(AdaQuant, TakesShapesOfAllKinds) {
  const AdaQuantOptions few{.iterations = 30};
  for (Index n : {0, 1, 47, 49}) {
    for (Index k : {0, 1, 2, 7, 17}) {
      const MatrixXf w = test::normal(n, k, 20);
      const Hessian h = k == 0 ? Hessian(0) : Hessian(test::correlated_inputs(k, 2, 21));
      const auto q = quantize<UInt<2, Group<16>>>(w, AdaQuant{h, few});
      EXPECT_EQ(q.rows(), n);
      EXPECT_EQ(q.cols(), k);
      if (n > 0 && k > 0) {
        EXPECT_LE(proxy_loss(w, q, h), proxy_loss(w, quantize<UInt<2, Group<16>>>(w), h) * (1 + 1e-5) + 1e-9);
      }
    }
  }
  MatrixXf x = test::correlated_inputs(6, 30, 22);
  x.row(3).setZero();
  MatrixXf w = test::normal(5, 6, 23);
  w.row(1).setZero();
  w.row(2) << 7, -3, 0, 1, 2, -7;
  const auto q = quantize<Int<4>>(w, AdaQuant{Hessian(x), few}), nearest = quantize<Int<4>>(w);
  EXPECT_EQ(q.codes().middleRows(1, 2), nearest.codes().middleRows(1, 2));
  EXPECT_EQ(quantize<Int<4>>(w, AdaQuant{Hessian(MatrixXf::Zero(6, 3)), few}), nearest);
  w *= 1e37f;
  EXPECT_TRUE(quantize<Int<2>>(w, AdaQuant{Hessian(x)}).dequantize().allFinite());
}

TEST(AdaQuant, TellsOfItsProgressAndStops) {
  const MatrixXf w = test::normal(60, 9, 24);
  const Hessian h(test::correlated_inputs(9, 40, 25));
  std::vector<std::ptrdiff_t> seen;
  const Progress watch = [&](std::ptrdiff_t done, std::ptrdiff_t total) {
    EXPECT_EQ(total, 2 * 30);
    seen.push_back(done);
    return true;
  };
  quantize<Int<4>>(w, AdaQuant{h, {.iterations = 30, .progress = watch}});
  EXPECT_EQ(seen.front(), 0);
  EXPECT_EQ(seen.back(), 60);
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
  for (std::ptrdiff_t stop : {0, 31, 60}) {
    const Progress cancel = [&](std::ptrdiff_t done, std::ptrdiff_t) { return done < stop; };
    EXPECT_EQ(test::message_of<Cancelled>([&] {
                quantize<Int<4>>(w, AdaQuant{h, {.iterations = 30, .progress = cancel}}, {.threads = 2});
              }),
              "nibble::AdaQuant: cancelled");
  }
}

TEST(AdaQuant, RejectsBadInput) {
  const MatrixXf w = test::normal(4, 6, 26);
  const Hessian h(test::correlated_inputs(6, 40, 27));
  const auto expect = [&](const Hessian& hessian, const AdaQuantOptions& options, const char* part) {
    const std::string message = test::message_of([&] { quantize<Int<4>>(w, AdaQuant{hessian, options}); });
    EXPECT_NE(message.find(part), std::string::npos) << message;
  };
  const float nan = std::numeric_limits<float>::quiet_NaN();
  expect(Hessian(5), {}, "nibble::AdaQuant: expected a Hessian of 6 inputs, got 5");
  expect(Hessian(6), {}, "got 0 samples");
  expect(h, {.iterations = -1}, "at least 0 iterations, got -1");
  expect(h, {.rate = nan}, "finite rates of at least 0, got nan");
  expect(h, {.scale_rate = -1}, "finite rates of at least 0");
  expect(Hessian::from_matrix(h.matrix()), {.bias = true}, "mean is not known");
}

}  // namespace
}  // namespace nibble
