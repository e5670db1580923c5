// FitScales: the scales that are best for the codes as they are.
#pragma once

#include "nibble/rounding/lane_errors.h"
#include "nibble/rounding/refine.h"

namespace nibble {

struct FitScalesOptions {
  bool zeros = true;    ///< affine schemes: zero points may move, too
  Index sweeps = 8;     ///< over the groups of a row, at most, on stored scales
  Progress progress{};  ///< steps are rows
};

namespace rounding {

/// The scales that a scheme may store, not counting super-scales.
template <class S> class StorableScales {
 public:
  using format = typename S::scale::format;
  struct Scale {
    typename S::scale_code code;
    double value;
  };
  struct Pair {
    Scale of[2];
  };

  StorableScales() {
    if constexpr (format::bits <= 16) {
      for (const auto& level : make_levels<format>())
        if (chosen(level)) levels_.push_back(level);
    }
  }

  /// The scales on both sides of x, the nearer one first; the same twice where there is only one.
  Pair around(double x) const {
    if constexpr (format::bits <= 16) {
      const auto [below, above] = neighbours(levels_, static_cast<float>(x));
      const Scale b{below.code, static_cast<double>(below.value)}, a{above.code, static_cast<double>(above.value)};
      return x - b.value <= a.value - x ? Pair{{b, a}} : Pair{{a, b}};
    } else {
      const auto code = format::encode(static_cast<float>(x));
      const Scale scale{code, static_cast<double>(format::decode(code))};
      return {{scale, scale}};
    }
  }

 private:
  /// Whether the scale type itself would store it: some keep away from zero.
  static bool chosen(const Level<format>& level) {
    const float top = reach_of<typename S::format>(), reach = level.value * top;
    if (!std::isfinite(reach)) return false;
    if (reach / top > format::max()) return true;  // the largest scale itself, by the rounding of floats
    if constexpr (S::has_super)
      return S::scale::encode(reach, top, 1) == level.code;
    else
      return S::scale::encode(reach, top) == level.code;
  }

  std::vector<Level<format>> levels_;
};

/// x with A x = b, A positive semidefinite, by conjugate gradients from 0 on: with each step x A x - 2 b x falls.
/// Elements whose diagonal is 0 stay 0.
template <unsigned Baseline = isa::baseline>
Eigen::VectorXd conjugate_gradients(const Eigen::MatrixXd& a, const Eigen::VectorXd& b) {
  const Eigen::VectorXd diagonal = a.diagonal();
  const Eigen::VectorXd live = (diagonal.array() > 0).template cast<double>();
  const Eigen::VectorXd inverse = (diagonal.array() > 0).select(diagonal.cwiseInverse(), 0);
  Eigen::VectorXd x = Eigen::VectorXd::Zero(b.size()), rest = b.cwiseProduct(live);
  Eigen::VectorXd z = inverse.cwiseProduct(rest), p = z;
  double size = rest.dot(z);
  const double enough = 1e-24 * size;
  for (Index i = 0; i < 4 * b.size() + 16 && size > enough; ++i) {
    Eigen::VectorXd image = a * p;
    image.array() *= live.array();
    const double curvature = p.dot(image);
    if (!(curvature > 0)) break;
    x += size / curvature * p;
    rest -= size / curvature * image;
    z = inverse.cwiseProduct(rest);
    const double next = rest.dot(z);
    p = z + next / size * p;
    size = next;
  }
  return x;
}

/// What the loss of a row is to the scales s and zero points of its G groups, all else fixed, H in any unit. A group's
/// values are s_g c_g; with u_g the ones on group g and e the errors:
struct ScaleSystem {
  Index groups = 0;
  Eigen::MatrixXd cc;      ///< c_g^T H c_h
  Eigen::MatrixXd uc;      ///< u_g^T H c_h; empty where zero points stay
  Eigen::MatrixXd uu;      ///< u_g^T H u_h
  Eigen::VectorXd ce, ue;  ///< c_g^T H e, u_g^T H e

  bool with_zeros() const { return uc.size() > 0; }

  template <unsigned Baseline = isa::baseline> void add(const ScaleSystem& other) {
    cc += other.cc;
    uc += other.uc;
    uu += other.uu;
    ce += other.ce;
    ue += other.ue;
  }

  /// The change of the scales that is best while zero points stay.
  template <unsigned Baseline = isa::baseline> Eigen::VectorXd best_change() const {
    return conjugate_gradients(cc, ce);
  }

