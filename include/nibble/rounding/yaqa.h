// YAQA: rounding with a Hessian on both sides.
#pragma once

#include "nibble/rounding/column_solver.h"

namespace nibble {

namespace rounding {

/// What errors of rows rounded before add to the targets of lane_rows rows, and the errors of those: u = target -
/// code's value. What row i owes to row i' < i at an input is F(i', i) u(i') there, F the feedback of the outputs'
/// Hessian.
class OuterFeedback {
 public:
  OuterFeedback(const Feedback& outer, Index rows, Index width)
      : outer_(outer), errors_(RowMajorMatrixXf::Zero(rows, width)) {}

  /// Turns to the rows from `first` on, of which there are `count`.
  template <unsigned Baseline = isa::baseline> void turn_to(Index first, Index count, const Parallel& parallel) {
    first_ = first;
    factors_.resize(first + count, count);
    for (Index r = 0; r < count; ++r)
      for (Index q = 0; q < first + count; ++q) factors_(q, r) = q < first + r ? factor(q, first + r) : 0.0f;
    owed_.resize(count, errors_.cols());
    constexpr Index tile = 256, depth = 96;
    parallel_for((errors_.cols() + tile - 1) / tile, parallel, [&](Index begin, Index end) {
      for (Index t = begin; t < end; ++t) {
        const Index c = t * tile, width = std::min(tile, errors_.cols() - c);
        auto owed = owed_.middleCols(c, width);
        owed.setZero();
        for (Index q = 0; q < first; q += depth) {  // less than Eigen would cut, which depends on its threads
          const Index rows = std::min(depth, first - q);
          owed.noalias() += factors_.middleRows(q, rows).transpose() * errors_.block(q, c, rows, width);
        }
      }
    });
  }

  /// What the rows before the present ones add to a target.
  float owed(Index row, Index input) const { return owed_(row - first_, input); }
  /// What all rows before it add.
  float offset(Index row, Index input) const {
    float sum = owed(row, input);
    for (Index q = first_; q < row; ++q) sum += factors_(q, row - first_) * errors_(q, input);
    return sum;
  }
  float& error(Index row, Index input) { return errors_(row, input); }

 private:
  float factor(Index q, Index p) const { return outer_.tile(p)[q * kernels::lane_cols + p % kernels::lane_cols]; }

  const Feedback& outer_;
  RowMajorMatrixXf errors_, owed_;
  Eigen::MatrixXf factors_;  ///< a column for each of the present rows
  Index first_ = 0;
};

}  // namespace rounding

/// Rounds as LDLQ does, but so that tr(H_O E H_I E^T) comes out best: H_I is the Hessian of the inputs (K), H_O that of
/// the outputs (N), made of what the network's loss makes of them, such as its gradients. Each weight's target is
///     W + L_O^T E L_I + L_O^T E + E L_I,    E = W - Q of what is rounded by now,
/// with H = (I + L) D (I + L)^T for either, both damped. Where H_O is a multiple of the identity this is LDLQ, code by
/// code. Rows are rounded kernels::lane_rows at a time, one run after the other: threads share less of the work. Scales
/// of dynamic groups are chosen from targets that know of the errors of all earlier rows but for those that are rounded
/// together. `options.loss` receives the two-sided loss. Throws as Ldlq does, for either Hessian.
/// Source: Tseng et al., "Model-preserving adaptive rounding", 2025.
struct Yaqa {
  Hessian inputs;
  Hessian outputs;
  ColumnOptions options = {};

  template <class S, class Rule>
  void round(const RowMajorMatrixXf& w, const Rule& rule, Parts<S>& parts, const Parallel& parallel = {}) const {
    using rounding::OuterFeedback;
    constexpr Index lane = kernels::lane_rows;
    if (outputs.inputs() != w.rows()) invalid("Yaqa", text("a Hessian of ", w.rows(), " outputs"), outputs.inputs());
    SharedProgress progress("Yaqa", options.progress, w.rows());
    const auto plan = rounding::plan_columns<S>("Yaqa", w, inputs, options, parallel.with(progress));
    std::vector<double> losses;
    if (w.size() > 0) {
      const auto outer =
          outputs.feedback("Yaqa", options.damping, 1, rounding::all_of(w.rows()), parallel.with(progress));
      OuterFeedback feedback(*outer, w.rows(), parts.codes.cols() * S::dim);
      const EncodeOf<S> encode_of{&feedback, w.cols()};
      if (!plan.dynamic) choose_groups(w, rule, parts, parallel);
      rounding::ColumnSolver<S, Rule, EncodeOf<S>> solver(w, rule, parts, plan, encode_of);
      for (Index first = 0; first < w.rows(); first += lane) {
        const Index rows = std::min(lane, w.rows() - first);
        feedback.turn_to(first, rows, parallel);
        solver.solve(first, rows);
        for (Index row = first; row < first + rows; ++row)
          losses.push_back(std::pow(outer->roots(0, row), 2) * loss_of(*plan.feedback, row, feedback));
        progress.advance(rows);
      }
    }
    progress.finish();
    const double loss = rounding::sum_of("Yaqa", losses, options.damping);
    if (options.loss != nullptr) *options.loss = loss;
  }

 private:
  template <class S> struct EncodeOf {
    rounding::OuterFeedback* outer;
    Index inputs;
    float offset(Index row, Index input) const { return outer->owed(row, input); }
    auto operator()(const Quantizer<S>& quantizer, const GroupParams<S>& params) const {
      return [&, outer = outer, inputs = inputs](const float* x, Index row, Index column, float* rounded) {
        float target[S::dim];
        for (int d = 0; d < S::dim; ++d) {
          const Index input = column * S::dim + d;
          target[d] = input < inputs ? x[d] + outer->offset(row, input) : 0;
        }
        const auto code = quantizer.encode(target, params);
        quantizer.decode(code, params, rounded);
        for (int d = 0; d < S::dim; ++d) outer->error(row, column * S::dim + d) = target[d] - rounded[d];
        return code;
      };
    }
  };

  /// The sum over the runs of a row of u D u^T.
  static double loss_of(const rounding::Feedback& inner, Index row, rounding::OuterFeedback& outer) {
    double loss = 0;
    for (std::size_t s = 0; s < inner.order.size(); ++s) {
      const Index begin = inner.starts[s], count = inner.starts[s + 1] - begin;
      for (Index d = 0; d < count; ++d) {
        double root = 0;
        for (Index e = 0; e <= d; ++e)
          root += static_cast<double>(outer.error(row, inner.inputs[static_cast<std::size_t>(begin + e)])) *
                  inner.roots(e, begin + d);
        loss += root * root;
      }
    }
    return loss;
  }
};

}  // namespace nibble
