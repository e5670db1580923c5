// Refinements: what makes a matrix that some rounding has filled better, and never worse; and roundings with them.
#pragma once

#include <tuple>

#include "nibble/rounding/hessian.h"

namespace nibble {

/// A refinement changes the codes and scales of `parts`, which a rounding has filled from W, and never increases
/// tr(E H E^T), E = W - Q, of its Hessian beyond the rounding of floats. Results must not depend on `parallel`.
template <class R, class S>
concept Refinement = requires(const R& refinement, const RowMajorMatrixXf& w, Parts<S>& parts,
                              const Parallel& parallel) {
  refinement.refine(w, parts, parallel);
};

/// A rounding and what refines it, in turn: Refined{Gptq{h}, FitScales{h}, CyclicRounding{h}}.
template <class Round, class... Refinements> class Refined {
 public:
  explicit Refined(Round rounding, Refinements... refinements)
      : rounding_(std::move(rounding)), refinements_(std::move(refinements)...) {}

  template <class S, class Rule>
  void round(const RowMajorMatrixXf& w, const Rule& rule, Parts<S>& parts, const Parallel& parallel = {}) const {
    static_assert((Refinement<Refinements, S> && ...), "all but the first are refinements");
    rounding_.round(w, rule, parts, parallel);
    std::apply([&](const auto&... each) { (each.refine(w, parts, parallel), ...); }, refinements_);
  }

 private:
  Round rounding_;
  std::tuple<Refinements...> refinements_;
};

namespace rounding {

/// Throws std::invalid_argument, in the name of `function`, where W, its parts and the Hessian do not suit each other
/// or the Hessian is not positive definite even with a damping of 0.01.
template <class S>
void check_refinement(const char* function, const RowMajorMatrixXf& w, const Parts<S>& parts, const Hessian& hessian,
                      const Parallel& parallel) {
  if (hessian.inputs() != w.cols()) invalid(function, text("a Hessian of ", w.cols(), " inputs"), hessian.inputs());
  if (parts.rows != w.rows() || parts.cols != w.cols())
    invalid(function, text("parts of ", w.rows(), " x ", w.cols()), text(parts.rows, " x ", parts.cols));
  if (w.size() > 0 && !(hessian.weight() > 0))
    invalid(function, "a Hessian of samples that count", text(hessian.samples(), " samples"));
  if (w.size() > 0) hessian.check_definite(function, parallel);
}

/// What a change must gain, as a fraction of the change's own e H e^T, to be made: less may be the floats' rounding.
inline constexpr double least_gain = 1.0 / 1024;

}  // namespace rounding
}  // namespace nibble
