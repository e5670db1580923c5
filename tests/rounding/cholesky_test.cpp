// Cholesky factors and inverses of triangles: against Eigen's, on sizes around the tiles, for any number of threads.
#include <gtest/gtest.h>
#include <nibble/nibble.h>

#include <Eigen/Dense>

#include "rounding/correlated.h"
#include "threads.h"

namespace nibble {
namespace {

using Eigen::MatrixXd;

TEST(Cholesky, FactorisesAndInverts) {
  for (Index n : {1, 2, 23, 24, 25, 95, 96, 97, 193, 290, 401}) {
    const MatrixXd a = Hessian(test::correlated_inputs(n, n + 20, 1)).damped(0.01).matrix();
    MatrixXd c = a.triangularView<Eigen::Lower>(), spread = c;
    EXPECT_EQ(rounding::cholesky_in_place(c, {}).column, -1);
    EXPECT_EQ(rounding::cholesky_in_place(spread, {3, test::threads}).column, -1);
    const MatrixXd lower = c.triangularView<Eigen::Lower>();
    EXPECT_EQ(lower, MatrixXd(spread.triangularView<Eigen::Lower>())) << n;
    EXPECT_LT((lower * lower.transpose() - a).norm(), 1e-14 * static_cast<double>(n) * a.norm()) << n;
    rounding::invert_triangle_in_place(c, {});
    rounding::invert_triangle_in_place(spread, {3, test::threads});
    const MatrixXd inverse = c.triangularView<Eigen::Lower>();
    EXPECT_EQ(inverse, MatrixXd(spread.triangularView<Eigen::Lower>())) << n;
    EXPECT_LT((inverse * lower - MatrixXd::Identity(n, n)).norm(), 1e-10) << n;
  }
}

TEST(Cholesky, SaysWhereAMatrixIsNotPositiveDefinite) {
  for (Index bad : {0, 50, 96, 200}) {
    MatrixXd a = MatrixXd::Identity(230, 230);
    a(bad, bad) = -2;
    const auto found = rounding::cholesky_in_place(a, {});
    EXPECT_EQ(found.column, bad);
    EXPECT_EQ(found.value, -2);
  }
  MatrixXd ones = MatrixXd::Ones(130, 130);
  EXPECT_EQ(rounding::cholesky_in_place(ones, {}).column, 1);
}

}  // namespace
}  // namespace nibble
