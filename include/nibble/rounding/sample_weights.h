// Weights of samples: how much each token is to count in a Hessian, from scores of its importance.
#pragma once

#include "nibble/rounding/hessian.h"

namespace nibble {

/// The weights of samples for Hessian::add: scores, one for each, mapped linearly so that the least becomes `least` and
/// the largest 1; all 1 where scores are all the same. Throws std::invalid_argument on scores that are not finite and
/// unless 0 <= least <= 1.
/// Source: Sung et al., "RSQ: learning from important tokens leads to better quantized LLMs", 2025, as all below.
template <class Derived> Eigen::VectorXd importance(const Eigen::MatrixBase<Derived>& scores, double least = 0.01) {
  const Eigen::VectorXd s = scores.derived().reshaped().template cast<double>();
  if (!(least >= 0 && least <= 1)) invalid("importance", "a least weight from 0 to 1", least);
  if (!s.allFinite()) invalid("importance", "finite scores", "a NaN or an infinity");
  if (s.size() == 0) return s;
  const double low = s.minCoeff() / 2, range = s.maxCoeff() / 2 - low;  // halves: their difference is finite
  if (!(range > 0)) return Eigen::VectorXd::Ones(s.size());
  return least + (1 - least) * (s.array() / 2 - low) / range;
}

/// The score of each sample of X, K x M: its norm.
template <class Derived> Eigen::VectorXd norm_scores(const Eigen::MatrixBase<Derived>& x) {
  return x.template cast<double>().colwise().norm();
}

/// How much a layer changes each sample: |x_out - x_in|, both K x M. Throws std::invalid_argument where shapes differ.
template <class In, class Out>
Eigen::VectorXd change_scores(const Eigen::MatrixBase<In>& x_in, const Eigen::MatrixBase<Out>& x_out) {
  metrics::check_shape("change_scores", "samples", x_in.rows(), x_in.cols(), x_out.rows(), x_out.cols());
  return (x_out.template cast<double>() - x_in.template cast<double>()).colwise().norm();
}

/// How much attention each token gets: the sum of its column of the attention probabilities of one head, M x M, a row
/// for each query. Those of several heads are to be added. Throws std::invalid_argument unless they are square.
template <class Derived> Eigen::VectorXd attention_scores(const Eigen::MatrixBase<Derived>& probabilities) {
  metrics::check_shape("attention_scores", "probabilities", probabilities.cols(), probabilities.cols(),
                       probabilities.rows(), probabilities.cols());
  return probabilities.template cast<double>().colwise().sum();
}

/// 1 for the first `count` of `samples` tokens, else 0. Throws std::invalid_argument unless 0 <= count <= samples.
template <unsigned Baseline = isa::baseline> Eigen::VectorXd first_scores(Index samples, Index count) {
  if (samples < 0 || count < 0 || count > samples) invalid("first_scores", text("0 to ", samples, " tokens"), count);
  Eigen::VectorXd scores = Eigen::VectorXd::Zero(samples);
  scores.head(count).setOnes();
  return scores;
}

}  // namespace nibble
