// Salience: which weights the outputs depend on most, to keep those in more bits than the rest.
#pragma once

#include <utility>

#include "nibble/quantize/outliers.h"
#include "nibble/rounding/gptq.h"

namespace nibble {

struct SalienceOptions {
  double damping = 0.01;               ///< added to the diagonal of H, as a fraction of its mean
  int threads = 1;                     ///< parts that work is spread over; at least 1
  std::optional<Executor> executor{};  ///< runs the parts; by default OpenMP where compiled with it, else the caller
  Progress progress{};                 ///< steps are rows
};

namespace rounding {

/// The diagonal of the inverse of a damped Hessian, of `inputs` inputs. Throws std::invalid_argument, in the name of
/// `function`, where it is of another size or not positive definite.
template <unsigned Baseline = isa::baseline>
Eigen::VectorXd inverse_diagonal(const char* function, const Hessian& hessian, Index inputs, double damping,
                                 const Parallel& parallel) {
  check_parallel(function, parallel);
  if (hessian.inputs() != inputs) invalid(function, text("a Hessian of ", inputs, " inputs"), hessian.inputs());
  if (inputs == 0) return {};
  Eigen::MatrixXd h = hessian.damped(damping).matrix();
  const BadPivot bad = cholesky_in_place(h, parallel);
  if (bad.column >= 0) hessian.reject(function, bad, damping, parallel);
  invert_triangle_in_place(h, parallel);
  Eigen::VectorXd diagonal(h.cols());
  for (Index j = 0; j < h.cols(); ++j) diagonal[j] = h.col(j).tail(h.rows() - j).squaredNorm();
  return diagonal;
}

}  // namespace rounding

/// The diagonal of H^-1, H damped. Throws std::invalid_argument where that is not positive definite.
template <unsigned Baseline = isa::baseline>
Eigen::VectorXd inverse_diagonal(const Hessian& hessian, const SalienceOptions& options = {}) {
  SharedProgress progress("inverse_diagonal", options.progress, hessian.inputs());
  const Parallel parallel{options.threads, options.executor};
  const Eigen::VectorXd diagonal = rounding::inverse_diagonal("inverse_diagonal", hessian, hessian.inputs(),
                                                              options.damping, parallel.with(progress));
  progress.finish();
  return diagonal;
}

namespace rounding {

/// w^2 / inverse_j.
template <class Derived, unsigned Baseline = isa::baseline>
RowMajorMatrixXf salience(const Eigen::MatrixBase<Derived>& w, const Eigen::VectorXd& inverse) {
  const auto squares = w.template cast<double>().cwiseAbs2();
  return (squares * inverse.cwiseInverse().asDiagonal()).template cast<float>();
}

/// The same as multiples of what keeps them within floats, whatever the unit of the inputs: to be compared.
template <class Derived, unsigned Baseline = isa::baseline>
RowMajorMatrixXf relative_salience(const char* function, const Eigen::MatrixBase<Derived>& w, const Hessian& hessian,
                                   double damping, const Parallel& parallel) {
  const Eigen::VectorXd inverse = inverse_diagonal(function, hessian, w.cols(), damping, parallel);
  return salience(w, inverse.size() > 0 ? Eigen::VectorXd(inverse / inverse.mean()) : inverse);
}

}  // namespace rounding

/// w^2 / [H^-1]_jj of each weight, H damped: what tr(E H E^T) comes to when the weight is set to 0 and all others of
/// its row make the best of it.
/// Sources: Hassibi and Stork, "Optimal brain surgeon", 1993; Shang et al., "PB-LLM", 2024.
template <class Derived, unsigned Baseline = isa::baseline>
RowMajorMatrixXf salience(const Eigen::MatrixBase<Derived>& w, const Hessian& hessian,
                          const SalienceOptions& options = {}) {
  SharedProgress progress("salience", options.progress, w.rows());
  const Parallel parallel{options.threads, options.executor};
  const RowMajorMatrixXf s = rounding::salience(
      w, rounding::inverse_diagonal("salience", hessian, w.cols(), options.damping, parallel.with(progress)));
  progress.finish();
  return s;
}

/// Sets the floor(share * N K) weights of largest `salience` aside, as split_highest does.
template <class Derived>
SplitWeights split_salient(const Eigen::MatrixBase<Derived>& w, const Hessian& hessian, double share = 0.01,
                           const SalienceOptions& options = {}) {
  check_share("split_salient", share);
  SharedProgress progress("split_salient", options.progress, w.rows());
  const Parallel parallel{options.threads, options.executor};
  const RowMajorMatrixXf score =
      rounding::relative_salience("split_salient", w, hessian, options.damping, parallel.with(progress));
  progress.finish();
  return split_highest("split_salient", w, score, share);
}

/// Sets those floor(share * N K) weights aside, as split_highest does, without each of which the rest of its group
/// would be rounded best: its own error to the nearest value of S, with a scale that `rule` chooses for all of the
/// group, and what the others gain from a scale that is chosen without it. Errors are squared and divided by [H^-1]_jj,
/// H damped. Takes G roundings for each weight of a group of G. Source: Dettmers et al., "SpQR", 2023, algorithm 1
/// (there a threshold takes the place of the share).
template <class S, class Derived, class Rule = DefaultRule<S>>
  requires(ScaleRule<Rule, S>)
SplitWeights split_sensitive(const Eigen::MatrixBase<Derived>& w, const Hessian& hessian, double share = 0.01,
                             const Rule& rule = {}, const SalienceOptions& options = {}) {
  static_assert(!std::same_as<typename S::group, PerTensor> && S::dim == 1,
                "split_sensitive leaves weights out of groups of one row: a scheme per row or group, of dim 1");
  const Parallel parallel{options.threads, options.executor};
  check_share("split_sensitive", share);
  const RowMajorMatrixXf weights = w.template cast<float>();
  if (!weights.allFinite()) invalid("split_sensitive", "finite weights", "a NaN or an infinity");
  SharedProgress progress("split_sensitive", options.progress, w.rows());
  Eigen::VectorXd inverse =
      rounding::inverse_diagonal("split_sensitive", hessian, w.cols(), options.damping, parallel.with(progress));
  if (inverse.size() > 0) inverse /= inverse.mean();
  const Parts<S> parts = prepare<S>(weights, rule, parallel);
  RowMajorMatrixXf score(w.rows(), w.cols());
  parallel_for(w.rows(), parallel, [&](Index begin, Index end) {
    std::vector<float> rest;
    for (Index row = begin; row < end && !progress.cancelled(); ++row) {
      for_each_group<S>(w.cols(), [&](Index g, Index first, Index count) {
        const float* const all = weights.data() + row * w.cols() + first;
        // The error of a group without weight `out`, -1 for none, with the scale chosen for these.
        const auto error = [&](Index out) {
          rest.assign(all, all + count);
          if (out >= 0) rest[static_cast<std::size_t>(out)] = 0;
          Quantizer<S> quantizer(parts, row, g);
          const GroupParams<S> params = choose(rule, WeightGroup{rest, row, first, w.cols()}, quantizer);
          quantizer.side.choice = params.choice;
          double sum = 0;
          for (Index e = 0; e < count; ++e) {
            if (e == out) continue;
            float rounded = 0;
            quantizer.decode(quantizer.encode(&rest[static_cast<std::size_t>(e)], params), params, &rounded);
            sum += std::pow(static_cast<double>(all[e]) - static_cast<double>(rounded), 2) / inverse[first + e];
          }
          return sum;
        };
        const double whole = error(-1);
        for (Index e = 0; e < count; ++e) score(row, first + e) = static_cast<float>(whole - error(e));
      });
      progress.advance(1);
    }
  });
  return split_highest("split_sensitive", w, score, share);
}

/// D + S, its sparse part at the same places but with the values that make tr(E H E^T) least, E = W - D - S, H damped:
/// exact least squares for each row, so the loss never grows. D is any low-bit matrix. Throws std::invalid_argument
/// where shapes do not fit or the damped H is not positive definite.
template <class Derived, LowBitMatrix D, unsigned Baseline = isa::baseline>
Sum<D, Sparse> fit_outliers(const Eigen::MatrixBase<Derived>& w, const Sum<D, Sparse>& sum, const Hessian& hessian,
                            const SalienceOptions& options = {}) {
  metrics::check_shape("fit_outliers", "a sum", w.rows(), w.cols(), sum.rows(), sum.cols());
  const Parallel parallel{options.threads, options.executor};
  check_parallel("fit_outliers", parallel);
  if (hessian.inputs() != w.cols())
    invalid("fit_outliers", text("a Hessian of ", w.cols(), " inputs"), hessian.inputs());
  SharedProgress progress("fit_outliers", options.progress, w.rows());
  if (sum.second().matrix().nonZeros() == 0) {
    progress.finish();
    return sum;
  }
  Eigen::MatrixXd h = hessian.damped(options.damping).matrix();
  const RowMajorMatrixXf rest = w.template cast<float>() - sum.first().dequantize();
  Sparse::Matrix fitted = sum.second().matrix();
  std::atomic<bool> failed = false;
  parallel_for(w.rows(), parallel, [&](Index begin, Index end) {
    for (Index row = begin; row < end && !progress.cancelled(); ++row) {
      const int* const columns = fitted.innerIndexPtr() + fitted.outerIndexPtr()[row];
      const Index count = fitted.outerIndexPtr()[row + 1] - fitted.outerIndexPtr()[row];
      Eigen::MatrixXd among(count, count);
      Eigen::VectorXd wanted(count);
      const Eigen::VectorXd r = rest.row(row).template cast<double>().transpose();
      for (Index e = 0; e < count; ++e) {
        wanted[e] = h.col(columns[e]).dot(r);
        for (Index f = 0; f < count; ++f) among(f, e) = h(columns[f], columns[e]);
      }
      if (count > 0) {
        const Eigen::LLT<Eigen::MatrixXd> factor(among);
        if (factor.info() != Eigen::Success) failed = true;
        Eigen::Map<Eigen::VectorXf>(fitted.valuePtr() + fitted.outerIndexPtr()[row], count) =
            factor.solve(wanted).template cast<float>();
      }
      progress.advance(1);
    }
  });
  if (failed) hessian.reject("fit_outliers", rounding::cholesky_in_place(h, parallel), options.damping, parallel);
  return {sum.first(), Sparse(std::move(fitted))};
}

/// W with its salient inputs in scheme High and the others in scheme Low.
template <class High, class Low>
using SalientColumns = Permuted<ColumnSplit<QuantizedMatrix<High>, QuantizedMatrix<Low>>>;

/// Keeps the ceil(share * K) inputs whose weights have the largest sum of `salience` in scheme High, most salient
/// first, and the others, in their order, in scheme Low. Low is rounded first, by GPTQ under the Hessian that is left
/// once the salient weights have made the best of its errors, H_ll - H_ls H_ss^-1 H_sl; then the salient weights plus
/// that best, by GPTQ under H_ss. Scales of Low by `rule`, of High by its default rule; H is damped. Throws
/// std::invalid_argument unless 0 <= share <= 1, and as Gptq does. Source: Shang et al., "PB-LLM", 2024 (with High =
/// Int<8>, Low = Binary<>; there salient weights lie anywhere).
template <class High, class Low, class Derived, class Rule = DefaultRule<Low>, unsigned Baseline = isa::baseline>
SalientColumns<High, Low> quantize_salient_columns(const Eigen::MatrixBase<Derived>& w, const Hessian& hessian,
                                                   double share = 0.1, const Rule& rule = {},
                                                   const SalienceOptions& options = {}) {
  const char* const name = "quantize_salient_columns";
  const QuantizeOptions spread{.threads = options.threads, .executor = options.executor};
  const Parallel parallel{options.threads, options.executor};
  check_share(name, share);
  SharedProgress progress(name, options.progress, 2 * w.rows());
  const Index k = w.cols(), high = static_cast<Index>(std::ceil(share * static_cast<double>(k))), low = k - high;
  const Eigen::MatrixXf weights = w.template cast<float>();
  const Eigen::VectorXf by_input =
      rounding::relative_salience(name, weights, hessian, options.damping, parallel.with(progress))
          .colwise()
          .sum()
          .transpose();
  Eigen::VectorXi order(k);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return by_input[a] > by_input[b]; });
  std::sort(order.begin() + high, order.end());

  Eigen::MatrixXf salient(w.rows(), high), others(w.rows(), low);
  for (Index j = 0; j < high; ++j) salient.col(j) = weights.col(order[j]);
  for (Index j = 0; j < low; ++j) others.col(j) = weights.col(order[high + j]);
  const Eigen::MatrixXd all = k > 0 ? hessian.damped(options.damping).matrix() : Eigen::MatrixXd();
  Eigen::MatrixXd h(k, k);
  for (Index j = 0; j < k; ++j)
    for (Index i = 0; i < k; ++i) h(i, j) = all(order[i], order[j]);
  Index told = 0;  // rows of the part that is being rounded
  const Progress tell = [&](Index rows, Index) {
    progress.advance(std::max<Index>(0, rows - std::exchange(told, rows)));
    return true;
  };
  const auto gptq = [&](const Eigen::MatrixXd& part) {
    const Hessian of_part = part.size() > 0 ? Hessian::from_matrix((part + part.transpose()) / 2) : Hessian(0);
    return Gptq{of_part, {.damping = 0, .progress = tell}};
  };
  // H_ss^-1 H_sl: what the salient weights take of errors of the others.
  Eigen::MatrixXd taken(high, low), left_over = h.bottomRightCorner(low, low);
  if (high > 0 && low > 0) {
    taken = Eigen::LLT<Eigen::MatrixXd>(h.topLeftCorner(high, high)).solve(h.topRightCorner(high, low));
    left_over -= h.bottomLeftCorner(low, high) * taken;
  }
  const auto rest = quantize<Low>(others, rule, gptq(left_over), spread);
  if (high > 0 && low > 0)
    salient += ((others - rest.dequantize()).template cast<double>() * taken.transpose()).template cast<float>();
  auto best = quantize<High>(salient, gptq(h.topLeftCorner(high, high)), spread);
  progress.finish();
  return {ColumnSplit(std::move(best), rest), {}, order};
}

}  // namespace nibble
