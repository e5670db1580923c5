// Weights of samples: the formulas, and what Hessians make of them.
#include <gtest/gtest.h>
#include <nibble/nibble.h>

#include <filesystem>

#include "message_of.h"
#include "rounding/correlated.h"

namespace nibble {
namespace {

using Eigen::MatrixXd;
using Eigen::MatrixXf;
using Eigen::VectorXd;
using S = UInt<3, Group<128>>;

TEST(SampleWeights, ImportanceIsLinear) {
  EXPECT_EQ(importance(Eigen::Vector3d(2, 6, 4), 0.5), Eigen::Vector3d(0.5, 1, 0.75));
  EXPECT_EQ(importance(Eigen::RowVector3f(-1, 0, 1), 0), Eigen::Vector3d(0, 0.5, 1));
  EXPECT_NEAR(importance(Eigen::Vector2d(3, 9))[0], 0.01, 1e-15);
  EXPECT_EQ(importance(Eigen::Vector3d(7, 7, 7), 0.2), Eigen::Vector3d::Ones());
  EXPECT_EQ(importance(Eigen::Vector3d(1, 2, 3), 1), Eigen::Vector3d::Ones());
  EXPECT_EQ(importance(VectorXd()).size(), 0);
  EXPECT_TRUE(importance(Eigen::Vector2d(-1e308, 1e308)).allFinite());
}

TEST(SampleWeights, Scores) {
  MatrixXf x(2, 3), y(2, 3);
  x << 3, 0, 1, 4, 0, 1;
  y << 0, 0, 1, 4, 2, 1;
  EXPECT_LT((norm_scores(x) - Eigen::Vector3d(5, 0, std::sqrt(2.0))).norm(), 1e-12);
  EXPECT_LT((change_scores(x, y) - Eigen::Vector3d(3, 2, 0)).norm(), 1e-12);
  MatrixXd attention(3, 3);
  attention << 1, 0, 0, 0.5, 0.5, 0, 0.25, 0.25, 0.5;
  EXPECT_EQ(attention_scores(attention), Eigen::Vector3d(1.75, 0.75, 0.5));
  EXPECT_EQ(first_scores(4, 2), Eigen::Vector4d(1, 1, 0, 0));
  EXPECT_EQ(first_scores(0, 0).size(), 0);
}

TEST(SampleWeights, RejectBadInput) {
  const auto message = [](auto&& call) { return test::message_of(call); };
  EXPECT_EQ(message([] { importance(Eigen::Vector2d(1, 2), -0.1); }),
            "nibble::importance: expected a least weight from 0 to 1, got -0.1");
  EXPECT_NE(message([] { importance(Eigen::Vector2d(1, 2), 1.1); }), "");
  EXPECT_NE(message([] { importance(Eigen::Vector2d(1, 2), NAN); }), "");
  EXPECT_EQ(message([] { importance(Eigen::Vector2d(1, NAN)); }),
            "nibble::importance: expected finite scores, got a NaN or an infinity");
  EXPECT_EQ(message([] { change_scores(MatrixXf(2, 3), MatrixXf(3, 3)); }),
            "nibble::change_scores: expected samples of 2 x 3, got 3 x 3");
  EXPECT_EQ(message([] { attention_scores(MatrixXf(2, 3)); }),
            "nibble::attention_scores: expected probabilities of 3 x 3, got 2 x 3");
  EXPECT_EQ(message([] { first_scores(3, 4); }), "nibble::first_scores: expected 0 to 3 tokens, got 4");
  EXPECT_NE(message([] { first_scores(3, -1); }), "");
}

TEST(SampleWeights, OfOneAreThePlainHessianAndThoseOfZeroNoSamples) {
  const MatrixXf x = test::correlated_inputs(20, 90, 1);
  Hessian ones(20), first(20);
  ones.add(x, importance(VectorXd::Ones(90)));
  EXPECT_LT((ones.matrix() - Hessian(x).matrix()).norm(), 1e-12 * ones.matrix().norm());
  first.add(x, importance(first_scores(90, 30), 0));
  const MatrixXd expected = Hessian(x.leftCols(30)).matrix();
  EXPECT_LT((first.matrix() - expected).norm(), 1e-6 * expected.norm());
}

// RSQ rotates, too: weighted samples of rotated inputs are the rotated Hessian of weighted samples.
TEST(SampleWeights, OfRotatedInputs) {
  const MatrixXf x = test::correlated_inputs(24, 90, 2);
  const Rotation v(24, 5);
  const VectorXd weights = importance(norm_scores(x), 0.1);
  EXPECT_LT((weights - importance(norm_scores(v.apply(x)), 0.1)).norm(), 1e-5);
  Hessian before(24), after(24);
  before.add(x, weights);
  after.add(v.apply(x), weights);
  EXPECT_LT((rotated(before, v).matrix() - after.matrix()).norm(), 1e-5 * after.matrix().norm());
}

// On the real layer: what counts more is approximated better. Whether all tokens are is another question.
TEST(SampleWeights, FavourTheTokensThatCount) {
  const std::filesystem::path folder = NIBBLE_EXAMPLE_DATA_DIR;
  const MatrixXf w = read_npy(folder / "weight.npy"), train = read_npy(folder / "activations_train.npy"),
                 eval = read_npy(folder / "activations_eval.npy");
  const MatrixXf exact = w * eval;
  const VectorXd heavy = importance(norm_scores(eval), 0);
  const auto errors = [&](const auto& q) {
    const VectorXd e = (exact - q.dequantize() * eval).colwise().squaredNorm().transpose().template cast<double>();
    const VectorXd size = exact.colwise().squaredNorm().transpose().cast<double>();
    return std::pair(std::sqrt(e.sum() / size.sum()), std::sqrt(e.dot(heavy) / size.dot(heavy)));
  };
  const auto gptq = [](const Hessian& h) { return Gptq{h}; };
  const auto plain = errors(quantize<S>(w, Gptq{Hessian(train)}));
  std::printf("%-20s all %.3f %%, weighted %.3f %%\n", "plain", 100 * plain.first, 100 * plain.second);
  for (const auto& [name, least, scores] : {std::tuple("norms", 0.01, norm_scores(train)),
                                            {"norms", 0.5, norm_scores(train)},
                                            {"negative norms", 0.01, VectorXd(-norm_scores(train))}}) {
    Hessian h(w.cols());
    h.add(train, importance(scores, least));
    const auto e = errors(quantize<S>(w, Gptq{h})), turned = errors(quantize_incoherent<S>(w, h, gptq));
    std::printf("%-15s %.2f all %.3f %%, weighted %.3f %%; rotated all %.3f %%, weighted %.3f %%\n", name, least,
                100 * e.first, 100 * e.second, 100 * turned.first, 100 * turned.second);
    EXPECT_LT(turned.first, e.first);
    EXPECT_LT(e.first, 1.2 * plain.first);
  }
}

}  // namespace
}  // namespace nibble
