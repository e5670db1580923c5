// FitScales against dense least squares; shapes, bad input.
#include <gtest/gtest.h>
#include <nibble/nibble.h>

#include <Eigen/Cholesky>
#include <Eigen/QR>

#include "message_of.h"
#include "rounding/correlated.h"
#include "rounding/row_loss.h"

namespace nibble {
namespace {

using test::MatrixXd;
using test::MatrixXf;
using test::nearest;
using test::unscaled;
using test::VectorXd;

/// The scales of rows that share them, by QR: H = L L^T.
template <class S> VectorXd least_squares(const MatrixXf& w, const Parts<S>& parts, const MatrixXd& root, Index row) {
  const bool tensor = std::same_as<typename S::group, PerTensor>;
  const Index k = w.cols(), first = tensor ? 0 : row, rows = tensor ? w.rows() : 1, groups = parts.scales.cols();
  MatrixXd a = MatrixXd::Zero(rows * k, groups);
  VectorXd b(rows * k);
  for (Index i = 0; i < rows; ++i) {
    const VectorXd c = unscaled(parts, first + i);
    for (Index j = 0; j < k; ++j) {
      const Index g = S::group_inputs == 0 ? 0 : j / std::max(1, S::group_inputs);
      a.col(g).segment(i * k, k) += c[j] * root.row(j).transpose();
    }
    b.segment(i * k, k) = root.transpose() * w.row(first + i).transpose().cast<double>();
  }
  return a.colPivHouseholderQr().solve(b);
}

template <class S> void expect_least_squares(Index n, Index k) {
  const MatrixXf w = test::normal(n, k, 1);
  const Hessian h(test::correlated_inputs(k, 3 * k, 2));
  const MatrixXd root = Eigen::LLT<MatrixXd>(h.matrix()).matrixL();
  Parts<S> parts = nearest<S>(w);
  const auto codes = parts.codes;
  FitScales{h, {.zeros = false}}.refine(w, parts);
  EXPECT_EQ(parts.codes, codes);
  for (Index i = 0; i < n; ++i) {
    const VectorXd exact = least_squares<S>(w, parts, root, i);
    for (Index g = 0; g < exact.size(); ++g)
      EXPECT_NEAR(static_cast<double>(parts.group(i, g).scale), exact[g], 1e-5 * exact.cwiseAbs().maxCoeff())
          << S::name() << ' ' << k << ' ' << i << ' ' << g;
  }
}

TEST(FitScales, AreLeastSquaresOfTheOutputs) {
  for (Index k : {1, 16, 50}) {
    expect_least_squares<Int<3, Group<16>>>(20, k);
    expect_least_squares<UInt<2, Group<10>>>(9, k);
    expect_least_squares<Int<2>>(50, k);
  }
  expect_least_squares<UInt<3, PerTensor>>(13, 20);
  expect_least_squares<Ternary3in5<Group<9>>>(10, 30);
  expect_least_squares<Codebook<2, Group<32>>>(10, 70);
}

TEST(FitScales, TakeShapesOfAllKinds) {
  for (Index n : {0, 1, 48, 49}) {
    for (Index k : {0, 1, 2, 17}) {
      const MatrixXf w = test::normal(n, k, 15);
      const Hessian h = k == 0 ? Hessian(0) : Hessian(test::correlated_inputs(k, 1, 16));  // singular for k > 1
      const auto q = quantize<UInt<2, Group<10>>>(w, Refined{Nearest{}, FitScales{h}});
      EXPECT_TRUE(q.dequantize().allFinite());
      if (n == 0 || k == 0) continue;
      EXPECT_LE(proxy_loss(w, q, h), proxy_loss(w, quantize<UInt<2, Group<10>>>(w), h) * (1 + 1e-6) + 1e-9);
    }
  }
}

TEST(FitScales, RejectBadInputAndStop) {
  using S = Int<3, Group<16>>;
  const MatrixXf w = test::normal(100, 16, 17);
  const Hessian h(test::correlated_inputs(16, 40, 18));
  Parts<S> parts = nearest<S>(w);
  const Parts<S> before = parts;
  const auto message = [&](const FitScales& fit, const MatrixXf& weights) {
    return test::message_of([&] { fit.refine(weights, parts); });
  };
  EXPECT_EQ(message({Hessian(5)}, w), "nibble::FitScales: expected a Hessian of 16 inputs, got 5");
  EXPECT_EQ(message({Hessian(16)}, w), "nibble::FitScales: expected a Hessian of samples that count, got 0 samples");
  EXPECT_EQ(message({h}, w.topRows(7)), "nibble::FitScales: expected parts of 7 x 16, got 100 x 16");
  EXPECT_EQ(message({h, {.sweeps = -1}}, w), "nibble::FitScales: expected at least 0 sweeps, got -1");
  EXPECT_EQ(parts.scales, before.scales);
  std::vector<std::ptrdiff_t> seen;
  const Progress watch = [&](std::ptrdiff_t done, std::ptrdiff_t total) {
    EXPECT_EQ(total, 100);
    seen.push_back(done);
    return true;
  };
  FitScales{h, {.progress = watch}}.refine(w, parts);
  EXPECT_EQ(seen, (std::vector<std::ptrdiff_t>{0, 48, 96, 100}));
  const Progress cancel = [](std::ptrdiff_t done, std::ptrdiff_t) { return done < 48; };
  EXPECT_EQ(test::message_of<Cancelled>([&] {
              FitScales{h, {.progress = cancel}}.refine(w, parts);
            }),
            "nibble::FitScales: cancelled");
}

}  // namespace
}  // namespace nibble
