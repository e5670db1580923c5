// Comparisons against closed forms and double loops.
#include "nibble/metrics/compare.h"

#include <gtest/gtest.h>

#include <sstream>

#include "nibble/quantize.h"
#include "oracle/products.h"

namespace nibble {
namespace {

/// The least that compare asks for: dense weights that claim 3.5 bits.
struct Dense {
  Eigen::MatrixXf weights;
  Index rows() const { return weights.rows(); }
  Index cols() const { return weights.cols(); }
  Eigen::MatrixXf dequantize() const { return weights; }
  double bits_per_weight() const { return 3.5; }
  friend Eigen::MatrixXf operator*(const Dense& w, const Eigen::MatrixXf& x) { return w.weights * x; }
};

constexpr double infinity = std::numeric_limits<double>::infinity();

TEST(Compare, ClosedForm) {
  const Eigen::MatrixXf w = (Eigen::MatrixXf(2, 3) << 3, 0, 0, 0, 4, 0).finished();
  Dense q{w};
  q.weights(0, 0) += 0.25f;
  q.weights(1, 2) -= 0.5f;
  const Comparison c = compare(w, q);
  EXPECT_EQ(c.rows, 2);
  EXPECT_EQ(c.cols, 3);
  EXPECT_EQ(c.bits_per_weight, 3.5);
  EXPECT_DOUBLE_EQ(c.relative_error, std::sqrt(0.0625 + 0.25) / 5);
  EXPECT_DOUBLE_EQ(c.sqnr, 10 * std::log10(25 / 0.3125));
  EXPECT_EQ(c.max_error, 0.5);
}

TEST(Compare, ZeroAndEqualMatrices) {
  const Eigen::MatrixXf zero = Eigen::MatrixXf::Zero(3, 4);
  const Eigen::MatrixXf ones = Eigen::MatrixXf::Ones(3, 4);
  for (const Eigen::MatrixXf& w : {zero, ones, Eigen::MatrixXf(0, 4), Eigen::MatrixXf(3, 0)}) {
    const Comparison same = compare(w, Dense{w});
    EXPECT_EQ(same.relative_error, 0);
    EXPECT_EQ(same.sqnr, infinity);
    EXPECT_EQ(same.max_error, 0);
  }
  const Comparison invented = compare(zero, Dense{ones});
  EXPECT_EQ(invented.relative_error, infinity);
  EXPECT_EQ(invented.sqnr, -infinity);
  EXPECT_EQ(invented.max_error, 1);
  const Comparison lost = compare(ones, Dense{zero});
  EXPECT_EQ(lost.relative_error, 1);
  EXPECT_EQ(lost.sqnr, 0);
}

// Sums are in double: in float, a million small terms beside a large one would be lost.
TEST(Compare, SumsInDouble) {
  Eigen::MatrixXf w = Eigen::MatrixXf::Constant(1000, 1000, 1e-4f);
  w(0, 0) = 1e4f;
  Dense q{w};
  q.weights.array() += 1e-4f;
  q.weights(0, 0) = 1e4f;
  const double small = static_cast<double>(1e-4f);
  EXPECT_NEAR(compare(w, q).relative_error, small * std::sqrt(999999.0) / std::sqrt(1e8 + small * small * 999999),
              1e-12);
}

// Doubles are compared as doubles, not rounded to float first; infinite and NaN weights do not vanish.
TEST(Compare, KeepsThePrecisionAndTheFaultsOfItsInput) {
  const Eigen::MatrixXd w = Eigen::MatrixXd::Constant(1, 1, 1 + 0x1p-40);
  EXPECT_DOUBLE_EQ(compare(w, Dense{Eigen::MatrixXf::Ones(1, 1)}).max_error, 0x1p-40);
  Dense q{Eigen::MatrixXf::Ones(2, 2)};
  q.weights(1, 0) = std::numeric_limits<float>::quiet_NaN();
  const Comparison c = compare(Eigen::MatrixXf::Ones(2, 2), q);
  EXPECT_TRUE(std::isnan(c.max_error) && std::isnan(c.sqnr) && std::isnan(c.relative_error));
}

TEST(Compare, AnyExpression) {
  const Eigen::MatrixXf w = Eigen::MatrixXf::Random(6, 5);
  const Dense q{w + Eigen::MatrixXf::Constant(6, 5, 0.125f)};
  const Dense turned{q.weights.transpose()};
  const double error = compare(w, q).relative_error;
  EXPECT_DOUBLE_EQ(compare(w.cast<double>(), q).relative_error, error);
  EXPECT_DOUBLE_EQ(compare(w.transpose(), turned).relative_error, error);
  EXPECT_DOUBLE_EQ(compare(2 * w - w, q).relative_error, error);
  EXPECT_DOUBLE_EQ(compare(RowMajorMatrixXf(w), q).relative_error, error);
}

TEST(Compare, QuantizedMatrices) {
  const Eigen::MatrixXf w = Eigen::MatrixXf::Random(17, 50);
  const auto q = quantize<Int<4, Group<32>>>(w);
  const Comparison c = compare(w, q);
  const Eigen::MatrixXd a = w.cast<double>();
  const Eigen::MatrixXd b = q.dequantize().cast<double>();
  EXPECT_NEAR(c.relative_error, (a - b).norm() / a.norm(), 1e-14);
  EXPECT_EQ(c.max_error, (a - b).cwiseAbs().maxCoeff());
  EXPECT_EQ(c.bits_per_weight, q.bits_per_weight());
}

TEST(CompareOutputs, IsTheComparisonOfProducts) {
  const Eigen::MatrixXf w = Eigen::MatrixXf::Random(9, 20);
  const Eigen::MatrixXf x = Eigen::MatrixXf::Random(20, 7);
  const Dense q{w + 0.1f * Eigen::MatrixXf::Random(9, 20)};
  const Comparison c = compare_outputs(w, q, x);
  const Eigen::MatrixXd exact = oracle::product(w.cast<double>(), x.cast<double>());
  const Eigen::MatrixXd got = oracle::product(q.weights.cast<double>(), x.cast<double>());
  EXPECT_EQ(c.rows, 9);
  EXPECT_EQ(c.cols, 7);
  EXPECT_NEAR(c.relative_error, (exact - got).norm() / exact.norm(), 1e-6);
  EXPECT_NEAR(c.max_error, (exact - got).cwiseAbs().maxCoeff(), 1e-5);
}

// Two errors are independent: their squares add.
TEST(CompareOutputs, CountsTheErrorOfQuantizedActivations) {
  const Eigen::MatrixXf w = Eigen::MatrixXf::Random(64, 200);
  const Eigen::MatrixXf x = Eigen::MatrixXf::Random(200, 30);
  const auto q = quantize<Int<8>>(w);
  const double weights = compare_outputs(w, q, x).relative_error;
  const double both = compare_outputs(w, q, x, quantize_activations<Int<5>>(x)).relative_error;
  const Eigen::MatrixXd exact = w.cast<double>() * x.cast<double>();
  const Eigen::MatrixXd rounded = w.cast<double>() * quantize_activations<Int<5>>(x).dequantize().cast<double>();
  const double activations = (exact - rounded).norm() / exact.norm();
  EXPECT_GT(both, 2 * weights);
  EXPECT_NEAR(both, std::sqrt(weights * weights + activations * activations), 0.02 * both);
}

template <class F> std::string message(F&& f) {
  try {
    f();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

TEST(Compare, RejectsShapesThatDiffer) {
  const Eigen::MatrixXf w = Eigen::MatrixXf::Ones(3, 4);
  const Dense q{Eigen::MatrixXf::Ones(3, 5)};
  const Dense good{w};
  EXPECT_EQ(message([&] { compare(w, q); }), "nibble::compare: expected a quantized matrix of 3 x 4, got 3 x 5");
  EXPECT_EQ(message([&] { compare(w, Dense{Eigen::MatrixXf::Ones(4, 3)}); }),
            "nibble::compare: expected a quantized matrix of 3 x 4, got 4 x 3");
  EXPECT_EQ(message([&] { compare_outputs(w, q, Eigen::MatrixXf::Ones(4, 2)); }),
            "nibble::compare_outputs: expected a quantized matrix of 3 x 4, got 3 x 5");
  EXPECT_EQ(message([&] { compare_outputs(w, good, Eigen::MatrixXf::Ones(5, 2)); }),
            "nibble::compare_outputs: expected activations of 4 x 2, got 5 x 2");
  EXPECT_EQ(message([&] { compare_outputs(w, good, Eigen::MatrixXf::Ones(4, 2), Eigen::MatrixXf::Ones(4, 3)); }),
            "nibble::compare_outputs: expected quantized activations of 4 x 2, got 4 x 3");
}

TEST(Comparison, Prints) {
  Comparison c{3, 4, 4.25};
  c.relative_error = 0.0123456;
  c.sqnr = 38.1699;
  c.max_error = 0.000123456;
  std::ostringstream out;
  out << c << ' ' << 0.1;
  EXPECT_EQ(out.str(), "3 x 4, 4.250 bits per weight, SQNR 38.17 dB, relative error 1.235 %, max error 1.235e-04 0.1");
}

}  // namespace
}  // namespace nibble
