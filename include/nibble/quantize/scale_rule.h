// Scale rules: which range the codes of a group span.
#pragma once

#include "nibble/quantize/quantizer.h"

namespace nibble {

/// A scale rule maps the weights of one group to the scale and zero point that a Quantizer<S> stores for them. It may
/// also have
///     void check(Index inputs) const           that throws where its options do not suit a matrix of K inputs;
///     float input_weight(Index j) const        how much input j counts when tables are learned;
///     double error(group, quantizer, params)   what it minimises, to choose between formats; else squared error.
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

/// What `rule` minimises over a group: its own error where it has one, else the sum of squared errors.
template <class S, class Rule>
double error_of(const Rule& rule, const WeightGroup& group, const Quantizer<S>& quantizer,
                const GroupParams<S>& params) {
  if constexpr (requires { rule.error(group, quantizer, params); })
    return rule.error(group, quantizer, params);
  else
    return quantizer.error(group.weights, params);
}

/// What `rule` chooses for a group; of formats that offer a choice, for the one with the least error.
template <class S, class Rule>
GroupParams<S> choose(const Rule& rule, const WeightGroup& group, Quantizer<S> quantizer) {
  GroupParams<S> best = rule(group, quantizer);
  if constexpr (S::choices > 1) {
    double least = error_of(rule, group, quantizer, best);
    while (++quantizer.side.choice < S::choices) {
      const GroupParams<S> params = rule(group, quantizer);
      const double error = error_of(rule, group, quantizer, params);
      if (!(error < least)) continue;
      least = error;
      best = params;
    }
  }
  return best;
}

}  // namespace nibble
