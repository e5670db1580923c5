// quantize: from a matrix of weights to a QuantizedMatrix.
#pragma once

#include "nibble/quantize/plain_rounding.h"

namespace nibble {

/// What a scheme takes from the whole matrix before any group is looked at: its tensor scale and its tables.
template <class S> Parts<S> prepare(const RowMajorMatrixXf& w) {
  Parts<S> parts(w.rows(), w.cols());
  if (w.size() == 0) return parts;
  if constexpr (S::scale::has_tensor_scale)
    parts.tensor_scale = S::scale::tensor_scale(w.cwiseAbs().maxCoeff(), S::format::max());
  if constexpr (S::table_size > 0) {
    // Errors of normalized values count by the square of their scale.
    std::vector<float> values(static_cast<std::size_t>(w.cols())), weights(values.size());
    for (Index i = 0; i < w.rows(); ++i) {
      float largest = 0;
      for_each_group<S>(w.cols(), [&](Index, Index first, Index count) {
        const std::span<const float> group(w.data() + i * w.cols() + first, static_cast<std::size_t>(count));
        const float scale = AbsMax{}(group, Quantizer<S>{parts.tensor_scale, nullptr}).scale;
        largest = std::max(largest, scale);
        for (Index j = 0; j < count; ++j) {
          values[static_cast<std::size_t>(first + j)] = scale > 0 ? group[static_cast<std::size_t>(j)] / scale : 0.0f;
          weights[static_cast<std::size_t>(first + j)] = scale;
        }
      });
      for (float& weight : weights) weight = weight / largest * (weight / largest);
      S::format::fit(values.data(), largest > 0 ? weights.data() : nullptr, w.cols(), parts.tables.row(i).data());
    }
  }
  return parts;
}

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
  Parts<S> parts = prepare<S>(weights);
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
