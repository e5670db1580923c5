// quantize: from a matrix of weights to a QuantizedMatrix.
#pragma once

#include "nibble/quantize/default_rule.h"
#include "nibble/quantize/plain_rounding.h"
#include "nibble/quantize/prepare.h"

namespace nibble {

struct QuantizeOptions {
  int threads = 1;                     ///< parts that rows are spread over; at least 1
  std::optional<Executor> executor{};  ///< runs the parts; by default OpenMP where compiled with it, else the caller
  bool allow_nonfinite = false;  ///< NaN and infinity become the codes that the format has for them, else an error
  /// Of the choice of tables and scales; steps are tables and rows. Roundings that take long have one of their own.
  Progress progress{};
};

/// Writes the codes of the weights that are NaN or infinite, which the scales know nothing of: an infinity the one that
/// the format has for it, else NaN. Throws std::invalid_argument where the format has no such code.
template <class S> void set_nonfinite(const RowMajorMatrixXf& w, Parts<S>& parts) {
  using F = typename S::format;
  for (Index i = 0; i < w.rows(); ++i) {
    for (Index j = 0; j < w.cols(); ++j) {
      if (std::isfinite(w(i, j))) continue;
      bool has_code = false;
      if constexpr (S::dim == 1 && S::table_size == 0 && S::choices == 1) {
        parts.codes(i, j) = F::encode(w(i, j));
        has_code = !std::isfinite(F::decode(parts.codes(i, j)));
      }
      if (!has_code)
        invalid("quantize", text("finite weights, or a format with NaN instead of ", format_name<F>()),
                text(w(i, j), " at (", i, ", ", j, ")"));
    }
  }
}

/// Quantizes W (N x K, any scalar type and storage order) to scheme S: `rule` chooses the scale of each group,
/// `rounding` the codes. Either may be left out; the defaults are DefaultRule<S> and Nearest. The result does not
/// depend on threads. Throws std::invalid_argument where W has a NaN or an infinity that is not allowed or has no code;
/// Cancelled.
template <class S, class Derived, class Rule, class Round>
  requires(ScaleRule<Rule, S>&& Rounding<Round, S>)
QuantizedMatrix<S> quantize(const Eigen::MatrixBase<Derived>& w, const Rule& rule, const Round& rounding,
                            const QuantizeOptions& options = {}) {
  const RowMajorMatrixXf weights = w.template cast<float>();
  const Parallel spread{options.threads, options.executor};
  check_parallel("quantize", spread);
  const auto from = [&](const RowMajorMatrixXf& finite) {
    const Index tables = w.size() > 0 ? Layout<S>(w.rows(), w.cols()).tables.size() : 0;
    SharedProgress progress("quantize", options.progress, tables + w.rows());
    const Parallel parallel = spread.with(progress);
    Parts<S> parts = prepare<S>(finite, rule, parallel);
    rounding.round(finite, rule, parts, parallel);
    progress.finish();
    return parts;
  };
  if (weights.allFinite()) return QuantizedMatrix<S>(from(weights));
  if (!options.allow_nonfinite) {
    for (Index i = 0; i < weights.rows(); ++i)
      for (Index j = 0; j < weights.cols(); ++j)
        if (!std::isfinite(weights(i, j)))
          invalid("quantize", "finite weights", text(weights(i, j), " at (", i, ", ", j, ")"));
  }
  Parts<S> parts = from(weights.unaryExpr([](float x) { return std::isfinite(x) ? x : 0.0f; }));
  set_nonfinite(weights, parts);
  return QuantizedMatrix<S>(parts);
}

template <class S, class Derived, class Rule = DefaultRule<S>>
  requires(ScaleRule<Rule, S>)
QuantizedMatrix<S> quantize(const Eigen::MatrixBase<Derived>& w, const Rule& rule = {},
                            const QuantizeOptions& options = {}) {
  return quantize<S>(w, rule, Nearest{}, options);
}

template <class S, class Derived, class Round>
  requires(Rounding<Round, S> && !ScaleRule<Round, S>)
QuantizedMatrix<S> quantize(const Eigen::MatrixBase<Derived>& w, const Round& rounding,
                            const QuantizeOptions& options = {}) {
  return quantize<S>(w, DefaultRule<S>{}, rounding, options);
}

}  // namespace nibble