  /// The change of the scales, and below it that of the offsets -s_g z_g, that is best were zero points real numbers.
  template <unsigned Baseline = isa::baseline> Eigen::VectorXd best_change_with_zeros() const {
    Eigen::MatrixXd a(2 * groups, 2 * groups);
    a.topLeftCorner(groups, groups) = cc;
    a.bottomLeftCorner(groups, groups) = uc;
    a.topRightCorner(groups, groups) = uc.transpose();
    a.bottomRightCorner(groups, groups) = uu;
    Eigen::VectorXd b(2 * groups);
    b.head(groups) = ce;
    b.tail(groups) = ue;
    return conjugate_gradients(a, b);
  }

  /// What the loss falls by where the values of group g change by a c_g + b u_g; 0 where it is too little to be sure.
  double gain(Index g, double a, double b) const {
    const auto [linear, square] = terms(g, a, b);
    return linear - square > least_gain * square ? linear - square : 0;
  }

  /// The same where the scales of all groups change by `step`.
  template <unsigned Baseline = isa::baseline> double gain(const Eigen::VectorXd& step) const {
    const Eigen::VectorXd image = cc * step;
    const double linear = 2 * step.dot(ce), square = step.dot(image);
    return linear - square > least_gain * square ? linear - square : 0;
  }

  /// Changes the scale s of group g to `next` and its zero point by `shift`, and returns what the loss falls by.
  template <unsigned Baseline = isa::baseline> double change(Index g, double s, double next, int shift) {
    const double a = next - s, b = -next * shift;
    const auto [linear, square] = terms(g, a, b);
    ce -= a * cc.col(g);
    if (with_zeros()) {
      ce -= b * uc.row(g).transpose();
      ue -= a * uc.col(g) + b * uu.col(g);
    }
    if (shift != 0) {
      const double own = cc(g, g) - 2 * shift * uc(g, g) + shift * shift * uu(g, g);
      cc.col(g) -= shift * uc.row(g).transpose();
      cc.row(g) = cc.col(g).transpose();
      cc(g, g) = own;
      uc.col(g) -= shift * uu.col(g);
      ce[g] -= shift * ue[g];
    }
    return linear - square;
  }

