// CyclicRounding: each code again, and again, the best one for what all others are.
#pragma once

#include "nibble/rounding/lane_errors.h"
#include "nibble/rounding/refine.h"

namespace nibble {

struct CyclicOptions {
  Index sweeps = 4;  ///< over all inputs, at most; rows that no longer change end before
  Order order = Order::InOrder;
  bool greedy = false;  ///< instead: by descending H_jj |W_j|^2, W_j the weights of input j
  Progress progress{};  ///< steps are rows
};

namespace rounding {

/// Sweeps over lane_rows rows at a time.
template <class S> class CyclicSolver {
 public:
  CyclicSolver(const RowMajorMatrixXf& w, Parts<S>& parts, const HessianTiles& h, const Eigen::MatrixXd& inverses,
               Isa isa)
      : w_(w),
        parts_(parts),
        h_(h),
        inverses_(inverses),
        isa_(isa),
        errors_(w, parts, h),
        gradient_(static_cast<std::size_t>(h.tiles_per_piece * kernels::lane_cols * lane)),
        half_gap_(half_gap()) {}

  void solve(Index first, Index count, Index sweeps) {
    errors_.load(first, count);
    while (sweeps-- > 0 && sweep()) continue;
  }

 private:
  static constexpr Index lane = kernels::lane_rows;
  using Code = typename S::code_type;

  /// Whether a code has changed.
  bool sweep() {
    bool changed = false;
    for (Index piece = 0; piece < h_.pieces(); ++piece) {
      const Index begin = h_.first(piece);
      h_.product(isa_, errors_.data(), piece, gradient_.data());
      for (Index run = h_.first_run(piece); run < h_.first_run(piece + 1); ++run) {
        const Index p = h_.starts[static_cast<std::size_t>(run)];
        const Index size = h_.starts[static_cast<std::size_t>(run) + 1] - p;
        alignas(alignment) float step[S::dim * lane] = {};
        bool moved = false;
        for (Index r = 0; r < errors_.rows(); ++r)
          if (may_move(piece, run, p, r)) moved |= improve(piece, run, p, size, r, step);
        if (!moved) continue;
        changed = true;
        for (Index d = 0; d < size; ++d) {
          for (Index r = 0; r < lane; ++r) errors_.at(p + d)[r] -= step[d * lane + r];
          for (Index q = p + size; q < h_.first(piece + 1); ++q) {
            const float factor = h_.at(piece, p + d, q);
            float* const of_later = gradient_.data() + (q - begin) * lane;
            for (Index r = 0; r < lane; ++r) of_later[r] -= step[d * lane + r] * factor;
          }
        }
      }
    }
    return changed;
  }

  /// Half the least distance between two values of the format; 0 where that is not known.
  static float half_gap() {
    if constexpr (S::dim == 1 && S::table_size == 0 && S::format::bits <= 8) {
      float least = std::numeric_limits<float>::infinity();
      for (int choice = 0; choice < S::choices; ++choice) {
        const auto levels = make_levels<typename S::format>({nullptr, choice});
        for (std::size_t i = 1; i < levels.size(); ++i) least = std::min(least, levels[i].value - levels[i - 1].value);
      }
      return std::isfinite(least) ? least / 2 : 0;
    } else {
      return 0;
    }
  }

  /// Whether the loss of row r can fall at all: not where the best value is nearer to the present one than any other.
  bool may_move(Index piece, Index run, Index p, Index r) const {
    if (S::dim > 1 || !alive(piece, p)) return true;
    const float pull = gradient_[static_cast<std::size_t>((p - h_.first(piece)) * lane + r)];
    return !(std::abs(pull) < half_gap_ * std::abs(errors_.group(r, run).params.scale) * h_.at(piece, p, p));
  }

  /// Replaces the code of a run of row r by a better one, if there is one, and sets `step` to how its values change.
  bool improve(Index piece, Index run, Index p, Index size, Index r, float* step) {
    const Index row = errors_.first() + r, column = errors_.column(run);
    const auto& group = errors_.group(r, run);
    Code& code = parts_.codes(row, column);
    float now[S::dim], target[S::dim] = {}, values[S::dim];
    group.quantizer.decode(code, group.params, now);
    double pull[S::dim] = {}, least = 0;
    for (Index d = 0; d < size; ++d)
      pull[d] = static_cast<double>(gradient_[static_cast<std::size_t>((p - h_.first(piece) + d) * lane + r)]);
    Code best = code;
    const auto consider = [&] {
      const Code candidate = group.quantizer.encode(target, group.params);
      if (candidate == code) return;
      group.quantizer.decode(candidate, group.params, values);
      const double gain = gain_of(piece, p, size, r, now, values, pull);
      if (!(gain > least)) return;
      least = gain;
      best = candidate;
      for (Index d = 0; d < size; ++d) step[d * lane + r] = values[d] - now[d];
    };
    for (Index d = 0; d < size; ++d) {
      double move = 0;
      for (Index e = 0; e < size; ++e) move += inverses_(e, p + d) * pull[e];
      target[d] =
          alive(piece, p + d) ? static_cast<float>(static_cast<double>(now[d]) + move) : w_(row, errors_.input(p + d));
    }
    consider();
    if constexpr (S::dim > 1) {  // and the best values of one input alone: nearest is not best in the norm of H
      for (Index one = 0; one < size; ++one) {
        if (!alive(piece, p + one)) continue;
        for (Index d = 0; d < size; ++d) target[d] = now[d];
        target[one] += static_cast<float>(pull[one] / static_cast<double>(h_.at(piece, p + one, p + one)));
        consider();
      }
    }
    if (best == code) return false;
    code = best;
    return true;
  }

  bool alive(Index piece, Index p) const { return h_.at(piece, p, p) > 0; }

  /// What the loss of row r falls by when the values of a run change; where inputs are dead, a fall of the squared
  /// errors counts. 0 where it is too little to be sure.
  double gain_of(Index piece, Index p, Index size, Index r, const float* now, const float* then, const double* pull) {
    double linear = 0, square = 0, nearer = 0;
    for (Index d = 0; d < size; ++d) {
      const double step = static_cast<double>(then[d]) - static_cast<double>(now[d]);
      linear += 2 * step * pull[d];
      for (Index e = 0; e < size; ++e)
        square += step * (static_cast<double>(then[e]) - static_cast<double>(now[e])) *
                  static_cast<double>(h_.at(piece, p + e, p + d));
      nearer += step * (2 * static_cast<double>(errors_.at(p + d)[r]) - step);
    }
    if (square == 0) return linear == 0 ? std::max(nearer, 0.0) : 0;
    const double gain = linear - square;
    return std::isfinite(gain) && gain > least_gain * square ? gain : 0;
  }

  const RowMajorMatrixXf& w_;
  Parts<S>& parts_;
  const HessianTiles& h_;
  const Eigen::MatrixXd& inverses_;
  Isa isa_;
  LaneErrors<S> errors_;
  AlignedArray<float> gradient_;  ///< [position of the piece][row]: E H / unit
  float half_gap_;
};

/// The inverses of the blocks of H / unit that belong to runs, side by side: dim x K. Dead inputs count for nothing; a
/// millionth of the mean diagonal keeps the others definite where there are several.
template <unsigned Baseline = isa::baseline> Eigen::MatrixXd inverses_of_runs(const HessianTiles& h) {
  Eigen::MatrixXd inverses = Eigen::MatrixXd::Zero(h.dim, h.positions());
  for (Index piece = 0; piece < h.pieces(); ++piece) {
    for (Index run = h.first_run(piece); run < h.first_run(piece + 1); ++run) {
      const Index p = h.starts[static_cast<std::size_t>(run)], size = h.starts[static_cast<std::size_t>(run) + 1] - p;
      Eigen::MatrixXd block(size, size);
      for (Index i = 0; i < size; ++i)
        for (Index j = 0; j < size; ++j) block(i, j) = static_cast<double>(h.at(piece, p + i, p + j));
      if (size > 1) block.diagonal().array() += 1e-6 * block.diagonal().mean();
      for (Index i = 0; i < size; ++i)
        if (!(h.at(piece, p + i, p + i) > 0)) block(i, i) = 1;
      inverses.block(0, p, size, size) = block.inverse();
    }
  }
  return inverses;
}

}  // namespace rounding

/// Coordinate descent on the codes: sweeps over the inputs of each row, in which the code of an input, or of a run of
/// `dim` inputs, becomes the one nearest to what is best while all others stay, w_j + sum over i != j of
/// e_i H_ij / H_jj with e = w - q, where that lowers tr(E H E^T). Scales stay. A run's values are best at
/// q + e H H_bb^-1; besides it those that are best for one of its inputs alone are tried. Inputs that were always 0
/// go to the nearest value. H is as given: with few samples per input, hessian.damped(0.05) keeps codes from suiting
/// these samples only. A sweep costs N K^2 multiplications. Results depend neither on threads nor on the instruction
/// set. Throws std::invalid_argument where the Hessian is of another size than W's rows or has no samples, and on
/// fewer than 0 sweeps; Cancelled.
/// Sources: Behdin et al., "QuantEase", 2023; Zhang et al., "COMQ", 2024 (the greedy order, there each row's own).
struct CyclicRounding {
  Hessian hessian;
  CyclicOptions options = {};

