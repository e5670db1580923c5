// DecoupleQ: integers and (scale, zero point) in turn.
#pragma once

#include "nibble/rounding/comq.h"
#include "nibble/rounding/gptq.h"

namespace nibble {

struct DecoupleOptions {
  Index rounds = 4;              ///< at most; ends where one changes nothing
  Index sweeps = 4;              ///< of CyclicRounding in each round
  double damping = 0.01;         ///< of the column solver, as in ColumnOptions
  Index block = 128;             ///< of the column solver
  Order order = Order::InOrder;  ///< of the column solver, once scales are known
  Progress progress{};           ///< steps are rows of rounds
  /// Where given, receives tr(E H E^T), H undamped, of the start and after each round.
  std::vector<double>* losses = nullptr;
};

namespace rounding {

/// The rule whose scales are those that `parts` holds.
template <class S> struct HeldScales {
  const Parts<S>& parts;
  GroupParams<S> operator()(const WeightGroup& group, const Quantizer<S>&) const {
    return parts.group(group.row, S::group_inputs == 0 ? 0 : group.first / std::max(1, S::group_inputs));
  }
  double error(const WeightGroup&, const Quantizer<S>&, const GroupParams<S>&) const { return 0; }
};

}  // namespace rounding

/// From GPTQ's codes and scales on, in turn: for given codes, scales and zero points by FitScales; for given scales,
/// CyclicRounding of the codes that a row has, or new ones by the column solver and CyclicRounding where they are
/// better. So tr(E H E^T), H undamped, falls from round to round and ends no higher than GPTQ's. Throws as they do, in
/// their names.
/// Source: Guo et al., "decoupleQ: towards 2-bit post-training uniform quantization via decoupling parameters into
/// integer and floating points", 2024 (there codes come from projected gradients, zero points are real numbers).
struct DecoupleQ {
  Hessian hessian;
  DecoupleOptions options = {};

  template <class S, class Rule>
  void round(const RowMajorMatrixXf& w, const Rule& rule, Parts<S>& parts, const Parallel& parallel = {}) const {
    rounding::check_refinement("DecoupleQ", w, parts, hessian, parallel);
    if (options.rounds < 0 || options.sweeps < 0)
      invalid("DecoupleQ", "at least 0 rounds and sweeps", text(options.rounds, ", ", options.sweeps));
    const std::ptrdiff_t total = w.rows() * (4 * options.rounds + 1);
    std::ptrdiff_t steps = 0;
    const auto step = [&] { return rounding::part_of(options.progress, w.rows() * steps++, total); };
    const ColumnOptions columns{.damping = options.damping, .block = options.block};
    ColumnOptions first = columns;
    const Progress of_first = step();
    first.progress = of_first;
    Gptq{hessian, first}.round(w, rule, parts, parallel);
    if (options.losses != nullptr) options.losses->clear();
    const auto report = [&] {
      if (options.losses == nullptr) return;
      options.losses->push_back(w.size() == 0 ? 0 : proxy_loss(w, QuantizedMatrix<S>(parts), hessian));
    };
    report();
    if (w.size() == 0) {
      if (options.progress && !options.progress(total, total)) raise(Cancelled("DecoupleQ"));
      return;
    }
    const rounding::HessianTiles h(hessian, S::dim, rounding::runs_in(Order::InOrder, S::dim, hessian.diagonal()),
                                   parallel);
    for (Index round = 0; round < options.rounds; ++round) {
      const Parts<S> before = parts;
      FitScales{hessian, {.progress = step()}}.refine(w, parts, parallel);
      Parts<S> other = parts;
      ColumnOptions again = columns;
      again.order = options.order;
      again.groups = Groups::Static;
      again.progress = step();
      Gptq{hessian, again}.round(w, rounding::HeldScales<S>{parts}, other, parallel);
      CyclicRounding{hessian, {.sweeps = options.sweeps, .progress = step()}}.refine(w, other, parallel);
      CyclicRounding{hessian, {.sweeps = options.sweeps, .progress = step()}}.refine(w, parts, parallel);
      const Eigen::VectorXd had = rounding::row_losses(w, parts, h, parallel);
      const Eigen::VectorXd has = rounding::row_losses(w, other, h, parallel);
      for (Index i = 0; i < w.rows(); ++i)
        if (has[i] < (1 - rounding::least_gain) * had[i]) parts.codes.row(i) = other.codes.row(i);
      report();
      if (rounding::same_codes_and_scales(before, parts)) break;
    }
    if (options.progress && !options.progress(total, total)) raise(Cancelled("DecoupleQ"));
  }
};

}  // namespace nibble
