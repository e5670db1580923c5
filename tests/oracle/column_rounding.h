// GPTQ, LDLQ and Babai's nearest plane as their papers write them, one row at a time, in double. Shares no code with
// nibble.
#pragma once

#include <Eigen/Dense>
#include <functional>

namespace oracle {

/// The value that input j is rounded to.
using Round = std::function<double(double weight, Eigen::Index j)>;

/// tr(E H E^T).
inline double loss(const Eigen::MatrixXd& e, const Eigen::MatrixXd& h) {
  double sum = 0;
  for (Eigen::Index i = 0; i < e.rows(); ++i)
    for (Eigen::Index j = 0; j < e.cols(); ++j)
      for (Eigen::Index k = 0; k < e.cols(); ++k) sum += e(i, j) * h(j, k) * e(i, k);
  return sum;
}

/// Frantar et al., "GPTQ", algorithm 1: H^-1 = U^T U, weights are updated as soon as an input is rounded.
inline Eigen::VectorXd gptq(Eigen::VectorXd w, const Eigen::MatrixXd& h, const Round& round) {
  const Eigen::MatrixXd u = Eigen::LLT<Eigen::MatrixXd>(h.inverse()).matrixU();
  Eigen::VectorXd q(w.size());
  for (Eigen::Index i = 0; i < w.size(); ++i) {
    q[i] = round(w[i], i);
    const double error = (w[i] - q[i]) / u(i, i);
    for (Eigen::Index j = i; j < w.size(); ++j) w[j] -= error * u(i, j);
  }
  return q;
}

/// Chee et al., "QuIP", equation 2: L of H = (L + I) D (L + I)^T, strictly upper triangular, found here column by
/// column.
inline Eigen::MatrixXd upper_factor(Eigen::MatrixXd h) {
  const Eigen::Index n = h.rows();
  Eigen::MatrixXd l = Eigen::MatrixXd::Zero(n, n);
  for (Eigen::Index k = n; k-- > 0;) {  // h(k, k) is D(k, k) once the columns behind have been taken out
    for (Eigen::Index i = 0; i < k; ++i) l(i, k) = h(i, k) / h(k, k);
    for (Eigen::Index i = 0; i < k; ++i)
      for (Eigen::Index j = 0; j < k; ++j) h(i, j) -= l(i, k) * h(k, k) * l(j, k);
  }
  return l;
}

inline Eigen::VectorXd ldlq(const Eigen::VectorXd& w, const Eigen::MatrixXd& h, const Round& round) {
  const Eigen::MatrixXd l = upper_factor(h);
  Eigen::VectorXd q(w.size());
  for (Eigen::Index k = 0; k < w.size(); ++k) {
    double target = w[k];
    for (Eigen::Index i = 0; i < k; ++i) target += (w[i] - q[i]) * l(i, k);
    q[k] = round(target, k);
  }
  return q;
}

/// Tseng et al., "Model-preserving adaptive rounding": the targets W + L_O^T E L_I + L_O^T E + E L_I, E = W - Q of what
/// is rounded by now. round(target, i, j).
inline Eigen::MatrixXd yaqa(const Eigen::MatrixXd& w, const Eigen::MatrixXd& inputs, const Eigen::MatrixXd& outputs,
                            const std::function<double(double, Eigen::Index, Eigen::Index)>& round) {
  const Eigen::MatrixXd right = upper_factor(inputs), left = upper_factor(outputs);
  Eigen::MatrixXd q = w, e = Eigen::MatrixXd::Zero(w.rows(), w.cols());
  for (Eigen::Index i = 0; i < w.rows(); ++i) {
    for (Eigen::Index j = 0; j < w.cols(); ++j) {
      const Eigen::RowVectorXd above = left.col(i).transpose() * e;  // L_O^T E, row i
      const double target = w(i, j) + above.dot(right.col(j)) + above[j] + e.row(i).dot(right.col(j));
      q(i, j) = round(target, i, j);
      e(i, j) = w(i, j) - q(i, j);
    }
  }
  return q;
}

/// Babai's nearest plane: H = A^T A, from the last column of the basis to the first.
inline Eigen::VectorXd babai(const Eigen::VectorXd& w, const Eigen::MatrixXd& h, const Round& round) {
  const Eigen::MatrixXd a = Eigen::LLT<Eigen::MatrixXd>(h).matrixU();
  Eigen::VectorXd rest = a * w, q(w.size());  // the target less what is chosen
  for (Eigen::Index i = w.size(); i-- > 0;) {
    q[i] = round(rest[i] / a(i, i), i);
    rest -= a.col(i) * q[i];
  }
  return q;
}

}  // namespace oracle
