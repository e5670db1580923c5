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

/// Sets the floor(share * N K) weights of largest magnitude aside; of equal ones those of earlier rows, then columns.
/// 0 <= share <= 1. Throws std::invalid_argument otherwise, and where W has a NaN.
template <class Derived> SplitWeights split_outliers(const Eigen::MatrixBase<Derived>& w, double share = 0.01) {
  if (!(share >= 0 && share <= 1)) invalid("split_outliers", "a share from 0 to 1", share);
  const RowMajorMatrixXf size = w.template cast<float>().cwiseAbs();
  if (size.hasNaN()) invalid("split_outliers", "weights", "a NaN");
  const auto count = static_cast<Index>(share * static_cast<double>(size.size()));
  std::vector<Index> order(static_cast<std::size_t>(size.size()));
  std::iota(order.begin(), order.end(), Index{0});
  const auto larger = [&](Index a, Index b) {
    return size.data()[a] > size.data()[b] || (size.data()[a] == size.data()[b] && a < b);
  };
  std::nth_element(order.begin(), order.begin() + std::max<Index>(count - 1, 0), order.end(), larger);
  if (count == 0) return split_where(w, [](Index, Index, float) { return false; });
  const Index last = order[static_cast<std::size_t>(count - 1)];
  return split_where(w, [&](Index i, Index j, float) { return !larger(last, i * size.cols() + j); });
}

/// Sets the weights aside that are more than `sigmas` standard deviations from the mean of W. sigmas > 0. Throws
/// std::invalid_argument otherwise.
template <class Derived> SplitWeights split_beyond(const Eigen::MatrixBase<Derived>& w, double sigmas = 3) {
  if (!(sigmas > 0)) invalid("split_beyond", "sigmas > 0", sigmas);
  const Eigen::MatrixXd weights = w.template cast<double>();
  const double mean = weights.size() == 0 ? 0 : weights.mean();
  const double sigma = weights.size() == 0 ? 0 : std::sqrt((weights.array() - mean).square().mean());
  return split_where(w,
                     [&](Index, Index, float x) { return std::abs(static_cast<double>(x) - mean) > sigmas * sigma; });
}

/// Quantizes W with its outliers kept as floats: the rest by `rule`, whose range is no longer theirs to set.
/// Source: Tang et al., "EasyQuant: an efficient data-free quantization algorithm for LLMs", 2024 (less than 1 % of the
/// weights, beyond 3 sigma; there the range is optimised by gradient).
template <class S, class Rule = MinimalError>
  requires(ScaleRule<Rule, S>)
Sum<QuantizedMatrix<S>, Sparse> quantize_with_outliers(const SplitWeights& split, const Rule& rule = {}) {
  return {quantize<S>(split.dense, rule), split.outliers};
}

}  // namespace nibble
