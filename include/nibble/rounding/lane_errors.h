// LaneErrors: what rows that lie side by side lack of their weights, and what their codes mean.
#pragma once

#include "nibble/rounding/hessian_tiles.h"

namespace nibble::rounding {

/// E = W - Q of lane_rows rows at a time, in the order of the positions of a HessianTiles.
template <class S> class LaneErrors {
 public:
  static constexpr Index lane = kernels::lane_rows;
  /// What the codes of a row mean in one group.
  struct Group {
    Quantizer<S> quantizer;
    GroupParams<S> params;
  };

  LaneErrors(const RowMajorMatrixXf& w, const Parts<S>& parts, const HessianTiles& h)
      : w_(w),
        parts_(parts),
        h_(h),
        groups_(parts.scales.cols()),
        of_lanes_(static_cast<std::size_t>(groups_ * lane)),
        errors_(static_cast<std::size_t>(w.cols() * lane)) {}

  /// Takes up the rows first .. first + count - 1, at most lane_rows; the others are zeros.
  void load(Index first, Index count) {
    first_ = first;
    rows_ = count;
    std::fill_n(errors_.data(), errors_.size(), 0.0f);
    for (Index r = 0; r < rows_; ++r) {
      for (Index g = 0; g < groups_; ++g) {
        Group& at = of_lanes_[static_cast<std::size_t>(g * lane + r)];
        at.quantizer = Quantizer<S>(parts_, first_ + r, g);
        at.params = parts_.group(first_ + r, g);
        at.quantizer.side.choice = at.params.choice;
      }
      for_each_run([&](Index run, Index begin, Index size) {
        float value[S::dim];
        decode(r, run, value);
        for (Index d = 0; d < size; ++d) at(begin + d)[r] = w_(first_ + r, input(begin + d)) - value[d];
      });
    }
  }

  Index first() const { return first_; }
  Index rows() const { return rows_; }
  Index groups() const { return groups_; }
  Index input(Index position) const { return h_.inputs[static_cast<std::size_t>(position)]; }
  static Index group_of(Index input) { return S::group_inputs == 0 ? 0 : input / std::max(1, S::group_inputs); }

  /// The group of row first() + r that holds the run at a place in the order.
  const Group& group(Index r, Index run) const {
    return of_lanes_[static_cast<std::size_t>(group_of(column(run) * S::dim) * lane + r)];
  }
  /// The code column of a run.
  Index column(Index run) const { return h_.order[static_cast<std::size_t>(run)]; }
  /// The values that the code of a run stands for.
  void decode(Index r, Index run, float* values) const {
    const Group& g = group(r, run);
    g.quantizer.decode(parts_.codes(first_ + r, column(run)), g.params, values);
  }
  /// The same in units of the scale.
  void unscaled(Index r, Index run, float* values) const {
    const Group& g = group(r, run);
    decode_to<typename S::format>(parts_.codes(first_ + r, column(run)), g.quantizer.side, values);
    for (int d = 0; d < S::dim; ++d) values[d] -= g.params.zero;
  }

  /// The errors at a position, row by row.
  float* at(Index position) { return errors_.data() + position * lane; }
  const float* data() const { return errors_.data(); }

  /// Calls f(run, position, inputs) for all runs, in order.
  template <class F> void for_each_run(F&& f) const {
    for (Index run = 0; run < static_cast<Index>(h_.order.size()); ++run) {
      const Index begin = h_.starts[static_cast<std::size_t>(run)];
      f(run, begin, h_.starts[static_cast<std::size_t>(run) + 1] - begin);
    }
  }

 private:
  const RowMajorMatrixXf& w_;
  const Parts<S>& parts_;
  const HessianTiles& h_;
  Index groups_;
  std::vector<Group> of_lanes_;  ///< [group][row]
  AlignedArray<float> errors_;   ///< [position][row]
  Index first_ = 0, rows_ = 0;
};

/// e H e^T / unit of each row of E = W - Q: products in floats, sums in doubles.
template <class S>
Eigen::VectorXd row_losses(const RowMajorMatrixXf& w, const Parts<S>& parts, const HessianTiles& h,
                           const Parallel& parallel) {
  constexpr Index lane = kernels::lane_rows;
  const Isa isa = resolve();
  Eigen::VectorXd losses = Eigen::VectorXd::Zero(w.rows());
  parallel_for((w.rows() + lane - 1) / lane, parallel, [&](Index begin, Index end) {
    LaneErrors<S> errors(w, parts, h);
    AlignedArray<float> gradient(static_cast<std::size_t>(h.tiles_per_piece * kernels::lane_cols * lane));
    for (Index block = begin; block < end; ++block) {
      errors.load(block * lane, std::min(lane, w.rows() - block * lane));
      for (Index piece = 0; piece < h.pieces(); ++piece) {
        h.product(isa, errors.data(), piece, gradient.data());
        for (Index p = h.first(piece); p < h.first(piece + 1); ++p)
          for (Index r = 0; r < errors.rows(); ++r)
            losses[block * lane + r] +=
                static_cast<double>(errors.at(p)[r]) *
                static_cast<double>(gradient[static_cast<std::size_t>((p - h.first(piece)) * lane + r)]);
      }
    }
  });
  return losses;
}

}  // namespace nibble::rounding
