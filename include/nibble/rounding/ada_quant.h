// AdaQuant: weights and scales learned by gradient descent on the error of the outputs, through the rounding.
#pragma once

#include "nibble/rounding/descent.h"

namespace nibble {

struct AdaQuantOptions {
  int iterations = 200;
  float rate = 0.01f;        ///< of Adam, for weights, in distances of neighbouring values; falls to 0 in a line
  float scale_rate = 0.01f;  ///< for the logarithms of scales, likewise
  bool bias = false;         ///< for a layer whose bias is corrected afterwards (corrected_bias): the centred Hessian's
  Progress progress{};       ///< steps are iterations of lane_rows rows
};

namespace rounding {

/// At most lane_rows rows that move as if rounding were the identity ("straight through"), side by side: elements
/// [input][row]. Weights move by `moves` distances of neighbouring values, of which each group has one, scales by
/// factors exp(`log_scales`). Errors are in the unit of their row: that of one weight alone, were nearest's even.
template <class S> class StraightRows {
 public:
  StraightRows(const RowMajorMatrixXf& w, Index first, Index count, const HessianTiles& h, Isa isa,
               const LevelsOf<S>& levels, Parts<S>& parts)
      : w_(w), first_(first), rows_(count), h_(h), isa_(isa), parts_(parts) {
    at_.resize(static_cast<std::size_t>(groups_ * lane));
    least_.fill(std::numeric_limits<double>::infinity());
    std::vector<Level<typename S::format>> learned;
    for (Index r = 0; r < rows_; ++r) {
      double unit = 0;
      for_each_group<S>(w.cols(), [&](Index g, Index from, Index inputs) {
        Group& at = group(g, r);
        at.quantizer = Quantizer<S>(parts, first + r, g);
        at.params = at.best = parts.group(first + r, g);
        at.quantizer.side.choice = at.params.choice;
        at.start = at.params.scale;
        if constexpr (S::dim == 1) {
          const auto& of_group = levels.of(at.quantizer.side, learned);
          at.low = of_group.front().value;
          at.high = of_group.back().value;
        }
        double squares = 0;
        for_each_code(from, inputs, r, [&](Index column, Index j, const float* x, Index count_of_code) {
          float value[S::dim];
          at.quantizer.decode(parts.codes(first + r, column), at.params, value);
          for (Index d = 0; d < count_of_code; ++d) {
            const double error = static_cast<double>(value[d]) - static_cast<double>(x[d]);
            squares += error * error;
            unit += h.diagonal(j + d) * error * error;
          }
        });
        const double distance = std::sqrt(12 * squares / static_cast<double>(inputs));
        at.distance = static_cast<float>(std::min<double>(distance, std::numeric_limits<float>::max()));
      });
      units_[static_cast<std::size_t>(r)] = std::sqrt(unit / static_cast<double>(w.cols()));
    }
  }

  /// Rounds the weights where they are by now, and keeps what no rounding of the row before was as good as.
  void round() {
    for (Index r = 0; r < rows_; ++r) {
      const double unit = units_[static_cast<std::size_t>(r)];
      const auto in_units = [&](float x) {
        return unit > 0 ? static_cast<float>(static_cast<double>(x) / unit) : 0.0f;
      };
      for_each_group<S>(w_.cols(), [&](Index g, Index from, Index inputs) {
        const Group& at = group(g, r);
        for_each_code(from, inputs, r, [&](Index, Index j, const float* x, Index count) {
          float value[S::dim];
          at.quantizer.decode(at.quantizer.encode(x, at.params), at.params, value);
          float beyond = 0;
          if constexpr (S::dim == 1) {
            float place = 0;
            at.quantizer.normalize(x, at.params, &place);
            beyond = place > at.high ? 1.0f : place < at.low ? -1.0f : 0.0f;
            if (at.params.scale < 0) beyond = -beyond;
          }
          for (Index d = 0; d < count; ++d) {
            const Index e = (j + d) * lane + r;
            errors_.data()[e] = in_units(value[d] - w_(first_ + r, j + d));
            values_.data()[e] = in_units(value[d]);
            beyond_.data()[e] = beyond;
          }
        });
      });
    }
    for (Index piece = 0; piece < h_.pieces(); ++piece)
      h_.product(isa_, errors_.data(), piece, products_.data() + h_.first(piece) * lane);
    std::array<double, lane> losses{};
    for (Index e = 0; e < size_; ++e)
      losses[static_cast<std::size_t>(e % lane)] +=
          static_cast<double>(errors_.data()[e]) * static_cast<double>(products_.data()[e]);
    for (Index r = 0; r < rows_; ++r) {
      double& least = least_[static_cast<std::size_t>(r)];
      if (!(losses[static_cast<std::size_t>(r)] < least)) continue;
      least = losses[static_cast<std::size_t>(r)];
      for (Index j = 0; j < w_.cols(); ++j) best_.data()[j * lane + r] = moves_.data()[j * lane + r];
      for (Index g = 0; g < groups_; ++g) group(g, r).best = group(g, r).params;
    }
  }

  /// The slopes of e H e^T there by moves ([input][row]), did values move as their weights do, and by the logarithms of
  /// scales ([group][row]), did codes stay. Weights out of the range have a slope only towards it.
  struct Slopes {
    const float *moves, *log_scales;
  };
  Slopes slopes() {
    for_each_group<S>(w_.cols(), [&](Index g, Index from, Index inputs) {
      for (Index r = 0; r < rows_; ++r) {
        const double unit = units_[static_cast<std::size_t>(r)];
        const float distance = unit > 0 ? static_cast<float>(static_cast<double>(group(g, r).distance) / unit) : 0.0f;
        float slope = 0;
        for (Index e = from * lane + r; e < (from + inputs) * lane; e += lane) {
          const float product = 2 * products_.data()[e];
          slope += product * values_.data()[e];
          move_slopes_.data()[e] = product * beyond_.data()[e] < 0 ? 0.0f : product * distance;
        }
        scale_slopes_.data()[g * lane + r] = slope;
      }
    });
    return {move_slopes_.data(), scale_slopes_.data()};
  }

  /// A step of Adam from there. A scale of the whole tensor does not change.
  void step(float rate, float scale_rate) {
    const auto [moves, log_scales] = slopes();
    of_moves_.begin(rate);
    of_moves_.move(0, size_, moves, moves_.data());
    if constexpr (std::same_as<typename S::group, PerTensor>) return;
    of_scales_.begin(scale_rate);
    of_scales_.move(0, groups_ * lane, log_scales, log_scales_.data());
    for (Index g = 0; g < groups_; ++g)
      for (Index r = 0; r < rows_; ++r) set_scale(group(g, r), log_scales_.data()[g * lane + r]);
  }

  /// Makes the best of all roundings that of the matrix.
  void store() {
    moves_ = std::move(best_);
    for (Index r = 0; r < rows_; ++r) {
      for_each_group<S>(w_.cols(), [&](Index g, Index from, Index inputs) {
        const Group& at = group(g, r);
        if constexpr (!std::same_as<typename S::group, PerTensor>) parts_.set_group(first_ + r, g, at.best);
        for_each_code(from, inputs, r, [&](Index column, Index, const float* x, Index) {
          parts_.codes(first_ + r, column) = at.quantizer.encode(x, at.best);
        });
      });
    }
  }

 private:
  static constexpr Index lane = kernels::lane_rows;
  struct Group {
    Quantizer<S> quantizer;
    GroupParams<S> params, best;
    float start = 0;          ///< the rule's scale
    float distance = 0;       ///< of values next to each other, as the errors of nearest rounding have it
    float low = 0, high = 0;  ///< the ends of a format of dim 1
  };
  /// Zeros on cache lines.
  struct Floats : AlignedArray<float> {
    explicit Floats(Index size) : AlignedArray<float>(static_cast<std::size_t>(size)) {}
  };

  Group& group(Index g, Index r) { return at_[static_cast<std::size_t>(g * lane + r)]; }

  /// Calls f(code column, its first input, where its weights are by now, how many they are) for the codes of a group.
  template <class F> void for_each_code(Index from, Index inputs, Index r, const F& f) {
    const float distance = group(S::group_inputs == 0 ? 0 : from / std::max(S::group_inputs, 1), r).distance;
    for (Index j = from; j < from + inputs; j += S::dim) {
      const Index count = std::min<Index>(S::dim, from + inputs - j);
      float x[S::dim] = {};
      for (Index d = 0; d < count; ++d) x[d] = w_(first_ + r, j + d) + distance * moves_.data()[(j + d) * lane + r];
      f(j / S::dim, j, static_cast<const float*>(x), count);
    }
  }

  /// Gives a group the scale next to exp(log_scale) times the rule's that can be stored and is not 0.
  static void set_scale(Group& at, float log_scale) {
    using F = typename S::scale::format;
    const float scale = at.start * std::exp(log_scale), top = at.quantizer.top();
    if (scale == 0 || !std::isfinite(scale * top)) return;
    GroupParams<S> params = at.params;
    if constexpr (S::has_super)
      params.scale_code = S::scale::encode(scale * top, top, at.quantizer.super_scale);
    else
      params.scale_code = F::encode(std::abs(scale) <= F::max() ? scale : std::copysign(F::max(), scale));
    params.scale = F::decode(params.scale_code) * at.quantizer.super_scale;
    if constexpr (std::same_as<typename S::scale, ProgressiveScale>) {  // what codes mean is to stay within 8 bits
      const auto zero = static_cast<float>(params.zero_code);
      if (F::decode(params.scale_code) * std::max(zero, top - zero) > 127) return;
    }
    if (params.scale != 0) at.params = params;
  }

  const RowMajorMatrixXf& w_;
  Index first_, rows_;
  const HessianTiles& h_;
  Isa isa_;
  Parts<S>& parts_;
  Index groups_ = parts_.scales.cols(), size_ = w_.cols() * lane;
  std::vector<Group> at_;              ///< [group][row]
  std::array<double, lane> units_{};   ///< of errors
  std::array<double, lane> least_{};   ///< losses of the best roundings
  Floats moves_{size_}, best_{size_};  ///< the moves now and of the best rounding
  Floats values_{size_}, errors_{size_}, products_{round_up(w_.cols(), Index{kernels::lane_cols}) * lane};
  Floats beyond_{size_};               ///< 1 where a weight has left the range upwards, -1 downwards
  Floats log_scales_{groups_ * lane};  ///< [group][row]
  Floats move_slopes_{size_}, scale_slopes_{groups_ * lane};
  Adam<> of_moves_{size_}, of_scales_{groups_ * lane};
};

}  // namespace rounding

/// Learns codes and scales so that the outputs on the Hessian's samples come out best: tr(E H E^T) with E = W - Q. From
/// W and the rule's scales on, both take gradient steps, weights as if rounding were the identity and scales as if
/// codes were constants, and of all the roundings on the way each row keeps the best: its loss is never above
/// nearest's, to the rounding of floats. A code may end at any value, not only next to its weight. Scales are those
/// that the scheme can store, at every step; super-scales, zero points, choices and tables stay as they are, and so
/// does a scale of the whole tensor. For formats of any dim, equal for any number of threads. Throws
/// std::invalid_argument where the Hessian is of another size than W's rows, has no samples or, with `bias`, no mean,
/// or an option is out of range; Cancelled.
/// Source: Hubara et al., "Accurate post training quantization with small calibration sets" (also "Improving post
/// training neural quantization: layer-wise calibration and integer programming"), 2021, section 3.
struct AdaQuant {
  Hessian hessian;
  AdaQuantOptions options = {};

