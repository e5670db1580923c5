// Rotations: orthogonal, what their definition says, spreading, the same on every path; bad input.
#include "nibble/kernels/rotation.h"

#include <gtest/gtest.h>

#include <bit>
#include <thread>

#include "kernels/random_operands.h"
#include "message_of.h"

namespace nibble {
namespace {

using Eigen::MatrixXd;
using Eigen::MatrixXf;

constexpr RotationKind kinds[] = {RotationKind::Hadamard, RotationKind::Kronecker};

/// U from its columns, in double.
MatrixXd dense(const Rotation& rotation) {
  MatrixXd u = MatrixXd::Identity(rotation.size(), rotation.size());
  rotation.apply_in_place(u);
  return u;
}

TEST(Rotation, IsOrthogonalForAnySize) {
  for (RotationKind kind : kinds) {
    for (Index n : {1, 2, 3, 4, 5, 7, 12, 13, 16, 31, 36, 97, 100, 128, 131, 384}) {
      const Rotation rotation(n, 5, kind);
      const MatrixXd u = dense(rotation);
      EXPECT_LT((u.transpose() * u - MatrixXd::Identity(n, n)).cwiseAbs().maxCoeff(), 5e-7) << n;
      MatrixXd back = MatrixXd::Identity(n, n);
      rotation.apply_transposed_in_place(back);
      EXPECT_LT((back - u.transpose()).cwiseAbs().maxCoeff(), 1e-12) << n;
    }
  }
}

TEST(Rotation, OfAPowerOfTwoIsSignsAndHadamard) {
  for (Index n : {1, 2, 64, 256}) {
    const MatrixXd u = dense(Rotation(n, 9));
    const double size = 1 / std::sqrt(static_cast<double>(n));
    for (Index j = 0; j < n; ++j) {
      const double sign = u(0, j) * std::sqrt(static_cast<double>(n));
      EXPECT_NEAR(std::abs(sign), 1, 1e-12);
      for (Index i = 0; i < n; ++i)
        ASSERT_NEAR(u(i, j), sign * size * (std::popcount(static_cast<unsigned>(i & j)) % 2 ? -1 : 1), 1e-12);
    }
  }
}

// U with its columns in the random order is P (x) Q: all its q x q blocks are multiples of one matrix.
TEST(Rotation, KroneckerIsOneUpToAnOrder) {
  const Index p = 4, q = 6;
  const MatrixXd u = dense(Rotation(p * q, 3, RotationKind::Kronecker));
  // |P(a, b) Q(c, d)| summed over squares of q rows tells P(a, b)^2, the same for all columns of one block.
  MatrixXd squares(p, p * q);
  for (Index a = 0; a < p; ++a) squares.row(a) = u.middleRows(a * q, q).colwise().squaredNorm();
  std::vector<std::vector<Index>> blocks;
  for (Index j = 0; j < p * q; ++j) {
    bool known = false;
    for (auto& block : blocks) {
      if ((squares.col(block[0]) - squares.col(j)).norm() > 1e-6) continue;
      block.push_back(j);
      known = true;
    }
    if (!known) blocks.push_back({j});
  }
  ASSERT_EQ(blocks.size(), 4U);
  for (const auto& block : blocks) {
    ASSERT_EQ(block.size(), 6U);
    MatrixXd columns(p * q, q);
    for (Index d = 0; d < q; ++d) columns.col(d) = u.col(block[static_cast<std::size_t>(d)]);
    for (Index a = 1; a < p; ++a) {
      const MatrixXd top = columns.topRows(q), other = columns.middleRows(a * q, q);
      const double along = top.cwiseProduct(other).sum() / top.squaredNorm();
      EXPECT_LT((other - along * top).norm(), 1e-6);
    }
  }
}

// Two runs that overlap: what the last rows alone mix leaves the first ones untouched, and nothing else stays local.
TEST(Rotation, OfOtherSizesIsTwoRuns) {
  for (const auto& [kind, n, run] : {std::tuple(RotationKind::Hadamard, Index{13}, Index{8}),
                                     {RotationKind::Hadamard, 384, 256},
                                     {RotationKind::Kronecker, 13, 12},
                                     {RotationKind::Kronecker, 97, 96}}) {
    const MatrixXd u = dense(Rotation(n, 4, kind));
    EXPECT_EQ((u.topRows(n - run).cwiseAbs().array() > 1e-9).count(), (n - run) * run) << n;
    EXPECT_GT((u.bottomRows(run).cwiseAbs().array() > 1e-9).count(), n * run * 9 / 10) << n;
  }
}

// The largest element is what that of as many normal numbers, of the size of the shorter run, is likely to be.
TEST(Rotation, SpreadsEveryInput) {
  for (RotationKind kind : kinds)
    for (Index n : {64, 97, 127, 384, 509})
      for (std::uint64_t seed : {1u, 2u, 3u})
        EXPECT_LT(dense(Rotation(n, seed, kind)).cwiseAbs().maxCoeff(),
                  std::sqrt(2 * 2 * std::log(2.0 * static_cast<double>(n * n) / 0.01) / static_cast<double>(n)) *
                      (kind == RotationKind::Kronecker ? 1.5 : 1))
            << n;
}

TEST(Rotation, SeedsReproduceAndDiffer) {
  for (RotationKind kind : kinds) {
    for (Index n : {16, 13}) {
      const MatrixXd u = dense(Rotation(n, 1, kind));
      EXPECT_EQ(u, dense(Rotation(n, 1, kind)));
      EXPECT_GT((u - dense(Rotation(n, 2, kind))).norm(), 1);
      EXPECT_GT((u - dense(Rotation(n, 1 + (std::uint64_t{1} << 40), kind))).norm(), 1);
    }
  }
  EXPECT_EQ(Rotation(8, 3), Rotation(8, 3));
  EXPECT_NE(Rotation(8, 3), Rotation(8, 4));
  EXPECT_NE(Rotation(8, 3), Rotation(9, 3));
  EXPECT_NE(Rotation(8, 3), Rotation(8, 3, RotationKind::Kronecker));
  EXPECT_EQ(Rotation(), Rotation(0));
}

// The mean over seeds of U x x^T U^T is |x|^2 / n I: of any x for Kronecker, for Hadamard where all |x_i| are the same.
TEST(Rotation, FavoursNoDirection) {
  const Index n = 16;
  for (RotationKind kind : kinds) {
    Eigen::VectorXd x = Eigen::VectorXd::LinSpaced(n, -1, 3);
    if (kind == RotationKind::Hadamard) x = x.cwiseSign();
    MatrixXd mean = MatrixXd::Zero(n, n);
    constexpr int seeds = 4000;
    for (int seed = 0; seed < seeds; ++seed) {
      MatrixXd y = x;
      Rotation(n, static_cast<std::uint64_t>(seed), kind).apply_in_place(y);
      mean += y * y.transpose() / seeds;
    }
    const double size = x.squaredNorm() / n;
    EXPECT_LT((mean - size * MatrixXd::Identity(n, n)).cwiseAbs().maxCoeff(), 6 * size / std::sqrt(seeds));
  }
}

TEST(Rotation, OfFloatsIsTheSameMatrixOnEveryPathAndThread) {
  const Executor on_threads = [](std::ptrdiff_t count, const std::function<void(std::ptrdiff_t)>& task) {
    std::vector<std::thread> all;
    for (std::ptrdiff_t i = 0; i < count; ++i) all.emplace_back(task, i);
    for (std::thread& thread : all) thread.join();
  };
  for (RotationKind kind : kinds) {
    for (Index n : {1, 13, 128, 384, 1009}) {
      const Rotation rotation(n, 6, kind);
      const MatrixXf x = test::random_inputs(n, 7, 1);
      MatrixXd exact = x.cast<double>(), back = exact;
      rotation.apply_in_place(exact);
      rotation.apply_transposed_in_place(back);
      const MatrixXf y = rotation.apply(x), z = rotation.apply_transposed(x);
      for (Index m = 0; m < 7; ++m) {
        const double bound = 24 * 0x1p-23 * x.col(m).cast<double>().norm();
        EXPECT_LT((y.col(m).cast<double>() - exact.col(m)).norm(), bound) << n;
        EXPECT_LT((z.col(m).cast<double>() - back.col(m)).norm(), bound) << n;
        EXPECT_LT((rotation.apply_transposed(y.col(m)) - x.col(m)).cast<double>().norm(), 2 * bound) << n;
      }
      for (Isa isa : available_isas())
        for (int threads : {1, 2, 9})
          EXPECT_EQ(rotation.apply(x, {.threads = threads, .isa = isa, .executor = on_threads}), y) << name(isa);
      for (Index m = 0; m < 7; ++m) EXPECT_EQ(rotation.apply(x.col(m)), y.col(m));
    }
  }
}

TEST(Rotation, TakesExpressionsAndRows) {
  for (RotationKind kind : kinds) {
    const Rotation rotation(13, 2, kind);
    const MatrixXf x = test::random_inputs(13, 5, 2), y = rotation.apply(x);
    EXPECT_EQ(rotation.apply(x.cast<double>()), y);
    EXPECT_EQ(rotation.apply((2 * x) / 2), y);
    RowMajorMatrixXf w = x.transpose();
    rotation.apply_in_place(w.transpose());
    EXPECT_EQ(w, y.transpose());
    MatrixXf larger = MatrixXf::Constant(15, 5, 7);
    larger.middleRows(1, 13) = x;
    rotation.apply_in_place(larger.middleRows(1, 13));
    EXPECT_EQ(larger.middleRows(1, 13), y);
    EXPECT_TRUE((larger.row(0).array() == 7).all() && (larger.row(14).array() == 7).all());
  }
}

TEST(Rotation, EmptyAndBad) {
  EXPECT_EQ(Rotation().apply(MatrixXf(0, 3)).cols(), 3);
  EXPECT_EQ(Rotation(5).apply(MatrixXf(5, 0)).rows(), 5);
  MatrixXf x = MatrixXf::Ones(5, 2);
  const auto message = [&](auto&& call) { return test::message_of(call); };
  EXPECT_EQ(message([] { Rotation r(-1); }), "nibble::Rotation: expected a size from 0 to 1048576, got -1");
  EXPECT_EQ(message([] { Rotation r((1 << 20) + 1); }),
            "nibble::Rotation: expected a size from 0 to 1048576, got 1048577");
  EXPECT_EQ(message([&] { Rotation(4).apply_in_place(x); }), "nibble::Rotation: expected a matrix of 4 rows, got 5");
  EXPECT_EQ(message([&] { Rotation(5).apply_in_place(x, {.threads = 0}); }),
            "nibble::Rotation: expected at least 1 thread, got 0");
  EXPECT_EQ(message([&] { Rotation(5).apply_in_place(x, {.block = 4}); }),
            "nibble::Rotation: expected no block, got 4");
  EXPECT_NE(message([&] { Rotation(5).apply_in_place(x, {.isa = static_cast<Isa>(77)}); }), "");
  EXPECT_EQ(x, MatrixXf::Ones(5, 2));
}

}  // namespace
}  // namespace nibble
