// The column solver: rounds the inputs of all rows one after the other and hands the error of each on to the later
// ones. GPTQ, LDLQ and Babai's nearest plane are this with different orders and ways to choose a code.
#pragma once

#include "nibble/quantize.h"
#include "nibble/rounding/hessian.h"

namespace nibble {

/// The order in which runs of `dim` inputs are rounded.
enum class Order {
  InOrder,
  BackToFront,
  ActOrder,  ///< by descending diagonal of the Hessian, equals in order: what matters most has the most to follow it
};

/// When the scale of a group is chosen: just before its first input is rounded, from the weights as the feedback has
/// left them, or beforehand, from the weights as they are. The same thing where a group is a row or the tensor.
enum class Groups { Dynamic, Static };

struct ColumnOptions {
  double damping = 0.01;  ///< added to the diagonal, as a fraction of its mean
  Index block = 128;      ///< inputs per step of the products that bring errors along; changes speed, but not one bit
  Order order = Order::InOrder;  ///< any other one needs static groups, since groups are runs of inputs
  Groups groups = Groups::Dynamic;
  Progress progress{};  ///< steps are rows
  /// Where given, receives tr(E H E^T), E = W - Q, H damped, as the solver sums it from float targets: within some 1e-6
  /// of its size for 50 rows, less for more.
  double* loss = nullptr;
};

namespace rounding {

/// The runs of `dim` inputs in an order.
template <unsigned Baseline = isa::baseline>
std::vector<Index> runs_in(Order order, int dim, const Eigen::VectorXd& diagonal) {
  std::vector<Index> runs(static_cast<std::size_t>((diagonal.size() + dim - 1) / dim));
  std::iota(runs.begin(), runs.end(), 0);
  if (order == Order::BackToFront) std::reverse(runs.begin(), runs.end());
  if (order == Order::ActOrder) {
    const auto mean = [&](Index run) {
      return diagonal.segment(run * dim, std::min<Index>(dim, diagonal.size() - run * dim)).mean();
    };
    std::stable_sort(runs.begin(), runs.end(), [&](Index a, Index b) { return mean(a) > mean(b); });
  }
  return runs;
}

/// What solving the columns of a matrix needs beside it.
struct ColumnPlan {
  std::shared_ptr<const Feedback> feedback;
  Index block = 1;       ///< inputs
  bool dynamic = false;  ///< whether the solver chooses scales; others must have been set
  Isa isa = Isa::Portable;
};

/// Checks that the Hessian and the options suit W, N x K of scheme S, which is not empty.
template <class S>
ColumnPlan plan_columns(const char* function, const RowMajorMatrixXf& w, const Hessian& hessian,
                        const ColumnOptions& options, const Parallel& parallel) {
  if (hessian.inputs() != w.cols()) invalid(function, text("a Hessian of ", w.cols(), " inputs"), hessian.inputs());
  if (options.block < 1) invalid(function, "a block of at least 1 input", options.block);
  ColumnPlan plan;
  plan.block = std::min(options.block, w.cols());
  plan.dynamic = S::group_inputs > 0 && options.groups == Groups::Dynamic;
  plan.isa = resolve();
  if (plan.dynamic && options.order != Order::InOrder)
    invalid(function, "Groups::Static where inputs are rounded in another order than they are grouped",
            "Groups::Dynamic");
  if (w.size() == 0) return plan;
  if (!(hessian.weight() > 0))
    invalid(function, "a Hessian of samples that count", text(hessian.samples(), " samples"));
  const auto runs = runs_in(options.order, S::dim, hessian.diagonal());
  plan.feedback = hessian.feedback(function, options.damping, S::dim, runs, parallel);
  return plan;
}

/// Targets that each code is to meet: Encode::ways, or 1.
template <class Encode> constexpr int ways_of() {
  if constexpr (requires { Encode::ways; })
    return Encode::ways;
  else
    return 1;
}

/// Rounds rows_at_once rows of W at a time. Encode, what encode_of(quantizer, params) makes for a group, maps the
/// target of a code, its row and its column to the code; it may also take where to put the weights that the code has
/// come to stand for. One with several `ways` takes as many targets, [way][dim], rounds them all by one code to values
/// that it puts there, and says how much each counts in the loss: weight(way). Where EncodeOf has offset(row, input),
/// scales are chosen from targets plus that.
template <class S, class Rule, class EncodeOf> class ColumnSolver {
  using Encode = decltype(std::declval<const EncodeOf&>()(std::declval<const Quantizer<S>&>(),
                                                          std::declval<const GroupParams<S>&>()));
  static constexpr Index lane = kernels::lane_rows;
  static constexpr int ways = ways_of<Encode>();

 public:
  static constexpr Index rows_at_once = lane / ways;

  ColumnSolver(const RowMajorMatrixXf& w, const Rule& rule, Parts<S>& parts, const ColumnPlan& plan,
               const EncodeOf& encode_of)
      : w_(w),
        rule_(rule),
        parts_(parts),
        feedback_(*plan.feedback),
        encode_of_(encode_of),
        isa_(plan.isa),
        rooms_(rows_at_once) {
    const Index unit = (kernels::lane_cols + S::dim - 1) / S::dim, group = S::group_inputs / S::dim;
    const Index block = (plan.block + S::dim - 1) / S::dim;
    if (plan.dynamic) {
      if (block > group) levels_.push_back(round_up(block, group));
      group_level_ = levels_.size();
      levels_.push_back(group);
      if (block < group) levels_.push_back(block);
    } else {
      levels_.push_back(block);
    }
    if (unit < levels_.back()) levels_.push_back(unit);
    const Index widest = std::min(w.cols(), levels_.front() * S::dim);
    errors_ = AlignedArray<float>(static_cast<std::size_t>(w.cols() * lane));
    targets_ = AlignedArray<float>(static_cast<std::size_t>(widest * lane));
  }

  /// Rounds the rows first .. first + count - 1, at most rows_at_once, and returns their loss.
  double solve(Index first, Index count) {
    row_ = first;
    rows_ = count;
    group_ = -1;
    loss_ = 0;
    round_pieces(0, static_cast<Index>(feedback_.order.size()), 0);
    return loss_;
  }

 private:
  /// What the codes of a row mean in the present group.
  struct Room {
    Quantizer<S> quantizer;
    GroupParams<S> params;
    std::optional<Encode> encode;
  };

  Index start(Index run) const { return feedback_.starts[static_cast<std::size_t>(run)]; }
  Index input(Index position) const { return feedback_.inputs[static_cast<std::size_t>(position)]; }
  Index group_of(Index position) const {
    if constexpr (S::group_inputs == 0)
      return 0;
    else
      return input(position) / S::group_inputs;
  }
  float* target(Index position) { return targets_.data() + (position - origin_) * lane; }

  /// Rounds the runs first .. last - 1, whose targets have the errors of all runs before `first`, piece by piece.
  void round_pieces(Index first, Index last, std::size_t level) {
    for (Index f = first; f < last; f += levels_[level]) {
      const Index l = std::min(last, f + levels_[level]);
      if (level == 0) load(start(f), start(l));
      bring(first, f, l);
      if (level == group_level_) choose_scales(f, l);
      if (level + 1 < levels_.size()) {
        round_pieces(f, l, level + 1);
      } else {
        for (Index run = f; run < l; ++run) {
          bring(f, run, run + 1);
          round_run(run);
        }
      }
    }
  }

  /// Adds to the targets of the runs first .. last - 1 what they owe to the errors of the runs from .. first - 1.
  void bring(Index from, Index first, Index last) {
    kernels::feed_back(
        isa_, [&](Index position) { return feedback_.tile(position); }, errors_.data(), start(from), start(first),
        start(first), start(last), target(start(first)));
  }

  /// Makes the weights at positions first .. last - 1 the targets.
  void load(Index first, Index last) {
    origin_ = first;
    for (Index r = 0; r < lane; ++r)
      for (Index p = first; p < last; ++p) target(p)[r] = r < rows_ * ways ? w_(row_ + r / ways, input(p)) : 0.0f;
  }

  /// Chooses the scales of the group that the runs first .. last - 1 make up, from their targets.
  void choose_scales(Index first, Index last) {
    const Index begin = start(first), end = start(last), g = group_of(begin);
    std::vector<float> group(static_cast<std::size_t>(end - begin));
    for (Index r = 0; r < rows_; ++r) {
      for (Index p = begin; p < end; ++p) {
        float& x = group[static_cast<std::size_t>(p - begin)] = target(p)[r * ways];
        if constexpr (requires { encode_of_.offset(row_, p); }) x += encode_of_.offset(row_ + r, input(p));
      }
      parts_.set_group(
          row_ + r, g,
          choose(rule_, WeightGroup{group, row_ + r, input(begin), w_.cols()}, Quantizer<S>(parts_, row_ + r, g)));
    }
  }

  void round_run(Index run) {
    const Index begin = start(run), count = start(run + 1) - begin;
    const Index g = group_of(begin);
    if (g != group_) enter_group(g);
    const Index column = feedback_.order[static_cast<std::size_t>(run)];
    float* const errors = errors_.data() + begin * lane;
    const float* const targets = target(begin);
    for (Index r = 0; r < rows_; ++r) {
      const Room& at = rooms_[static_cast<std::size_t>(r)];
      float x[ways * S::dim] = {}, rounded[ways * S::dim];
      for (Index way = 0; way < ways; ++way)
        for (Index d = 0; d < count; ++d) x[way * S::dim + d] = targets[d * lane + r * ways + way];
      auto& code = parts_.codes(row_ + r, column);
      if constexpr (requires { (*at.encode)(x, row_, column, rounded); }) {
        code = (*at.encode)(x, row_ + r, column, rounded);
      } else {
        code = (*at.encode)(x, row_ + r, column);
        at.quantizer.decode(code, at.params, rounded);
      }
      for (Index way = 0; way < ways; ++way) {
        const float *const wanted = x + way * S::dim, *const got = rounded + way * S::dim;
        double loss = 0;
        for (Index d = 0; d < count; ++d) {
          errors[d * lane + r * ways + way] = wanted[d] - got[d];
          double root = 0;  // element d of (target - rounded) times the root of D
          for (Index e = 0; e <= d; ++e)
            root += static_cast<double>(wanted[e] - got[e]) * feedback_.roots(e, begin + d);
          loss += root * root;
        }
        if constexpr (requires { at.encode->weight(0); })
          loss *= static_cast<double>(at.encode->weight(static_cast<int>(way)));
        loss_ += loss;
      }
    }
  }

  void enter_group(Index g) {
    group_ = g;
    for (Index r = 0; r < rows_; ++r) {
      Room& at = rooms_[static_cast<std::size_t>(r)];
      at.quantizer = Quantizer<S>(parts_, row_ + r, g);
      at.params = parts_.group(row_ + r, g);
      at.quantizer.side.choice = at.params.choice;
      at.encode.emplace(encode_of_(at.quantizer, at.params));
    }
  }

  const RowMajorMatrixXf& w_;
  const Rule& rule_;
  Parts<S>& parts_;
  const Feedback& feedback_;
  const EncodeOf& encode_of_;
  Isa isa_;
  std::vector<Room> rooms_;
  std::vector<Index> levels_;  ///< runs per piece, piece of a piece, ...
  std::size_t group_level_ = ~std::size_t{0};
  AlignedArray<float> errors_;   ///< [position][row][way]: target less rounded, of what is rounded by now
  AlignedArray<float> targets_;  ///< [position from origin_][row][way], of the present piece
  Index origin_ = 0, row_ = 0, rows_ = 0, group_ = -1;
  double loss_ = 0;
};

/// Rounds the rows of W in runs of rows_at_once, those whose numbers are in `runs`, and returns the loss of each.
template <class S, class Rule, class EncodeOf>
std::vector<double> solve_rows(const RowMajorMatrixXf& w, const Rule& rule, Parts<S>& parts, const ColumnPlan& plan,
                               const EncodeOf& encode_of, const std::vector<Index>& runs, const Parallel& parallel,
                               SharedProgress& progress) {
  using Solver = ColumnSolver<S, Rule, EncodeOf>;
  std::vector<double> losses(runs.size());
  parallel_for(static_cast<Index>(runs.size()), parallel, [&](Index begin, Index end) {
    Solver solver(w, rule, parts, plan, encode_of);
    for (Index c = begin; c < end && !progress.cancelled(); ++c) {
      const Index first = runs[static_cast<std::size_t>(c)] * Solver::rows_at_once;
      const Index rows = std::min(Solver::rows_at_once, w.rows() - first);
      losses[static_cast<std::size_t>(c)] = solver.solve(first, rows);
      progress.advance(rows);
    }
  });
  return losses;
}

/// The sum of losses. Throws std::invalid_argument where it is not finite.
inline double sum_of(const char* function, const std::vector<double>& losses, double damping) {
  const double loss = std::accumulate(losses.begin(), losses.end(), 0.0);
  if (!std::isfinite(loss))
    invalid(function, "a Hessian whose feedback stays within floats",
            text("a loss of ", loss, "; try a damping of ", std::max(0.01, 10 * damping)));
  return loss;
}

/// 0 .. count - 1.
inline std::vector<Index> all_of(Index count) {
  std::vector<Index> all(static_cast<std::size_t>(count));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

/// Fills the codes and scales of `parts` from W, N x K. Throws std::invalid_argument, in the name of `function`, where
/// the Hessian or the options do not suit; Cancelled where the progress callback says so.
template <class S, class Rule, class EncodeOf>
void solve_columns(const char* function, const RowMajorMatrixXf& w, const Rule& rule, Parts<S>& parts,
                   const Hessian& hessian, const ColumnOptions& options, const Parallel& parallel,
                   const EncodeOf& encode_of) {
  constexpr Index height = ColumnSolver<S, Rule, EncodeOf>::rows_at_once;
  SharedProgress progress(function, options.progress, w.rows());
  const ColumnPlan plan = plan_columns<S>(function, w, hessian, options, parallel.with(progress));
  double loss = 0;
  if (w.size() > 0) {
    if (!plan.dynamic) choose_groups(w, rule, parts, parallel);
    loss = sum_of(
        function,
        solve_rows(w, rule, parts, plan, encode_of, all_of((w.rows() + height - 1) / height), parallel, progress),
        options.damping);
  }
  progress.finish();
  if (options.loss != nullptr) *options.loss = loss;
}

}  // namespace rounding
}  // namespace nibble