 private:
  /// The loss changes by square - linear.
  std::pair<double, double> terms(Index g, double a, double b) const {
    double linear = a * ce[g], square = a * a * cc(g, g);
    if (b != 0) {
      linear += b * ue[g];
      square += 2 * a * b * uc(g, g) + b * b * uu(g, g);
    }
    return {2 * linear, square};
  }
};

/// The scales and zero points of one row, or of the tensor, as they change.
template <class S> class ScaleFit {
 public:
  ScaleFit(const ScaleSystem& system, const Parts<S>& parts, Index row, const StorableScales<S>& storable)
      : system_(system), storable_(&storable) {
    for (Index g = 0; g < system.groups; ++g) {
      const GroupParams<S> params = parts.group(row, g);
      groups_.push_back({params, static_cast<double>(parts.super_scale(row, g)), static_cast<double>(params.scale)});
    }
  }

  /// What the loss has fallen by.
  double gained() const { return gained_; }

  /// All scales at once, each to the storable one that is nearest to what is best.
  void jump() {
    const Eigen::VectorXd best = system_.best_change();
    std::vector<Scale> nearest(groups_.size());
    Eigen::VectorXd step(best.size());
    step.setZero();
    for (Index g = 0; g < best.size(); ++g) {
      const Group& group = at(g);
      if (best[g] == 0 || group.super == 0) continue;
      Scale& scale = nearest[static_cast<std::size_t>(g)];
      scale = storable_->around((group.scale + best[g]) / group.super).of[0];
      if (fits(group, scale, 0)) step[g] = scale.value * group.super - group.scale;
    }
    if (!(system_.gain(step) > 0)) return;
    for (Index g = 0; g < step.size(); ++g)
      if (step[g] != 0) set(g, nearest[static_cast<std::size_t>(g)], 0);
  }

  /// All zero points at once, each to the integer nearest to what is best, whether the loss falls or not.
  void jump_zeros() {
    const Eigen::VectorXd best = system_.best_change_with_zeros();
    for (Index g = 0; g < system_.groups; ++g) {
      const Group& group = at(g);
      if (group.super == 0) continue;
      const double scale = group.scale + best[g], shift = std::nearbyint(-best[system_.groups + g] / scale);
      if (scale == 0 || shift == 0 || !(std::abs(shift) < 256)) continue;
      const Scale same{group.params.scale_code, group.scale / group.super};
      const auto by = static_cast<int>(shift);
      if (has_zero(group, by) && fits(group, same, by)) set(g, same, by);
    }
  }

  /// One group after the other, to a scale beside the one where its parabola is least and a zero point not far.
  void descend(Index sweeps) {
    bool changed = true;
    while (sweeps-- > 0 && changed) {
      changed = false;
      for (Index g = 0; g < system_.groups; ++g) changed |= improve(g);
    }
  }

  void store(Parts<S>& parts, Index row) const {
    for (Index g = 0; g < system_.groups; ++g) parts.set_group(row, g, at(g).params);
  }

 private:
  using Scale = typename StorableScales<S>::Scale;
  struct Group {
    GroupParams<S> params;
    double super = 1, scale = 0;
  };

  Group& at(Index g) { return groups_[static_cast<std::size_t>(g)]; }
  const Group& at(Index g) const { return groups_[static_cast<std::size_t>(g)]; }

  static bool has_zero(const Group& group, int shift) {
    const int zero = int{group.params.zero_code} + shift;
    return zero >= 0 && static_cast<float>(zero) <= max_of<typename S::format>(group.params.choice);
  }
  static bool fits(const Group& group, const Scale& scale, int shift) {
    const float top = max_of<typename S::format>(group.params.choice);
    if (!std::isfinite(static_cast<float>(scale.value * group.super) * std::max(top, 1.0f))) return false;
    if constexpr (std::same_as<typename S::scale, ProgressiveScale>) {  // what codes mean is to stay within 8 bits
      const double zero = group.params.zero_code + shift;
      return scale.value * std::max(zero, static_cast<double>(top) - zero) <= 127;
    }
    return true;
  }

  bool improve(Index g) {
    const Group& group = at(g);
    if (group.super == 0) return false;
    const double s = group.scale;
    double most = 1e-9 * s * s * system_.cc(g, g);  // less than this is not worth another sweep
    Scale chosen{};
    int chosen_shift = 0;
    bool better = false;
    const int reach = system_.with_zeros() ? 1 : 0;
    for (int shift = -reach; shift <= reach; ++shift) {
      if (shift != 0 && !has_zero(group, shift)) continue;
      double curvature = system_.cc(g, g), pull = system_.ce[g] + s * curvature;
      if (shift != 0) {
        curvature += shift * (shift * system_.uu(g, g) - 2 * system_.uc(g, g));
        pull -= shift * (system_.ue[g] + s * system_.uc(g, g));
      }
      if (!(curvature > 0)) continue;
      for (const Scale& scale : storable_->around(pull / curvature / group.super).of) {
        if (!fits(group, scale, shift)) continue;
        const double next = scale.value * group.super, gain = system_.gain(g, next - s, -next * shift);
        if (!(gain > most)) continue;
        most = gain;
        chosen = scale;
        chosen_shift = shift;
        better = true;
      }
    }
    if (better) set(g, chosen, chosen_shift);
    return better;
  }

  void set(Index g, const Scale& scale, int shift) {
    Group& group = at(g);
    const double next = scale.value * group.super;
    gained_ += system_.change(g, group.scale, next, shift);
    group.scale = next;
    group.params.scale_code = scale.code;
    if constexpr (S::affine) group.params.zero_code = static_cast<std::uint8_t>(group.params.zero_code + shift);
  }

  ScaleSystem system_;
  const StorableScales<S>* storable_;
  std::vector<Group> groups_;
  double gained_ = 0;
};

/// Fits the scales of one row, or of the tensor, to its system. What is stored is not convex: the best of several ways.
template <class S>
void fit_scales(const ScaleSystem& system, Parts<S>& parts, Index row, const StorableScales<S>& storable,
                const FitScalesOptions& options) {
  ScaleFit<S> best(system, parts, row, storable);
  best.jump();
  best.descend(options.sweeps);
  if (system.with_zeros()) {
    for (const bool zeros : {false, true}) {
      ScaleFit<S> other(system, parts, row, storable);
      if (zeros) {
        other.jump_zeros();
        other.jump();
      }
      other.descend(options.sweeps);
      if (other.gained() > best.gained()) best = other;
    }
  }
  if (best.gained() > 0) best.store(parts, row);
}

/// Makes the systems of lane_rows rows at a time.
template <class S> class ScaleSystems {
 public:
  /// `sums`, G x K, has u_g^T H / unit; it is empty where zero points stay.
  ScaleSystems(const RowMajorMatrixXf& w, const Parts<S>& parts, const HessianTiles& h, const Eigen::MatrixXd& sums,
               Isa isa)
      : h_(h),
        sums_(sums),
        of_ones_(Eigen::MatrixXd::Zero(sums.rows(), sums.rows())),
        isa_(isa),
        errors_(w, parts, h),
        values_(static_cast<std::size_t>(w.cols() * lane)),
        product_(static_cast<std::size_t>(h.tiles_per_piece * width * lane)) {
    for (Index p = 0; p < sums.cols(); ++p) of_ones_.col(group_at(p)) += sums.col(p);
  }

  /// Those of the rows first .. first + count - 1.
  const std::vector<ScaleSystem>& make(Index first, Index count) {
    errors_.load(first, count);
    load_values();
    const Index groups = errors_.groups();
    systems_.resize(static_cast<std::size_t>(count));
    for (ScaleSystem& s : systems_) {
      s.groups = groups;
      s.cc.setZero(groups, groups);
      s.ce.setZero(groups);
      s.ue.setZero(groups);
      if (sums_.size() > 0) s.uc.setZero(groups, groups);
      s.uu = of_ones_;
    }
    for (Index piece = 0; piece < h_.pieces(); ++piece) {
      h_.product(isa_, errors_.data(), piece, product_.data());
      add(piece, [&](ScaleSystem& s, Index h, double with_c, double with_u) {
        s.ce[h] += with_c;
        s.ue[h] += with_u;
      });
      for (Index g = 0; g <= group_at(h_.first(piece + 1) - 1); ++g) {
        const Index begin = g == 0 ? 0 : g * S::group_inputs;
        const Index end = g + 1 == groups ? h_.positions() : (g + 1) * S::group_inputs;
        multiply(piece, begin, end);
        add(piece, [&](ScaleSystem& s, Index h, double with_c, double) {
          if (g <= h) s.cc(g, h) += with_c;
        });
      }
    }
    for (Index r = 0; r < count; ++r) {
      ScaleSystem& s = systems_[static_cast<std::size_t>(r)];
      for (Index g = 0; g < groups; ++g)
        for (Index h = 0; h < g; ++h) s.cc(g, h) = s.cc(h, g);
    }
    for (Index p = 0; p < sums_.cols(); ++p) {
      for (Index r = 0; r < count; ++r) {
        const double c = static_cast<double>(values_[static_cast<std::size_t>(p * lane + r)]);
        double* const of_group = systems_[static_cast<std::size_t>(r)].uc.col(group_at(p)).data();
        for (Index g = 0; g < groups; ++g) of_group[g] += c * sums_(g, p);
      }
    }
    return systems_;
  }

 private:
  static constexpr Index lane = kernels::lane_rows, width = kernels::lane_cols;

  Index group_at(Index p) const { return LaneErrors<S>::group_of(p); }

  void load_values() {
    std::fill_n(values_.data(), values_.size(), 0.0f);
    for (Index r = 0; r < errors_.rows(); ++r) {
      errors_.for_each_run([&](Index run, Index begin, Index size) {
        float value[S::dim];
        errors_.unscaled(r, run, value);
        for (Index d = 0; d < size; ++d) values_[static_cast<std::size_t>((begin + d) * lane + r)] = value[d];
      });
    }
  }

  /// product_ becomes c H of a piece, c only at positions begin .. end - 1.
  void multiply(Index piece, Index begin, Index end) {
    std::fill_n(product_.data(), product_.size(), 0.0f);
    dispatch(isa_, [&](auto tag) {
      for (Index t = 0; t < h_.tiles_per_piece; ++t)
        kernels::LaneProduct<decltype(tag)>::template run<static_cast<int>(width)>(
            h_.tile(piece, t) + begin * width, values_.data() + begin * lane, end - begin,
            product_.data() + t * width * lane);
    });
  }

  /// Adds up product_ over the inputs of each group of a piece, times c and alone, to the systems.
  template <class To> void add(Index piece, const To& to) {
    const Index first = h_.first(piece), last = h_.first(piece + 1);
    for (Index begin = first; begin < last;) {
      const Index g = group_at(begin);
      Index end = begin + 1;
      while (end < last && group_at(end) == g) ++end;
      float with_c[lane] = {}, with_u[lane] = {};
      for (Index p = begin; p < end; ++p) {
        const float* const product = product_.data() + (p - first) * lane;
        const float* const values = values_.data() + p * lane;
        for (Index r = 0; r < lane; ++r) {
          with_c[r] += values[r] * product[r];
          with_u[r] += product[r];
        }
      }
      for (Index r = 0; r < errors_.rows(); ++r)
        to(systems_[static_cast<std::size_t>(r)], g, static_cast<double>(with_c[r]), static_cast<double>(with_u[r]));
      begin = end;
    }
  }

  const HessianTiles& h_;
  const Eigen::MatrixXd& sums_;
  Eigen::MatrixXd of_ones_;  ///< u_g^T H u_h
  Isa isa_;
  LaneErrors<S> errors_;
  AlignedArray<float> values_, product_;  ///< [position][row]
  std::vector<ScaleSystem> systems_;
};

}  // namespace rounding

/// Least squares for the scales, codes fixed: weights are s_g c_g with c = decode(code) - zero, and the s of all groups
/// of a row that give the least tr(E H E^T), H as given, solve c_g^T H c_h s_h = c_g^T H w. They are rounded to what
/// the scheme can store under its super-scales, which stay as tables do, and improved one after the other, each to a
/// neighbour of where its parabola has its least value, zero points by -1, 0 or 1 with it. Where zero points may
/// move, this is also done from the scales as they are and from the zero points that would be best were they real, and
/// the best is kept. A row's loss never grows.
/// Groups whose codes are all 0 keep their scale. Per tensor, one scale for all rows. Costs 1.5 N K^2 multiplications
/// and those of N systems of K / group unknowns, of which 48 and two copies are in memory at a time for each thread.
/// Throws std::invalid_argument where the Hessian is of another size than W's rows or has no samples; Cancelled.
struct FitScales {
  Hessian hessian;
  FitScalesOptions options = {};