  template <class S, class Rule>
  void round(const RowMajorMatrixXf& w, const Rule& rule, Parts<S>& parts, const Parallel& parallel = {}) const {
    check(w.cols());
    constexpr Index lane = kernels::lane_rows;
    const Index blocks = w.cols() > 0 ? (w.rows() + lane - 1) / lane : 0;
    SharedProgress steps("AdaQuant", options.progress, blocks * options.iterations);
    if (blocks == 0) return;
    if (!(hessian.weight() > 0))
      invalid("AdaQuant", "a Hessian of samples that count", text(hessian.samples(), " samples"));
    hessian.check_definite("AdaQuant", parallel.with(steps));
    const rounding::HessianTiles h(options.bias ? hessian.centred() : hessian, 1, rounding::all_of(w.cols()), parallel);
    const Isa isa = resolve();
    const rounding::LevelsOf<S> levels;
    Nearest{}.round(w, rule, parts, parallel);
    parallel_for(blocks, parallel, [&](Index begin, Index end) {
      for (Index b = begin; b < end; ++b) {
        rounding::StraightRows<S> rows(w, b * lane, std::min(lane, w.rows() - b * lane), h, isa, levels, parts);
        rows.round();
        for (int i = 0; i < options.iterations; ++i) {
          const float pace = 1 - static_cast<float>(i) / static_cast<float>(options.iterations);
          rows.step(pace * options.rate, pace * options.scale_rate);
          rows.round();
          steps.advance(1);
        }
        rows.store();
      }
    });
  }

 private:
  void check(Index inputs) const {
    if (hessian.inputs() != inputs) invalid("AdaQuant", text("a Hessian of ", inputs, " inputs"), hessian.inputs());
    if (options.iterations < 0) invalid("AdaQuant", "at least 0 iterations", options.iterations);
    if (!(options.rate >= 0 && std::isfinite(options.rate)) ||
        !(options.scale_rate >= 0 && std::isfinite(options.scale_rate)))
      invalid("AdaQuant", "finite rates of at least 0", text(options.rate, ", ", options.scale_rate));
  }
};

}  // namespace nibble
