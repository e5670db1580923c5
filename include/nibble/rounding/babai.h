// Babai's nearest plane, and grids that widen until nothing is clipped.
#pragma once

#include "nibble/rounding/column_solver.h"

namespace nibble {

namespace rounding {

/// Rounds to the nearest code and notes, for each group of each row, the targets that lie beyond the grid by more than
/// half its last step.
template <class S> class ClippingWatch {
 public:
  explicit ClippingWatch(const Parts<S>& parts)
      : beyond_(parts.rows * groups_of(parts), Range{0, 0}), groups_(groups_of(parts)) {
    for (int choice = 0; choice < S::choices; ++choice) {
      const auto levels = make_levels<typename S::format>({nullptr, choice});
      const std::size_t n = levels.size();
      ends_.push_back({levels.front().value, levels.back().value});
      last_steps_.push_back(
          {n > 1 ? levels[1].value - levels[0].value : 0.0f, n > 1 ? levels[n - 1].value - levels[n - 2].value : 0.0f});
    }
  }

  auto operator()(const Quantizer<S>& quantizer, const GroupParams<S>& params) const {
    const Range end = ends_[params.choice], step = last_steps_[params.choice];
    const float low = end.low - step.low / 2, high = end.high + step.high / 2;
    return [&, low, high](const float* x, Index row, Index column) {
      float value = 0;
      quantizer.normalize(x, params, &value);
      if (value < low || value > high || (params.scale == 0 && *x != 0)) {
        Range& range = beyond_[static_cast<std::size_t>(row * groups_ + group_of(column))];
        range = {std::min(range.low, *x), std::max(range.high, *x)};
      }
      return quantizer.encode(x, params);
    };
  }

  /// Widens the groups of `parts` whose targets were clipped in the rows first .. first + count - 1, and forgets those.
  /// Returns whether any scale has grown.
  bool widen(Parts<S>& parts, Index first, Index count) {
    bool grown = false;
    for (Index row = first; row < first + count; ++row) {
      for (Index g = 0; g < groups_; ++g) {
        Range& noted = beyond_[static_cast<std::size_t>(row * groups_ + g)];
        if (noted.low == 0 && noted.high == 0) continue;
        const GroupParams<S> old = parts.group(row, g);
        Quantizer<S> quantizer(parts, row, g);
        quantizer.side.choice = old.choice;
        const Range end = ends_[old.choice], step = last_steps_[old.choice];
        // A grid without values on a side cannot grow there; a scale that rows share may have grown for an earlier one.
        if (!S::affine && end.low >= 0) noted.low = 0;
        if (!S::affine && end.high <= 0) noted.high = 0;
        if (noted.low >= (end.low - step.low / 2 - old.zero) * old.scale &&
            noted.high <= (end.high + step.high / 2 - old.zero) * old.scale) {
          noted = {0, 0};
          continue;
        }
        Range range{std::min(noted.low, (end.low - old.zero) * old.scale),
                    std::max(noted.high, (end.high - old.zero) * old.scale)};
        noted = {0, 0};
        // Scales are stored rounded, perhaps down.
        for (int tries = 0; tries < 20 && quantizer.can_span(range); ++tries) {
          const GroupParams<S> wide = quantizer.params(range);
          if (wide.scale > old.scale) {
            parts.set_group(row, g, wide);
            grown = true;
            break;
          }
          range = {range.low * 1.1f, range.high * 1.1f};
        }
      }
    }
    return grown;
  }

 private:
  static Index groups_of(const Parts<S>& parts) { return std::max<Index>(1, parts.scales.cols()); }
  static Index group_of(Index column) {
    if constexpr (S::group_inputs == 0)
      return 0;
    else
      return column / S::group_inputs;
  }

  std::vector<Range> ends_, last_steps_;  ///< by choice: the least and the greatest value, the steps next to them
  mutable std::vector<Range> beyond_;     ///< [row][group]; threads have rows of their own
  Index groups_;
};

}  // namespace rounding

/// Babai's nearest plane algorithm on the lattice of the grid under the norm of H, from the last input to the first.
/// What it promises, tr(E H E^T) <= sum of (s / 2)^2 D with s the step of each weight's grid, holds where no target
/// lies beyond its grid. `widen` is how many times the scales of groups that clip a target may grow to take it in, and
/// their rows be rounded anew. `options.order` is not looked at. Throws as Ldlq does, and where `widen` is below 0, or
/// above it for vector formats or learned tables.
/// Sources: Babai, 1986; Chen et al., "The geometry of LLM quantization", 2025 (that GPTQ is this; and on clipping).
struct Babai {
  Hessian hessian;
  ColumnOptions options = {.groups = Groups::Static};
  int widen = 0;

  template <class S, class Rule>
  void round(const RowMajorMatrixXf& w, const Rule& rule, Parts<S>& parts, const Parallel& parallel = {}) const {
    ColumnOptions backwards = options;
    backwards.order = Order::BackToFront;
    constexpr bool ordered = S::dim == 1 && S::table_size == 0;
    if (widen < 0 || (widen > 0 && !ordered))
      invalid("Babai", ordered ? "widen of at least 0" : "widen of 0 with vector formats and learned tables", widen);
    if constexpr (ordered) {
      if (widen > 0 && w.size() > 0) return round_widening(w, rule, parts, backwards, parallel);
    }
    rounding::solve_columns("Babai", w, rule, parts, hessian, backwards, parallel, Nearest{}.encode_of<S>());
  }

 private:
  template <class S, class Rule>
  void round_widening(const RowMajorMatrixXf& w, const Rule& rule, Parts<S>& parts, const ColumnOptions& backwards,
                      const Parallel& parallel) const {
    constexpr Index height = kernels::lane_rows;
    SharedProgress progress("Babai", options.progress, w.rows() * (Index{1} + widen));
    const auto plan = rounding::plan_columns<S>("Babai", w, hessian, backwards, parallel.with(progress));
    choose_groups(w, rule, parts, parallel);
    rounding::ClippingWatch<S> watch(parts);
    const Index count = (w.rows() + height - 1) / height;
    std::vector<double> losses(static_cast<std::size_t>(count));
    std::vector<Index> runs = rounding::all_of(count);
    for (int pass = 0; pass <= widen && !runs.empty(); ++pass) {
      const auto of_runs = rounding::solve_rows(w, rule, parts, plan, watch, runs, parallel, progress);
      for (std::size_t r = 0; r < runs.size(); ++r) losses[static_cast<std::size_t>(runs[r])] = of_runs[r];
      if (pass == widen) break;
      std::vector<Index> again;
      for (Index run : runs)
        if (watch.widen(parts, run * height, std::min(height, w.rows() - run * height))) again.push_back(run);
      runs = std::same_as<typename S::group, PerTensor> && !again.empty() ? rounding::all_of(count) : again;
    }
    progress.finish();
    const double loss = rounding::sum_of("Babai", losses, options.damping);
    if (options.loss != nullptr) *options.loss = loss;
  }
};

}  // namespace nibble
