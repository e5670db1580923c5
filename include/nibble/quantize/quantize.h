// quantize: from a matrix of weights to a QuantizedMatrix.
#pragma once

#include "nibble/quantize/plain_rounding.h"
#include "nibble/quantize/prepare.h"

namespace nibble {

/// Quantizes W (N x K, any scalar type and storage order) to scheme S: `rule` chooses the scale of each group,
/// `rounding` the codes. Either may be left out; the defaults are DefaultRule<S> and Nearest. The result does not
/// depend on `parallel`. Throws std::invalid_argument where W has a NaN or an infinity.
template <class S, class Derived, class Rule, class Round>
  requires(ScaleRule<Rule, S>&& Rounding<Round, S>)
QuantizedMatrix<S> quantize(const Eigen::MatrixBase<Derived>& w, const Rule& rule, const Round& rounding,
                            const Parallel& parallel = {}) {
  const RowMajorMatrixXf weights = w.template cast<float>();
  if (!weights.allFinite()) {
    for (Index i = 0; i < weights.rows(); ++i)
      for (Index j = 0; j < weights.cols(); ++j)
        if (!std::isfinite(weights(i, j)))
          invalid("quantize", "finite weights", text(weights(i, j), " at (", i, ", ", j, ")"));
  }
  Parts<S> parts = prepare<S>(weights, rule);
  rounding.round(weights, rule, parts, parallel);
  return QuantizedMatrix<S>(parts);
}

template <class S, class Derived, class Rule = DefaultRule<S>>
  requires(ScaleRule<Rule, S>)
QuantizedMatrix<S> quantize(const Eigen::MatrixBase<Derived>& w, const Rule& rule = {}) {
  return quantize<S>(w, rule, Nearest{});
}

template <class S, class Derived, class Round>
  requires(Rounding<Round, S> && !ScaleRule<Round, S>)
QuantizedMatrix<S> quantize(const Eigen::MatrixBase<Derived>& w, const Round& rounding, const Parallel& parallel = {}) {
  return quantize<S>(w, DefaultRule<S>{}, rounding, parallel);
}

}  // namespace nibble
