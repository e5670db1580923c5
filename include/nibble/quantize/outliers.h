// Outliers: the few largest weights, kept aside as they are.
#pragma once

#include <numeric>
#include <vector>

#include "nibble/kernels/compounds.h"
#include "nibble/quantize/minimal_error.h"
#include "nibble/quantize/quantize.h"

namespace nibble {

/// W cut in two: dense + outliers = W, element by element and exactly, since one of them is 0.
struct SplitWeights {
  RowMajorMatrixXf dense;
  Sparse outliers;
};

/// Sets the weights for which outlier(i, j, w) aside. Zeros stay.
template <class Derived, class IsOutlier>
SplitWeights split_where(const Eigen::MatrixBase<Derived>& w, const IsOutlier& is_outlier) {
  SplitWeights split{w.template cast<float>(), {}};
  std::vector<Eigen::Triplet<float>> outliers;
  for (Index i = 0; i < w.rows(); ++i) {
    for (Index j = 0; j < w.cols(); ++j) {
      float& weight = split.dense(i, j);
      if (weight == 0 || !is_outlier(i, j, weight)) continue;
      outliers.emplace_back(static_cast<int>(i), static_cast<int>(j), weight);
      weight = 0;
    }
  }
  Sparse::Matrix sparse(w.rows(), w.cols());
  sparse.setFromTriplets(outliers.begin(), outliers.end());
  split.outliers = Sparse(std::move(sparse));
  return split;
}

inline void check_share(const char* function, double share) {
  if (!(share >= 0 && share <= 1)) invalid(function, "a share from 0 to 1", share);
}

/// Sets the floor(share * N K) weights of largest `score` (N x K) aside; of equal ones those of earlier rows, then
/// columns. 0 <= share <= 1. Throws std::invalid_argument, in the name of `function`, otherwise and where a score is a
/// NaN.
template <class Derived>
SplitWeights split_highest(const char* function, const Eigen::MatrixBase<Derived>& w, const RowMajorMatrixXf& score,
                           double share) {
  check_share(function, share);
  if (score.hasNaN()) invalid(function, "weights", "a NaN");
  const auto count = static_cast<Index>(share * static_cast<double>(score.size()));
  std::vector<Index> order(static_cast<std::size_t>(score.size()));
  std::iota(order.begin(), order.end(), Index{0});
  const auto larger = [&](Index a, Index b) {
    return score.data()[a] > score.data()[b] || (score.data()[a] == score.data()[b] && a < b);
  };
  std::nth_element(order.begin(), order.begin() + std::max<Index>(count - 1, 0), order.end(), larger);
  if (count == 0) return split_where(w, [](Index, Index, float) { return false; });
  const Index last = order[static_cast<std::size_t>(count - 1)];
  return split_where(w, [&](Index i, Index j, float) { return !larger(last, i * score.cols() + j); });
}

/// Sets the floor(share * N K) weights of largest magnitude aside, as split_highest does.
template <class Derived> SplitWeights split_outliers(const Eigen::MatrixBase<Derived>& w, double share = 0.01) {
  return split_highest("split_outliers", w, w.template cast<float>().cwiseAbs(), share);
}

/// Sets the weights aside that are more than `sigmas` standard deviations from the mean of W. Throws
/// std::invalid_argument unless sigmas > 0 and W is finite.
template <class Derived> SplitWeights split_beyond(const Eigen::MatrixBase<Derived>& w, double sigmas = 3) {
  if (!(sigmas > 0)) invalid("split_beyond", "sigmas > 0", sigmas);
  const Eigen::MatrixXd weights = w.template cast<double>();
  if (!weights.allFinite()) invalid("split_beyond", "finite weights", "a NaN or an infinity");
  const double mean = weights.size() == 0 ? 0 : weights.mean();
  const double sigma = weights.size() == 0 ? 0 : std::sqrt((weights.array() - mean).square().mean());
  return split_where(w,
                     [&](Index, Index, float x) { return std::abs(static_cast<double>(x) - mean) > sigmas * sigma; });
}

/// Quantizes W with its outliers kept as floats: the rest by `rule`, whose range is no longer theirs to set, and
/// `rounding`. One with a Hessian lets the codes where outliers were make good the errors of others.
/// Source: Tang et al., "EasyQuant: an efficient data-free quantization algorithm for LLMs", 2024 (less than 1 % of the
/// weights, beyond 3 sigma; there the range is optimised by gradient).
template <class S, class Rule = MinimalError, class Round = Nearest>
  requires(ScaleRule<Rule, S>&& Rounding<Round, S>)
Sum<QuantizedMatrix<S>, Sparse> quantize_with_outliers(const SplitWeights& split, const Rule& rule = {},
                                                       const Round& rounding = {},
                                                       const QuantizeOptions& options = {}) {
  return {quantize<S>(split.dense, rule, rounding, options), split.outliers};
}

}  // namespace nibble
