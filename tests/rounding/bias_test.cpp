// corrected_bias: the outputs' means become equal, and what is left is the centred Hessian's loss.
#include <gtest/gtest.h>
#include <nibble/nibble.h>

#include "message_of.h"
#include "rounding/correlated.h"

namespace nibble {
namespace {

using Eigen::MatrixXd;
using Eigen::MatrixXf;

MatrixXf shifted_inputs(Index k, Index m, unsigned seed) {
  return test::correlated_inputs(k, m, seed).colwise() + 2 * test::normal(k, 1, seed + 7).col(0);
}

TEST(Bias, MakesTheMeansOfOutputsEqual) {
  for (Index k : {1, 17, 64}) {
    const MatrixXf w = test::normal(30, k, 1), x = shifted_inputs(k, 150, 2);
    const Eigen::VectorXd counts = Eigen::VectorXd::LinSpaced(150, 0, 2);
    Hessian h(k);
    h.add(x, counts);
    const auto q = quantize<Int<2, PerTensor>>(w);
    const Eigen::VectorXf bias = corrected_bias(w, q, h);
    EXPECT_EQ(bias, corrected_bias(w, q.dequantize(), h));
    const MatrixXd error = w.cast<double>() - q.dequantize().cast<double>();
    const MatrixXd outputs = (error * x.cast<double>()).colwise() - bias.cast<double>();
    const double size = (error * x.cast<double>()).cwiseAbs().maxCoeff();
    EXPECT_LT((outputs * counts / counts.sum()).cwiseAbs().maxCoeff(), 1e-6 * size) << k;
    double squares = 0;
    for (Index m = 0; m < 150; ++m) squares += counts[m] * outputs.col(m).squaredNorm() / counts.sum();
    EXPECT_NEAR(h.centred().quadratic_form(error) / 2, squares, 2e-5 * squares + 1e-6 * size * size) << k;
    EXPECT_LT(squares, h.quadratic_form(error) / 2);
  }
}

TEST(Bias, OfNothing) {
  const Hessian h(shifted_inputs(5, 9, 3));
  const MatrixXf w = test::normal(4, 5, 4);
  EXPECT_EQ(corrected_bias(w, w, h), Eigen::VectorXf::Zero(4));
  EXPECT_EQ(corrected_bias(MatrixXf(0, 5), MatrixXf(0, 5), h).size(), 0);
  EXPECT_EQ(corrected_bias(MatrixXf(3, 0), MatrixXf(3, 0), Hessian(MatrixXf(0, 2))), Eigen::VectorXf::Zero(3));
}

TEST(Bias, RejectsBadInput) {
  const Hessian h(shifted_inputs(5, 9, 3));
  const MatrixXf w = test::normal(4, 5, 4);
  const auto has = [](const std::string& message, const char* part) {
    return message.find(part) != std::string::npos ? "" : "\"" + message + "\"";
  };
  EXPECT_EQ(has(test::message_of([&] { corrected_bias(w, w.topRows(3), h); }), "of 4 x 5, got 3 x 5"), "");
  EXPECT_EQ(has(test::message_of([&] { corrected_bias(w, w, Hessian(6)); }), "Hessian of 5 inputs, got 6"), "");
  EXPECT_EQ(has(test::message_of([&] { corrected_bias(w, w, Hessian(5)); }), "got 0 samples"), "");
  EXPECT_EQ(has(test::message_of([&] { corrected_bias(w, w, Hessian::from_matrix(h.matrix())); }), "not known"), "");
}

}  // namespace
}  // namespace nibble
