// Naive products in double, and how far float arithmetic may be from them. Shares no code with nibble.
#pragma once

#include <Eigen/Core>
#include <cmath>
#include <limits>

namespace oracle {

inline Eigen::MatrixXd product(const Eigen::MatrixXd& w, const Eigen::MatrixXd& x) {
  Eigen::MatrixXd y = Eigen::MatrixXd::Zero(w.rows(), x.cols());
  for (Eigen::Index i = 0; i < w.rows(); ++i)
    for (Eigen::Index j = 0; j < x.cols(); ++j)
      for (Eigen::Index k = 0; k < w.cols(); ++k) y(i, j) += w(i, k) * x(k, j);
  return y;
}

/// The largest |y - W X| in units of eps * (|W| |X|): a sum of n terms in any order stays below n + the roundings of
/// each.
inline double error_in_eps(const Eigen::MatrixXf& y, const Eigen::MatrixXd& w, const Eigen::MatrixXd& x) {
  const Eigen::MatrixXd exact = product(w, x);
  const Eigen::MatrixXd size = product(w.cwiseAbs(), x.cwiseAbs());
  double worst = 0;
  for (Eigen::Index j = 0; j < y.cols(); ++j) {
    for (Eigen::Index i = 0; i < y.rows(); ++i) {
      const double error = std::abs(static_cast<double>(y(i, j)) - exact(i, j));
      if (error == 0) continue;
      if (std::isnan(error)) return std::numeric_limits<double>::infinity();
      const double unit = size(i, j) * static_cast<double>(std::numeric_limits<float>::epsilon());
      worst = std::max(worst, unit > 0 ? error / unit : std::numeric_limits<double>::infinity());
    }
  }
  return worst;
}

}  // namespace oracle
