// Comq: coordinate descent over codes and scales, from nearest on.
#pragma once

#include "nibble/rounding/curvature.h"
#include "nibble/rounding/cyclic_rounding.h"
#include "nibble/rounding/fit_scales.h"

namespace nibble {

struct ComqOptions {
  Index sweeps = 4;     ///< at most; ends where one changes nothing
  bool greedy = true;   ///< inputs by descending H_jj |W_j|^2, else in order
  bool scales = true;   ///< fit scales and zero points after each sweep
  Progress progress{};  ///< steps are rows of sweeps
  /// Where given, receives tr(E H E^T), H undamped, of the start and after each sweep.
  std::vector<double>* losses = nullptr;
};

namespace rounding {

/// A callback for one of several computations of `rows` rows, the first of which starts at row `done` of `total`.
inline Progress part_of(const Progress& whole, std::ptrdiff_t done, std::ptrdiff_t total) {
  if (!whole) return {};
  return [&whole, done, total](std::ptrdiff_t rows, std::ptrdiff_t) { return whole(done + rows, total); };
}

template <class S> bool same_codes_and_scales(const Parts<S>& a, const Parts<S>& b) {
  return a.codes == b.codes && a.scales == b.scales && a.zeros == b.zeros;
}

}  // namespace rounding

/// From the nearest codes under the scales of the rule, in turn one sweep of CyclicRounding and FitScales: tr(E H E^T),
/// H undamped, falls from step to step. Throws as they do, in their names.
/// Source: Zhang et al., "COMQ: a backpropagation-free algorithm for post-training quantization", 2024 (there each row
/// has a greedy order of its own, by H_jj w_j^2, errors start at 0 and scales have no format).
struct Comq {
  Hessian hessian;
  ComqOptions options = {};

  template <class S, class Rule>
  void round(const RowMajorMatrixXf& w, const Rule& rule, Parts<S>& parts, const Parallel& parallel = {}) const {
    rounding::check_refinement("Comq", w, parts, hessian, parallel);
    if (options.sweeps < 0) invalid("Comq", "at least 0 sweeps", options.sweeps);
    const std::ptrdiff_t total = w.rows() * options.sweeps * 2;
    const auto step = [&](std::ptrdiff_t steps) {
      return rounding::part_of(options.progress, w.rows() * steps, total);
    };
    if (options.progress && !options.progress(0, total)) raise(Cancelled("Comq"));
    Nearest{}.round(w, rule, parts, parallel);
    if (options.losses != nullptr) options.losses->clear();
    const auto report = [&] {
      if (options.losses == nullptr) return;
      options.losses->push_back(w.size() == 0 ? 0 : proxy_loss(w, QuantizedMatrix<S>(parts), hessian));
    };
    report();
    for (Index sweep = 0; sweep < options.sweeps; ++sweep) {
      const Parts<S> before = parts;
      CyclicRounding{hessian, {.sweeps = 1, .greedy = options.greedy, .progress = step(2 * sweep)}}.refine(w, parts,
                                                                                                           parallel);
      if (options.scales) FitScales{hessian, {.progress = step(2 * sweep + 1)}}.refine(w, parts, parallel);
      report();
      if (rounding::same_codes_and_scales(before, parts)) break;
    }
    if (options.progress && !options.progress(total, total)) raise(Cancelled("Comq"));
  }
};

}  // namespace nibble
