// Hessian: the second moments that it claims, however samples arrive; files; factorisations; bad input.
#include <gtest/gtest.h>
#include <nibble/nibble.h>

#include <thread>

#include "message_of.h"
#include "rounding/correlated.h"
#include "threads.h"

namespace nibble {
namespace {

using Eigen::MatrixXd;
using Eigen::MatrixXf;

MatrixXd naive(const MatrixXf& x, const Eigen::VectorXd& weights) {
  MatrixXd h = MatrixXd::Zero(x.rows(), x.rows());
  const double sum = weights.sum();
  for (Index m = 0; m < x.cols(); ++m)
    for (Index i = 0; i < x.rows(); ++i)
      for (Index j = 0; j < x.rows(); ++j)
        h(i, j) += 2 * weights[m] * static_cast<double>(x(i, m)) * static_cast<double>(x(j, m)) / sum;
  return h;
}
MatrixXd naive(const MatrixXf& x) {
  return naive(x, Eigen::VectorXd::Ones(x.cols()));
}

double distance(const MatrixXd& a, const MatrixXd& b) {
  return (a - b).norm() / b.norm();
}

TEST(Hessian, IsTheMeanOfTwiceTheSquares) {
  for (Index k : {1, 15, 16, 17, 257}) {
    for (Index m : {1, 3, 600}) {
      const MatrixXf x = test::correlated_inputs(k, m, 3);
      const Hessian h(x);
      EXPECT_EQ(h.inputs(), k);
      EXPECT_EQ(h.samples(), m);
      const MatrixXd exact = naive(x);
      EXPECT_LT(distance(h.matrix(), exact), 2e-6) << k << " x " << m;
      EXPECT_LT((h.diagonal() - exact.diagonal()).norm(), 2e-6 * exact.diagonal().norm());
      EXPECT_EQ(h.matrix(), h.matrix().transpose());
    }
  }
}

TEST(Hessian, TakesAnyExpressionInAnyBatches) {
  const MatrixXf x = test::correlated_inputs(33, 1100, 4);
  Hessian h(33);
  h.add(x.leftCols(1));
  h.add(x.middleCols(1, 0));
  h.add(x.middleCols(1, 16).cast<double>());
  h.add((2 * x.middleCols(17, 983)) / 2);
  h.add(Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>(x.rightCols(100)));
  EXPECT_EQ(h.samples(), 1100);
  EXPECT_LT(distance(h.matrix(), Hessian(x).matrix()), 1e-6);
  Hessian halves(x.leftCols(500)), second(x.rightCols(600));
  halves.merge(second);
  EXPECT_LT(distance(halves.matrix(), h.matrix()), 1e-6);
  EXPECT_EQ(second.samples(), 600);
  second.merge(second);
  EXPECT_EQ(second.samples(), 1200);
  EXPECT_LT(distance(second.matrix(), Hessian(x.rightCols(600)).matrix()), 1e-12);
}

TEST(Hessian, WeighsSamples) {
  const MatrixXf x = test::correlated_inputs(20, 90, 5);
  Eigen::VectorXd w = Eigen::VectorXd::LinSpaced(90, 0, 3);
  Hessian h(20);
  h.add(x, w);
  EXPECT_LT(distance(h.matrix(), naive(x, w)), 2e-6);
  EXPECT_DOUBLE_EQ(h.weight(), w.sum());
  Hessian ones(20), rows(20);
  ones.add(x, Eigen::VectorXf::Ones(90));
  EXPECT_LT(distance(ones.matrix(), Hessian(x).matrix()), 1e-12);
  rows.add(x, Eigen::RowVectorXf::Constant(90, 1e-30f));
  EXPECT_LT(distance(rows.matrix(), Hessian(x).matrix()), 1e-6);
  // What does not count does not matter, whatever it is.
  MatrixXf masked = x;
  masked.col(0).setConstant(1e30f);
  Hessian h_masked(20);
  h_masked.add(masked, w);
  EXPECT_EQ(h_masked.matrix(), h.matrix());
  const auto weights = [&](double weight) {
    return test::message_of([&] { h.add(x, Eigen::VectorXd::Constant(90, weight)); });
  };
  EXPECT_EQ(weights(1e308),
            "nibble::Hessian::add: expected weights of 0 or from 1e-150 to 1e150, got 1e+308 for sample 0");
  EXPECT_NE(weights(-1), "");
  EXPECT_NE(weights(1e-310), "");
}

TEST(Hessian, KeepsSizesThatFloatsWouldLose) {
  for (float unit : {1e-30f, 1e-12f, 1e12f, 1e30f}) {
    const MatrixXf x = test::correlated_inputs(17, 40, 6);
    EXPECT_LT(distance(Hessian(unit * x).matrix() / static_cast<double>(unit) / static_cast<double>(unit), naive(x)),
              1e-5);
  }
  // Small increments of a large sum.
  Hessian h(1);
  h.add(MatrixXf::Constant(1, 1, 4096));
  for (int i = 0; i < 100; ++i) h.add(MatrixXf::Constant(1, 1, 0.5f));
  EXPECT_NEAR(h.matrix()(0, 0), 2 * (4096.0 * 4096 + 25) / 101, 1e-8);
}

TEST(Hessian, KeepsTheMean) {
  const MatrixXf x = test::correlated_inputs(33, 1100, 41).colwise() + test::normal(33, 1, 42).col(0);
  const Eigen::VectorXd w = Eigen::VectorXd::LinSpaced(1100, 0, 3);
  const auto naive_mean = [&](const Eigen::VectorXd& weights) {
    Eigen::VectorXd mean = Eigen::VectorXd::Zero(33);
    for (Index m = 0; m < x.cols(); ++m)
      for (Index j = 0; j < 33; ++j) mean[j] += weights[m] * static_cast<double>(x(j, m)) / weights.sum();
    return mean;
  };
  const Eigen::VectorXd mean = naive_mean(Eigen::VectorXd::Ones(1100));
  const Hessian h(x);
  EXPECT_TRUE(h.has_mean());
  EXPECT_LT(distance(h.mean(), mean), 1e-12);
  EXPECT_EQ(Hessian(x, {.threads = 3}).mean(), h.mean());
  Hessian weighted(33);
  weighted.add(x, w);
  EXPECT_LT(distance(weighted.mean(), naive_mean(w)), 1e-12);
  Hessian halves(33);
  halves.merge(Hessian(x.leftCols(500)));
  halves.merge(Hessian(x.rightCols(600)));
  EXPECT_LT(distance(halves.mean(), mean), 1e-12);
  EXPECT_EQ(h.damped(0.1).mean(), h.mean());
  const Hessian copy = halves;
  halves.add(MatrixXf::Constant(33, 1, 1e6f));
  EXPECT_LT(distance(copy.mean(), mean), 1e-12);
  // Where a matrix takes part, nobody knows.
  Hessian matrix = Hessian::from_matrix(h.matrix());
  const std::string unknown =
      "nibble::Hessian::mean: expected a Hessian of samples, got one from a matrix, whose mean "
      "is not known";
  EXPECT_EQ(test::message_of([&] { matrix.mean(); }), unknown);
  EXPECT_EQ(test::message_of([&] { matrix.centred(); }), unknown);
  halves.merge(matrix);
  EXPECT_FALSE(halves.has_mean());
  matrix.add(x);
  EXPECT_FALSE(matrix.has_mean());
  EXPECT_NE(test::message_of([&] { Hessian(3).mean(); }), "");
  EXPECT_EQ(Hessian(MatrixXf(0, 5)).mean().size(), 0);
}

TEST(Hessian, Centred) {
  for (Index k : {1, 17, 90}) {
    const MatrixXf x = test::correlated_inputs(k, 200, 43).colwise() + test::normal(k, 1, 44).col(0);
    const Eigen::VectorXd w = Eigen::VectorXd::LinSpaced(200, 0, 3);
    Hessian h(k);
    h.add(x, w);
    const Eigen::VectorXd mean = x.cast<double>() * w / w.sum();
    const MatrixXd less = x.cast<double>().colwise() - mean;
    const MatrixXd exact = 2 * less * w.asDiagonal() * less.transpose() / w.sum();
    const Hessian centred = h.centred();
    EXPECT_LT((centred.matrix() - exact).norm(), 4e-6 * h.matrix().norm()) << k;
    EXPECT_EQ(centred.mean(), Eigen::VectorXd::Zero(k));
    EXPECT_EQ(centred.samples(), 200);
    EXPECT_LT(distance(h.mean(), mean), 1e-12);
  }
  // Samples that are all the same leave nothing, and nothing below 0.
  const Eigen::VectorXd nothing = Hessian(test::normal(9, 1, 45).replicate(1, 7)).centred().diagonal();
  EXPECT_GE(nothing.minCoeff(), 0);
  EXPECT_LT(nothing.maxCoeff(), 1e-5);
}

TEST(Hessian, CopiesAreValues) {
  const MatrixXf x = test::correlated_inputs(5, 9, 7);
  Hessian a(x);
  const Hessian b = a;
  a.add(x.leftCols(2));
  EXPECT_EQ(a.samples(), 11);
  EXPECT_EQ(b.samples(), 9);
  EXPECT_EQ(b.matrix(), Hessian(x).matrix());
}

TEST(Hessian, SameBitsForAnyNumberOfThreads) {
  const MatrixXf x = test::correlated_inputs(600, 530, 8);
  const Hessian one(x);
  const Hessian three(x, {.threads = 3, .executor = test::threads});
  EXPECT_EQ(one.matrix(), three.matrix());
  std::vector<Index> order(600);
  std::iota(order.begin(), order.end(), 0);
  const auto a = one.feedback("test", 0.01, 1, order, {});
  const auto b = three.feedback("test", 0.01, 1, order, {3, test::threads});
  EXPECT_EQ(a->roots, b->roots);
  ASSERT_EQ(a->factor.size(), b->factor.size());
  EXPECT_TRUE(std::equal(a->factor.data(), a->factor.data() + a->factor.size(), b->factor.data()));
}

TEST(Hessian, FactorsAreMadeOnceAndShared) {
  const MatrixXf x = test::correlated_inputs(40, 90, 9);
  Hessian h(x);
  const Hessian copy = h;
  std::vector<Index> order(40);
  std::iota(order.begin(), order.end(), 0);
  std::vector<std::shared_ptr<const rounding::Feedback>> made(4);
  std::vector<std::thread> threads;
  for (auto& m : made)
    threads.emplace_back([&] { m = (&m == &made[0] ? h : copy).feedback("test", 0.1, 1, order, {}); });
  for (auto& t : threads) t.join();
  for (const auto& m : made) EXPECT_EQ(m, made[0]);
  EXPECT_NE(h.feedback("test", 0.2, 1, order, {}), made[0]);
  h.add(x);
  EXPECT_NE(h.feedback("test", 0.1, 1, order, {}), made[0]);
  EXPECT_EQ(copy.feedback("test", 0.1, 1, order, {}), made[0]);
}

// H = (I - F)^-1 D (I - F)^-T for runs of 1, 2, 3 and 5 inputs, the last one short, in any order.
TEST(Hessian, FeedbackFactorisesIt) {
  for (Index k : {1, 7, 32, 230}) {
    const Hessian h(test::correlated_inputs(k, 50, 10));
    const MatrixXd damped = h.damped(0.02).matrix();
    for (int dim : {1, 2, 3, 5}) {
      std::vector<Index> runs(static_cast<std::size_t>((k + dim - 1) / dim));
      std::iota(runs.begin(), runs.end(), 0);
      std::reverse(runs.begin(), runs.end());
      if (runs.size() > 3) std::swap(runs[0], runs[2]);
      const auto f = h.feedback("test", 0.02, dim, runs, {});
      MatrixXd m = MatrixXd::Identity(k, k), d = MatrixXd::Zero(k, k), permuted(k, k);
      for (std::size_t s = 0; s < runs.size(); ++s) {
        const Index p = f->starts[s], count = f->starts[s + 1] - p;
        EXPECT_EQ(f->inputs[static_cast<std::size_t>(p)], runs[s] * dim);
        const MatrixXd root = f->roots.block(0, p, count, count);
        d.block(p, p, count, count) = root * root.transpose();
        for (Index c = p; c < p + count; ++c)
          for (Index q = 0; q < p; ++q) m(q, c) = -static_cast<double>(f->tile(c)[q * 8 + c % 8]);
      }
      const MatrixXd l = m.inverse();
      for (Index i = 0; i < k; ++i)
        for (Index j = 0; j < k; ++j)
          permuted(i, j) = damped(f->inputs[static_cast<std::size_t>(i)], f->inputs[static_cast<std::size_t>(j)]);
      EXPECT_LT(distance(l * d * l.transpose(), permuted), 1e-6) << k << " by " << dim;
    }
  }
}

TEST(Hessian, Damps) {
  MatrixXf x = test::correlated_inputs(6, 30, 11);
  x.row(2).setZero();
  x.row(5).setZero();
  const Hessian h(x);
  const double mean = h.diagonal().sum() / 4;
  MatrixXd expected = h.matrix();
  expected(2, 2) = expected(5, 5) = mean;
  expected.diagonal().array() += 0.1 * mean;
  EXPECT_LT(distance(h.damped(0.1).matrix(), expected), 1e-12);
  EXPECT_EQ(Hessian(MatrixXf::Zero(3, 2)).damped(0.5).matrix(), 1.5 * MatrixXd::Identity(3, 3));
  EXPECT_EQ(h.matrix(), Hessian(x).matrix());
}

TEST(Hessian, FromMatrix) {
  const MatrixXd m = naive(test::correlated_inputs(9, 20, 12));
  const Hessian h = Hessian::from_matrix(m, 20);
  EXPECT_LT(distance(h.matrix(), m), 1e-15);
  EXPECT_EQ(h.samples(), 20);
}

TEST(Hessian, SavesAndLoads) {
  for (Index k : {0, 1, 40}) {
    Hessian h(k);
    if (k > 0) h.add(test::correlated_inputs(k, 7, 13), Eigen::VectorXf::Constant(7, 0.25f));
    std::stringstream file;
    h.save(file);
    file << 'x';
    const std::string bytes = file.str();
    const Hessian back = Hessian::load(file);
    EXPECT_EQ(file.get(), 'x');
    EXPECT_EQ(back.samples(), h.samples());
    EXPECT_EQ(back.weight(), h.weight());
    if (k > 0) {
      EXPECT_EQ(back.matrix(), h.matrix());
      EXPECT_EQ(back.mean(), h.mean());
    }
    for (std::size_t cut = 0; cut < bytes.size() - 1; cut += 1 + cut / 7) {
      std::stringstream part(bytes.substr(0, cut));
      EXPECT_NE(test::message_of<IoError>([&] { Hessian::load(part); }), "") << cut;
    }
  }
  std::stringstream matrix;
  Hessian::from_matrix(MatrixXd::Identity(3, 3)).save(matrix);
  EXPECT_EQ(matrix.str().size(), 40u + 6 * 8);
  EXPECT_FALSE(Hessian::load(matrix).has_mean());
  Hessian h(test::correlated_inputs(3, 7, 13));
  std::stringstream file;
  h.save(file);
  EXPECT_EQ(file.str().size(), 40u + 6 * 8 + 3 * 8);
  const auto broken = [&](std::size_t at, const std::string& with) {
    std::string bytes = file.str();
    bytes.replace(at, with.size(), with);
    std::stringstream in(bytes);
    return test::message_of<IoError>([&] { Hessian::load(in); });
  };
  const std::string nan("\0\0\0\0\0\0\xf8\x7f", 8);
  EXPECT_NE(broken(0, "x").find("not a nibble Hessian"), std::string::npos);
  EXPECT_NE(broken(8, "\2").find("version"), std::string::npos);
  EXPECT_NE(broken(16, std::string(8, '\xff')).find("sizes"), std::string::npos);
  EXPECT_NE(broken(18, "\xf0").find("ends early"), std::string::npos);
  EXPECT_NE(broken(32, nan).find("weights"), std::string::npos);
  EXPECT_NE(broken(48, nan).find("not finite"), std::string::npos);
  EXPECT_NE(broken(40 + 6 * 8 + 16, nan).find("not finite"), std::string::npos);
  EXPECT_NE(broken(12, "\2").find("version"), std::string::npos);
  EXPECT_NE(broken(40, std::string("\0\0\0\0\0\0\xf0\xbf", 8)).find("negative"), std::string::npos);
}

TEST(Hessian, RejectsBadInput) {
  using test::message_of;
  Hessian h(3);
  const auto has = [](const std::string& message, const char* part) {
    return message.find(part) != std::string::npos ? "" : "\"" + message + "\"";
  };
  EXPECT_EQ(has(message_of([&] { h.add(MatrixXf::Zero(4, 2)); }), "samples of 3 inputs, got 4"), "");
  MatrixXf bad = MatrixXf::Ones(3, 2);
  bad(1, 1) = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(has(message_of([&] { h.add(bad); }), "finite"), "");
  bad(1, 1) = std::numeric_limits<float>::infinity();
  EXPECT_EQ(has(message_of([&] { h.add(bad); }), "finite"), "");
  const MatrixXf x = MatrixXf::Ones(3, 2);
  EXPECT_EQ(has(message_of([&] { h.add(x, Eigen::VectorXf::Ones(3)); }), "2 weights"), "");
  EXPECT_EQ(has(message_of([&] { h.add(x, Eigen::Vector2f(1, -1)); }), "-1 for sample 1"), "");
  EXPECT_EQ(has(message_of([&] { h.add(x, Eigen::Vector2d(NAN, 1)); }), "nan for sample 0"), "");
  EXPECT_EQ(h.samples(), 0);
  EXPECT_EQ(has(message_of([&] { h.matrix(); }), "got 0 samples"), "");
  h.add(x, Eigen::Vector2f(0, 0));
  EXPECT_EQ(has(message_of([&] { h.diagonal(); }), "got 2 samples"), "");
  EXPECT_EQ(has(message_of([&] { h.merge(Hessian(4)); }), "3 inputs, got 4"), "");
  EXPECT_EQ(has(message_of([&] { Hessian(x).damped(-1); }), "damping of at least 0"), "");
  EXPECT_EQ(has(message_of([&] { Hessian(x).damped(NAN); }), "finite damping"), "");
  EXPECT_EQ(has(message_of([&] { Hessian(-1); }), "at least 0"), "");
  EXPECT_EQ(has(message_of([&] { Hessian(1, {.threads = 0}); }), "at least 1 thread"), "");

  MatrixXd m = MatrixXd::Identity(2, 2);
  EXPECT_EQ(has(message_of([&] { Hessian::from_matrix(MatrixXd::Zero(2, 3)); }), "2 x 3"), "");
  EXPECT_EQ(has(message_of([&] { Hessian::from_matrix(m, 0); }), "1 sample"), "");
  m(0, 1) = 0.5;
  EXPECT_EQ(has(message_of([&] { Hessian::from_matrix(m); }), "symmetric"), "");
  m(0, 1) = NAN;
  EXPECT_EQ(has(message_of([&] { Hessian::from_matrix(m); }), "NaN"), "");
  m << -1, 0, 0, 1;
  EXPECT_EQ(has(message_of([&] { Hessian::from_matrix(m); }), "-1 for input 0"), "");
}

}  // namespace
}  // namespace nibble
