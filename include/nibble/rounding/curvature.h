// What a Hessian says of a quantized layer: proxy loss, trace, top eigenvalues, incoherence, and compare with it.
#pragma once

#include "nibble/core/random.h"
#include "nibble/rounding/hessian.h"

namespace nibble {

/// tr(E H E^T) of E = W - Q, both N x K: twice the mean squared error of the outputs, summed over outputs, on the
/// samples of H. Q is a low-bit matrix or a dense expression. Throws std::invalid_argument where shapes differ.
/// Source: Chee et al., "QuIP", 2023.
template <class Derived, class Q>
double proxy_loss(const Eigen::MatrixBase<Derived>& w, const Q& q, const Hessian& hessian) {
  metrics::check_shape("proxy_loss", "a quantized matrix", w.rows(), w.cols(), q.rows(), q.cols());
  if (hessian.inputs() != w.cols()) invalid("proxy_loss", text("a Hessian of ", w.cols(), " inputs"), hessian.inputs());
  Eigen::MatrixXd error = w.template cast<double>();
  if constexpr (LowBitMatrix<Q>)
    error -= Eigen::MatrixXf(q.dequantize()).template cast<double>();
  else
    error -= q.template cast<double>();
  return hessian.quadratic_form(error);
}

/// Comparison of weights, and of outputs on the samples of a Hessian.
struct HessianComparison : Comparison {
  double proxy_loss = 0;             ///< tr(E H E^T)
  double relative_output_error = 0;  ///< sqrt(tr(E H E^T) / tr(W H W^T)); 0 where both are 0

