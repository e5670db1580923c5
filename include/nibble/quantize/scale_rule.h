// Scale rules: which range the codes of a group span.
#pragma once

#include "nibble/quantize/quantizer.h"

namespace nibble {

/// A scale rule maps the weights of one group to the scale and zero point that a Quantizer<S> stores for them.
template <class R, class S>
concept ScaleRule = requires(const R& rule, const WeightGroup& group, const Quantizer<S>& quantizer) {
  { rule(group, quantizer) } -> std::same_as<GroupParams<S>>;
};

/// [-m, m] with m the largest magnitude of the group.
struct AbsMax {
  static Range range(std::span<const float> group) {
    float reach = 0;
    for (float w : group) reach = std::max(reach, std::abs(w));
    return {-reach, reach};
  }
  template <class S> GroupParams<S> operator()(const WeightGroup& group, const Quantizer<S>& quantizer) const {
    return quantizer.params(range(group.weights));
  }
};

/// [smallest, largest] weight of the group. Symmetric schemes reach the one of larger magnitude.
struct MinMax {
  static Range range(std::span<const float> group) {
    if (group.empty()) return {0, 0};
    const auto [low, high] = std::minmax_element(group.begin(), group.end());
    return {*low, *high};
  }
  template <class S> GroupParams<S> operator()(const WeightGroup& group, const Quantizer<S>& quantizer) const {
    return quantizer.params(range(group.weights));
  }
};

/// Of the ranges from `shrink` to `stretch` times the whole one, `steps` of them evenly spaced, and the whole one
/// itself, that with the least sum of |error|^power of nearest rounding; stretched ranges whose scale cannot be stored
/// are left out. Never worse than MinMax. (Stretching pays where a power-of-two scale clips, or where a float format is
/// finer elsewhere.)
struct MinimalError {
  int steps = 60;
  float shrink = 0.4f;
  float stretch = 1.4f;
  double power = 2;

  template <class S> GroupParams<S> operator()(const WeightGroup& group, const Quantizer<S>& quantizer) const {
    if (steps < 2 || !(shrink > 0 && shrink <= stretch) || !(power > 0))
      invalid("MinimalError", "steps >= 2, 0 < shrink <= stretch, power > 0",
              text(steps, ", ", shrink, ", ", stretch, ", ", power));
    const Range whole = MinMax::range(group.weights);
    GroupParams<S> best = quantizer.params(whole);
    GroupParams<S> last = best;
    double least = quantizer.error(group.weights, best, power);
    for (int i = 0; i < steps && least > 0; ++i) {
      const float part = stretch + (shrink - stretch) * static_cast<float>(i) / static_cast<float>(steps - 1);
      const Range range{whole.low * part, whole.high * part};
      if (!quantizer.stores(range)) continue;
      const GroupParams<S> params = quantizer.params(range);
      if (params.scale_code == last.scale_code && params.zero_code == last.zero_code) continue;
      last = params;
      const double error = quantizer.error(group.weights, params, power);
      if (error < least) {
        least = error;
        best = params;
      }
    }
    return best;
  }
};

/// What `rule` chooses for a group; of formats that offer a choice, for the one with the least sum of squared errors.
template <class S, class Rule>
GroupParams<S> choose(const Rule& rule, const WeightGroup& group, Quantizer<S> quantizer) {
  GroupParams<S> best = rule(group, quantizer);
  if constexpr (S::choices > 1) {
    double least = quantizer.error(group.weights, best);
    while (++quantizer.side.choice < S::choices) {
      const GroupParams<S> params = rule(group, quantizer);
      const double error = quantizer.error(group.weights, params);
      if (!(error < least)) continue;
      least = error;
      best = params;
    }
  }
  return best;
}

/// What `quantize` uses where no rule is given: MinMax for affine schemes, AbsMax for symmetric ones.
template <class S> using DefaultRule = std::conditional_t<S::affine, MinMax, AbsMax>;

}  // namespace nibble