  template <class S> void refine(const RowMajorMatrixXf& w, Parts<S>& parts, const Parallel& parallel = {}) const {
    using rounding::ScaleSystem;
    constexpr Index lane = kernels::lane_rows;
    constexpr bool per_tensor = std::same_as<typename S::group, PerTensor>;
    rounding::check_refinement("FitScales", w, parts, hessian, parallel);
    if (options.sweeps < 0) invalid("FitScales", "at least 0 sweeps", options.sweeps);
    SharedProgress progress("FitScales", options.progress, w.rows());
    if (w.size() == 0) return progress.finish();
    const rounding::HessianTiles h(hessian, S::dim, rounding::runs_in(Order::InOrder, S::dim, hessian.diagonal()),
                                   parallel);
    const Eigen::MatrixXd sums =
        S::affine && options.zeros ? sums_of_groups<S>(parts.scales.cols(), h.unit) : Eigen::MatrixXd();
    const rounding::StorableScales<S> storable;
    const Isa isa = resolve();
    std::vector<ScaleSystem> of_rows(per_tensor ? static_cast<std::size_t>(w.rows()) : 0);
    parallel_for((w.rows() + lane - 1) / lane, parallel, [&](Index begin, Index end) {
      rounding::ScaleSystems<S> systems(w, parts, h, sums, isa);
      for (Index block = begin; block < end && !progress.cancelled(); ++block) {
        const Index first = block * lane, rows = std::min(lane, w.rows() - first);
        const auto& made = systems.make(first, rows);
        for (Index r = 0; r < rows; ++r) {
          if constexpr (per_tensor)
            of_rows[static_cast<std::size_t>(first + r)] = made[static_cast<std::size_t>(r)];
          else
            rounding::fit_scales(made[static_cast<std::size_t>(r)], parts, first + r, storable, options);
        }
        progress.advance(rows);
      }
    });
    if constexpr (per_tensor) {
      ScaleSystem sum = of_rows.front();
      for (std::size_t r = 1; r < of_rows.size(); ++r) sum.add(of_rows[r]);
      rounding::fit_scales(sum, parts, 0, storable, options);
    }
  }

 private:
  /// u_g^T H / unit, one below the other.
  template <class S> Eigen::MatrixXd sums_of_groups(Index groups, double unit) const {
    const Eigen::MatrixXd h = hessian.matrix() / unit;
    Eigen::MatrixXd sums(groups, h.cols());
    sums.setZero();
    for (Index j = 0; j < h.cols(); ++j)
      for (Index i = 0; i < h.rows(); ++i) sums(rounding::LaneErrors<S>::group_of(i), j) += h(i, j);
    return sums;
  }
};

}  // namespace nibble