  friend std::ostream& operator<<(std::ostream& out, const HessianComparison& c) {
    const auto flags = out.flags();
    const auto precision = out.precision();
    out << static_cast<const Comparison&>(c) << ", proxy loss " << std::scientific << std::setprecision(3)
        << c.proxy_loss << ", relative output error " << std::fixed << 100 * c.relative_output_error << " %";
    out.flags(flags);
    out.precision(precision);
    return out;
  }
};

/// W (N x K, any dense expression) against the weights of `q`, and their outputs on the samples of H. Throws
/// std::invalid_argument where shapes differ.
template <class Derived, LowBitMatrix Q>
HessianComparison compare(const Eigen::MatrixBase<Derived>& w, const Q& q, const Hessian& hessian) {
  HessianComparison c{compare(w, q)};
  c.proxy_loss = proxy_loss(w, q, hessian);
  const double signal = hessian.quadratic_form(w.template cast<double>());
  c.relative_output_error = c.proxy_loss <= 0 ? 0 : std::sqrt(c.proxy_loss / signal);
  return c;
}

/// tr H.
template <unsigned Baseline = isa::baseline> double trace(const Hessian& hessian) {
  return hessian.diagonal().sum();
}

/// An estimate of the trace of a symmetric n x n matrix A of which only `product`, v -> A v (VectorXd), is known: the
/// mean of v^T A v over `probes` vectors v of random signs. Its variance is 2 / probes times the sum of the squared
/// off-diagonal elements. Source: Hutchinson, 1990; Yao et al., "HAWQ-V2", 2020.
template <class Product> double hutchinson_trace(Index n, Product&& product, Index probes, std::uint64_t seed = 0) {
  if (n < 0 || probes < 1) invalid("hutchinson_trace", "n of at least 0 and at least 1 probe", text(n, ", ", probes));
  const Random random(seed);
  double sum = 0;
  Eigen::VectorXd v(n);
  for (Index p = 0; p < probes; ++p) {
    for (Index i = 0; i < n; ++i)
      v[i] = random.bits(static_cast<std::uint64_t>(i), static_cast<std::uint64_t>(p)) >> 31 != 0 ? 1 : -1;
    sum += v.dot(Eigen::VectorXd(product(v)));
  }
  return sum / static_cast<double>(probes);
}

/// Eigenvalues, largest magnitude first, with the eigenvectors as columns.
struct Eigenpairs {
  Eigen::VectorXd values;
  Eigen::MatrixXd vectors;
};

/// The `count` eigenvalues of largest magnitude of a symmetric n x n matrix A of which only `product`, v -> A v
/// (VectorXd), is known. Power iteration from a random vector, kept orthogonal to the eigenvectors found before, until
/// |A v - lambda v| <= tolerance |lambda| or `iterations` products are done: where eigenvalues lie close, the error of
/// lambda is at most that of the residual. Source: Dong et al., "HAWQ", 2019.
template <class Product>
Eigenpairs top_eigenvalues(Index n, Product&& product, Index count, std::uint64_t seed = 0, double tolerance = 1e-6,
                           Index iterations = 1000) {
  if (count < 0 || count > n) invalid("top_eigenvalues", text("0 to ", n, " eigenvalues"), count);
  if (iterations < 1 || !(tolerance >= 0))
    invalid("top_eigenvalues", "at least 1 iteration and a tolerance of at least 0", text(iterations, ", ", tolerance));
  const Random random(seed);
  Eigenpairs found{Eigen::VectorXd::Zero(count), Eigen::MatrixXd::Zero(n, count)};
  for (Index c = 0; c < count; ++c) {
    const auto others = found.vectors.leftCols(c);
    Eigen::VectorXd v(n);
    for (Index i = 0; i < n; ++i)
      v[i] = static_cast<double>(random.uniform(static_cast<std::uint64_t>(i), static_cast<std::uint64_t>(c))) - 0.5;
    const auto orthogonal = [&](Eigen::VectorXd& x) {
      for (int twice = 0; twice < 2; ++twice) x -= others * (others.transpose() * x).eval();
    };
    orthogonal(v);
    v.normalize();
    double lambda = 0;
    for (Index i = 0; i < iterations; ++i) {
      Eigen::VectorXd next = product(v);
      lambda = v.dot(next);
      const double residual = (next - lambda * v).norm();
      orthogonal(next);
      const double size = next.norm();
      if (!(size > 0)) break;
      v = next / size;
      if (residual <= tolerance * std::abs(lambda)) break;
    }
    found.values[c] = lambda;
    found.vectors.col(c) = v;
  }
  return found;
}
template <unsigned Baseline = isa::baseline>
Eigenpairs top_eigenvalues(const Hessian& hessian, Index count, std::uint64_t seed = 0, double tolerance = 1e-6,
                           Index iterations = 1000) {
  const Eigen::MatrixXd h = hessian.matrix();
  return top_eigenvalues(
      h.rows(), [&](const Eigen::VectorXd& v) { return h * v; }, count, seed, tolerance, iterations);
}

/// How far the largest weight sticks out: the least mu with |w| <= mu |W|_F / sqrt(N K) for all w; 1 where all weights
/// are of one size. 0 where W is 0. Source: Chee et al., "QuIP", 2023, definition 1.
template <class Derived> double incoherence(const Eigen::MatrixBase<Derived>& w) {
  const Eigen::MatrixXd dense = w.template cast<double>();
  const double norm = dense.norm();
  return norm == 0 ? 0 : dense.cwiseAbs().maxCoeff() * std::sqrt(static_cast<double>(dense.size())) / norm;
}

/// How far the eigenvectors of H are from lying across all inputs: the least mu with |Q_ij| <= mu / sqrt(K) for the
/// orthogonal Q of H = Q diag(lambda) Q^T; from 1 to sqrt(K). Decomposes H: some 9 K^3 operations. Not unique where
/// eigenvalues coincide. 0 where K = 0. Source: as above.
template <unsigned Baseline = isa::baseline> double incoherence(const Hessian& hessian) {
  if (hessian.inputs() == 0) return 0;
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(hessian.matrix());
  return solver.eigenvectors().cwiseAbs().maxCoeff() * std::sqrt(static_cast<double>(hessian.inputs()));
}

}  // namespace nibble