  template <class S> void refine(const RowMajorMatrixXf& w, Parts<S>& parts, const Parallel& parallel = {}) const {
    constexpr Index lane = kernels::lane_rows;
    rounding::check_refinement("CyclicRounding", w, parts, hessian, parallel);
    if (options.sweeps < 0) invalid("CyclicRounding", "at least 0 sweeps", options.sweeps);
    SharedProgress progress("CyclicRounding", options.progress, w.rows());
    if (w.size() == 0) return progress.finish();
    Eigen::VectorXd size = hessian.diagonal();
    if (options.greedy) size = size.cwiseProduct(w.cast<double>().colwise().squaredNorm().transpose());
    const rounding::HessianTiles h(
        hessian, S::dim, rounding::runs_in(options.greedy ? Order::ActOrder : options.order, S::dim, size), parallel);
    const Eigen::MatrixXd inverses = rounding::inverses_of_runs(h);
    const Isa isa = resolve();
    parallel_for((w.rows() + lane - 1) / lane, parallel, [&](Index begin, Index end) {
      rounding::CyclicSolver<S> solver(w, parts, h, inverses, isa);
      for (Index block = begin; block < end && !progress.cancelled(); ++block) {
        const Index rows = std::min(lane, w.rows() - block * lane);
        solver.solve(block * lane, rows, options.sweeps);
        progress.advance(rows);
      }
    });
  }
};

}  // namespace nibble
