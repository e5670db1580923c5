// Incoherence processing: what it keeps (traces, losses, products), what it spreads, what it is without rotations.
#include <gtest/gtest.h>
#include <nibble/nibble.h>

#include "message_of.h"
#include "oracle/column_rounding.h"
#include "oracle/products.h"
#include "rounding/correlated.h"
#include "threads.h"

namespace nibble {
namespace {

using Eigen::MatrixXd;
using Eigen::MatrixXf;
using Small = UInt<4, Group<16>>;

constexpr RotationKind kinds[] = {RotationKind::Hadamard, RotationKind::Kronecker};
const auto gptq = [](const Hessian& h) { return Gptq{h}; };

MatrixXd dense(const Rotation& rotation) {
  MatrixXd u = MatrixXd::Identity(rotation.size(), rotation.size());
  rotation.apply_in_place(u);
  return u;
}

TEST(Incoherent, RotatedHessianIsThatOfRotatedInputs) {
  for (RotationKind kind : kinds) {
    for (Index k : {1, 13, 64, 101}) {
      const MatrixXf x = test::correlated_inputs(k, 90, 1);
      const Rotation v(k, 7, kind);
      const Hessian h(x), turned = rotated(h, v);
      const MatrixXd u = dense(v), expected = oracle::product(oracle::product(u, h.matrix()), u.transpose());
      EXPECT_LT((turned.matrix() - expected).norm(), 1e-12 * expected.norm());
      EXPECT_LT((turned.matrix() - Hessian(v.apply(x)).matrix()).norm(), 1e-5 * expected.norm());
      EXPECT_NEAR(trace(turned), trace(h), 1e-6 * trace(h));
      EXPECT_EQ(turned.samples(), 90);
      EXPECT_EQ(turned.matrix(), rotated(h, v, {.threads = 3}).matrix());
    }
  }
  // One sample: a diagonal of squares, some of them next to 0.
  EXPECT_GE(rotated(Hessian(MatrixXf::Ones(64, 1)), Rotation(64, 1)).diagonal().minCoeff(), 0);
  EXPECT_NE(test::message_of([] { rotated(Hessian(MatrixXf::Ones(4, 1)), Rotation(5)); }), "");
  EXPECT_NE(test::message_of([] { rotated(Hessian(4), Rotation(4)); }), "");
}

TEST(Incoherent, LossIsThatOfTheRotatedProblem) {
  for (RotationKind kind : kinds) {
    for (const auto& [n, k] : {std::pair<Index, Index>{1, 1}, {31, 64}, {37, 101}, {16, 7}}) {
      for (bool rescale : {false, true}) {
        const MatrixXf w = test::normal(n, k, 2);
        const Hessian h(test::correlated_inputs(k, 70, 3));
        const auto q = quantize_incoherent<Small>(w, h, gptq, {.kind = kind, .seed = 5, .rescale = rescale});
        const auto& inner = q.matrix();
        EXPECT_EQ(inner.left(), Rotation(n, 5, kind));
        EXPECT_EQ(inner.right().size(), k);
        // In the basis of Q: U (W / d) V^T against Q, under V (d H d) V^T.
        const MatrixXd u = dense(inner.left()), v = dense(inner.right());
        const Eigen::VectorXd d = rescale ? q.right().cast<double>().eval() : Eigen::VectorXd::Ones(k).eval();
        const MatrixXd balanced = w.cast<double>() * d.cwiseInverse().asDiagonal();
        const MatrixXd target = oracle::product(oracle::product(u, balanced), v.transpose());
        const MatrixXd scaled = d.asDiagonal() * h.matrix() * d.asDiagonal();
        const MatrixXd turned = oracle::product(oracle::product(v, scaled), v.transpose());
        const double inside = oracle::loss(target - inner.matrix().dequantize().cast<double>(), turned);
        EXPECT_NEAR(proxy_loss(w, q, h), inside, 1e-4 * inside + 1e-12) << n << " x " << k;
        // The codes are those of the rotated problem.
        const auto direct = quantize<Small>(target.cast<float>(), Gptq{Hessian::from_matrix(turned)});
        const Index same = ((direct.dequantize() - inner.matrix().dequantize()).cwiseAbs().array() < 1e-4f).count();
        EXPECT_GE(same, n * k * 9 / 10) << n << " x " << k;
        const MatrixXf x = test::normal(k, 5, 4);
        const MatrixXd exact = oracle::product(q.dequantize().cast<double>(), x.cast<double>());
        EXPECT_LT(((q * x).cast<double>() - exact).norm(), 1e-5 * exact.norm());
      }
    }
  }
}

TEST(Incoherent, WithoutRotationsIsTheRoundingItself) {
  const MatrixXf w = test::normal(20, 50, 6);
  const Hessian h(test::correlated_inputs(50, 90, 7));
  const auto q = quantize_incoherent<Small>(w, h, MinMax{}, gptq, {.outputs = false, .inputs = false});
  EXPECT_EQ(q.matrix().matrix(), (quantize<Small>(w, MinMax{}, Gptq{h})));
  EXPECT_EQ(q.matrix().left(), Rotation());
  EXPECT_EQ(q.matrix().right(), Rotation());
  EXPECT_EQ(q.right().size(), 0);
}

TEST(Incoherent, SeedsReproduceOnAnyNumberOfThreads) {
  const MatrixXf w = test::normal(50, 37, 8);
  const Hessian h(test::correlated_inputs(37, 90, 9));
  for (RotationKind kind : kinds) {
    const auto with = [&](std::uint64_t seed, int threads) {
      return quantize_incoherent<Small>(
          w, h, gptq, {.kind = kind, .seed = seed, .rescale = true, .threads = threads, .executor = test::threads});
    };
    EXPECT_EQ(with(1, 1), with(1, 2));
    EXPECT_NE(with(1, 1), with(2, 1));
  }
}

// Spikes in a few weights, and a Hessian whose eigenvectors are the inputs themselves.
TEST(Incoherent, SpreadsSpikesBelowTheBounds) {
  for (RotationKind kind : kinds) {
    for (const auto& [n, k] : {std::pair<Index, Index>{64, 128}, {61, 127}}) {
      MatrixXf w = MatrixXf::Zero(n, k);
      for (Index i = 0; i < 5; ++i) w(11 * i, 23 * i) = static_cast<float>(5 + i);
      const Hessian h = Hessian::from_matrix(Eigen::VectorXd::LinSpaced(k, 1, 100).asDiagonal().toDenseMatrix());
      const double size = static_cast<double>(n * k), delta = 0.01;
      const double bound_w = 2 * std::log(4 * size / delta);
      const double bound_h = std::sqrt(2 * std::log(2 * static_cast<double>(k * k) / delta));
      EXPECT_GT(incoherence(w), bound_w);
      EXPECT_GT(incoherence(h), bound_h);
      for (std::uint64_t seed : {1u, 2u, 3u}) {
        const Rotation u(n, seed, kind), v(k, ~seed, kind);
        RowMajorMatrixXf turned = u.apply(w);
        v.apply_in_place(turned.transpose());
        EXPECT_LT(incoherence(turned), bound_w);
        // Two runs give inputs of the shorter one up to sqrt(2) times the size; normal numbers of Kronecker have tails.
        EXPECT_LT(incoherence(rotated(h, v)), 1.5 * bound_h) << n;
        if (kind == RotationKind::Hadamard && k == 128) {
          EXPECT_LT(incoherence(rotated(h, v)), bound_h);
        }
      }
    }
  }
}

TEST(Incoherent, BalanceMinimisesTheProductOfSizes) {
  const RowMajorMatrixXf w = test::normal(20, 9, 10);
  const Hessian h(test::correlated_inputs(9, 40, 11));
  const Eigen::VectorXd d = balance(w, h), squares = w.cast<double>().colwise().squaredNorm();
  const auto product = [&](const Eigen::VectorXd& scale) {
    return h.diagonal().cwiseQuotient(scale.cwiseAbs2()).sum() * squares.cwiseProduct(scale.cwiseAbs2()).sum();
  };
  // Cauchy and Schwarz: the least value.
  EXPECT_NEAR(product(d), std::pow(h.diagonal().cwiseProduct(squares).cwiseSqrt().sum(), 2), 1e-9 * product(d));
  for (Index j = 0; j < 9; ++j) EXPECT_NEAR(std::pow(d[j], 4), h.diagonal()[j] / squares[j], 1e-9 * std::pow(d[j], 4));
  MatrixXf x = test::correlated_inputs(9, 40, 11);
  x.row(3).setZero();
  RowMajorMatrixXf some = w;
  some.col(5).setZero();
  const Eigen::VectorXd e = balance(some, Hessian(x));
  EXPECT_TRUE(e.allFinite() && e.minCoeff() > 0);
  EXPECT_NEAR(std::pow(e[3], 4), trace(Hessian(x)) / 8 / squares[3], 1e-6 * std::pow(e[3], 4));
  EXPECT_EQ(balance(RowMajorMatrixXf::Zero(2, 3), Hessian(MatrixXf::Zero(3, 2))), Eigen::Vector3d::Ones());
}

TEST(Incoherent, TakesDeadInputsFewSamplesAndNothing) {
  MatrixXf x = test::correlated_inputs(40, 5, 12);
  x.row(3).setZero();
  const MatrixXf w = test::normal(6, 40, 13);
  for (bool rescale : {false, true}) {
    const auto q = quantize_incoherent<Small>(w, Hessian(x), gptq, {.rescale = rescale});
    EXPECT_LT(compare(w, q).relative_error, 0.3);
  }
  EXPECT_EQ(quantize_incoherent<Small>(MatrixXf(0, 40), Hessian(x), gptq, {.rescale = true}).rows(), 0);
  EXPECT_EQ(quantize_incoherent<Small>(MatrixXf(6, 0), Hessian(0), gptq).rows(), 6);
}

TEST(Incoherent, RejectsBadInput) {
  EXPECT_EQ(
      test::message_of([] { balance(RowMajorMatrixXf::Constant(1, 2, std::nanf("")), Hessian(MatrixXf::Ones(2, 1))); }),
      "nibble::balance: expected finite weights, got a NaN or an infinity");
  const Hessian h(test::correlated_inputs(6, 9, 14));
  const auto message = [](auto&& call) { return test::message_of(call); };
  EXPECT_EQ(message([&] { quantize_incoherent<Small>(MatrixXf::Ones(2, 5), h, gptq); }),
            "nibble::quantize_incoherent: expected a Hessian of 5 inputs, got 6");
  EXPECT_EQ(message([&] { quantize_incoherent<Small>(MatrixXf::Constant(2, 6, NAN), h, gptq); }),
            "nibble::quantize_incoherent: expected finite weights, got a NaN or an infinity");
  EXPECT_EQ(message([&] { quantize_incoherent<Small>(MatrixXf::Ones(2, 6), h, gptq, {.threads = 0}); }),
            "nibble::quantize_incoherent: expected at least 1 thread, got 0");
  EXPECT_NE(message([&] { quantize_incoherent<Small>(MatrixXf::Ones(2, 6), Hessian(6), gptq); }), "");
  EXPECT_NE(message([&] { balance(RowMajorMatrixXf::Ones(2, 5), h); }), "");
}

}  // namespace
}  // namespace nibble
