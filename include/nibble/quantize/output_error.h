// OutputError: the range with the least error of the outputs.
#pragma once

#include "nibble/quantize/range_search.h"

namespace nibble {

/// As MinimalError, for the least sum of weights[j] * error^2, j the input: the squared error of the outputs where
/// `weights` is the diagonal of the second moment of the inputs and correlations between inputs are left out. K
/// weights, none negative. Formats chosen per group and learned tables go by these weights too. A group whose weights
/// are all 0 keeps the range of MinMax.
struct OutputError {
  Eigen::VectorXf weights;
  int steps = 60;
  float shrink = 0.4f;
  float stretch = 1.4f;

  /// The weights of activations X (K x M): the mean of x^2 for each input. Throws std::invalid_argument where X has no
  /// columns, a NaN or an infinity.
  template <class Derived> static OutputError from(const Eigen::MatrixBase<Derived>& x) {
    if (x.cols() == 0) invalid("OutputError::from", "at least one column", text(x.rows(), " x 0"));
    const Eigen::MatrixXd squares = x.template cast<double>().cwiseAbs2();
    const Eigen::VectorXf mean = (squares.rowwise().sum() / static_cast<double>(x.cols())).template cast<float>();
    if (!mean.allFinite())
      invalid("OutputError::from", "finite activations", "a NaN, an infinity or squares beyond floats");
    return {mean};
  }

  void check(Index inputs) const {
    RangeSearch{steps, shrink, stretch}.check("OutputError");
    if (weights.size() != inputs) invalid("OutputError", text(inputs, " weights, one for each input"), weights.size());
    for (Index j = 0; j < weights.size(); ++j)
      if (!(weights[j] >= 0 && std::isfinite(weights[j])))
        invalid("OutputError", "finite weights of at least 0", text(weights[j], " for input ", j));
  }

  float input_weight(Index j) const { return weights[j]; }

  template <class S> GroupParams<S> operator()(const WeightGroup& group, const Quantizer<S>& quantizer) const {
    return RangeSearch{steps, shrink, stretch}(group, quantizer, 2, counts(group));
  }
  template <class S>
  double error(const WeightGroup& group, const Quantizer<S>& quantizer, const GroupParams<S>& params) const {
    return quantizer.error(group.weights, params, 2, counts(group));
  }

 private:
  std::vector<float> counts(const WeightGroup& group) const {
    if (weights.size() != group.cols) check(group.cols);
    std::vector<float> counts(group.weights.size());
    for (std::size_t e = 0; e < counts.size(); ++e) counts[e] = weights[group.input(e)];
    return counts;
  }
};

}  // namespace nibble
