// Proxy loss, trace, eigenvalues, incoherence, compare: against naive loops and matrices whose spectrum is known.
#include <gtest/gtest.h>
#include <nibble/nibble.h>

#include "message_of.h"
#include "oracle/column_rounding.h"
#include "rounding/correlated.h"

namespace nibble {
namespace {

using Eigen::MatrixXd;
using Eigen::MatrixXf;

/// Q diag(values) Q^T for an orthogonal Q.
MatrixXd with_eigenvalues(const Eigen::VectorXd& values) {
  const Index n = values.size();
  const MatrixXd q = Eigen::HouseholderQR<MatrixXd>(test::normal(n, n, 31).cast<double>()).householderQ();
  return q * values.asDiagonal() * q.transpose();
}

TEST(Curvature, ProxyLossIsTheErrorOfTheOutputs) {
  const MatrixXf w = test::normal(70, 33, 1), x = test::correlated_inputs(33, 80, 2);
  const Hessian h(x);
  const auto q = quantize<Int<3, Group<16>>>(w);
  const MatrixXd error = w.cast<double>() - q.dequantize().cast<double>();
  const double outputs = 2 * (error * x.cast<double>()).squaredNorm() / 80;
  EXPECT_NEAR(proxy_loss(w, q, h), outputs, 1e-5 * outputs);
  EXPECT_NEAR(proxy_loss(w, q, h), oracle::loss(error, h.matrix()), 1e-10 * outputs);
  EXPECT_EQ(proxy_loss(w, q.dequantize(), h), proxy_loss(w, q, h));
  EXPECT_EQ(proxy_loss(w, w, h), 0);
  const HessianComparison c = compare(w, q, h);
  EXPECT_EQ(c.sqnr, compare(w, q).sqnr);
  EXPECT_EQ(c.proxy_loss, proxy_loss(w, q, h));
  EXPECT_NEAR(c.relative_output_error, compare_outputs(w, q, x).relative_error, 1e-5);
  std::ostringstream out;
  out << c;
  EXPECT_NE(out.str().find("SQNR"), std::string::npos);
  EXPECT_NE(out.str().find("proxy loss"), std::string::npos);
  EXPECT_NE(test::message_of([&] { proxy_loss(w, q, Hessian(x.topRows(30))); }), "");
  EXPECT_NE(test::message_of([&] { proxy_loss(w.topRows(3), q, h); }), "");
}

TEST(Curvature, DoesNotHideNaN) {
  MatrixXf w = MatrixXf::Ones(2, 3);
  const auto q = quantize<Int<8>>(w);
  const Hessian h = Hessian::from_matrix(MatrixXd::Identity(3, 3));
  w(1, 1) = std::nanf("");
  EXPECT_TRUE(std::isnan(compare(w, q, h).relative_output_error));
  EXPECT_TRUE(std::isnan(incoherence(w)));
  EXPECT_EQ(compare(MatrixXf(2, 0), quantize<Int<8>>(MatrixXf(2, 0)), Hessian(0)).proxy_loss, 0);
}

TEST(Curvature, Trace) {
  const Eigen::VectorXd values = Eigen::VectorXd::LinSpaced(40, 0.1, 9);
  const MatrixXd m = with_eigenvalues(values);
  EXPECT_NEAR(trace(Hessian::from_matrix(m)), values.sum(), 1e-9);
  const auto product = [&](const Eigen::VectorXd& v) { return m * v; };
  const double spread = std::sqrt(2 * (m.squaredNorm() - m.diagonal().squaredNorm()) / 400);
  const double estimate = hutchinson_trace(40, product, 400, 5);
  EXPECT_NEAR(estimate, values.sum(), 4 * spread);
  EXPECT_EQ(estimate, hutchinson_trace(40, product, 400, 5));
  EXPECT_NE(estimate, hutchinson_trace(40, product, 400, 6));
  const MatrixXd diagonal = values.asDiagonal();
  EXPECT_NEAR(hutchinson_trace(
                  40, [&](const Eigen::VectorXd& v) { return diagonal * v; }, 1),
              values.sum(), 1e-9);
  EXPECT_NE(test::message_of([&] { hutchinson_trace(40, product, 0); }), "");
}

TEST(Curvature, TopEigenvalues) {
  Eigen::VectorXd values = Eigen::VectorXd::LinSpaced(30, 0, 1);
  values.tail(4) << 9, 3, 5, 7;
  const MatrixXd m = with_eigenvalues(values);
  const Eigenpairs top = top_eigenvalues(Hessian::from_matrix(m), 4);
  EXPECT_LT((top.values - Eigen::Vector4d(9, 7, 5, 3)).norm(), 1e-4);
  EXPECT_LT((m * top.vectors - top.vectors * top.values.asDiagonal()).norm(), 1e-3);
  EXPECT_LT((top.vectors.transpose() * top.vectors - MatrixXd::Identity(4, 4)).norm(), 1e-9);
  EXPECT_EQ(top.values, top_eigenvalues(Hessian::from_matrix(m), 4).values);
  // By magnitude, and beyond the rank.
  const MatrixXd negative = -5 * MatrixXd::Identity(1, 1);
  EXPECT_NEAR(top_eigenvalues(
                  1, [&](const Eigen::VectorXd& v) { return negative * v; }, 1)
                  .values[0],
              -5, 1e-12);
  const MatrixXd zero = MatrixXd::Zero(3, 3);
  EXPECT_EQ(top_eigenvalues(
                3, [&](const Eigen::VectorXd& v) { return zero * v; }, 2)
                .values,
            Eigen::Vector2d::Zero());
  EXPECT_NE(test::message_of([&] { top_eigenvalues(Hessian::from_matrix(m), 31); }), "");
}

TEST(Curvature, Incoherence) {
  EXPECT_NEAR(incoherence(MatrixXf::Constant(3, 4, -2)), 1, 1e-6);
  MatrixXf one = MatrixXf::Zero(3, 4);
  EXPECT_EQ(incoherence(one), 0);
  one(1, 2) = 5;
  EXPECT_NEAR(incoherence(one), std::sqrt(12.0), 1e-6);
  const Eigen::VectorXd values = Eigen::VectorXd::LinSpaced(16, 1, 2);
  EXPECT_NEAR(incoherence(Hessian::from_matrix(MatrixXd(values.asDiagonal()))), 4, 1e-6);
  const MatrixXd h = hadamard_transform(MatrixXf::Identity(16, 16)).cast<double>();
  EXPECT_NEAR(incoherence(Hessian::from_matrix(h * values.asDiagonal() * h.transpose())), 1, 1e-5);
  EXPECT_EQ(incoherence(Hessian(0)), 0);
}

}  // namespace
}  // namespace nibble
