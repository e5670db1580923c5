// Matryoshka: codes of which the top bits alone are good codes too.
#pragma once

#include <array>

#include "nibble/matrix/slice.h"
#include "nibble/rounding/column_solver.h"

namespace nibble {

/// `rule`, but with zero points that are multiples of `multiple`, as slices of fewer bits need them (`slice`): of the
/// two next to the rule's, each with the rule's scale and with the least that spans what the rule's would, the one with
/// the least error. Symmetric schemes get what the rule says.
template <class Rule = MinMax> struct NestedZero {
  int multiple = 1;
  Rule rule = {};

  void check(Index inputs) const {
    if (multiple < 1 || multiple > 128) invalid("NestedZero", "a multiple from 1 to 128", multiple);
    if constexpr (requires { rule.check(inputs); }) rule.check(inputs);
  }

  template <class S> GroupParams<S> operator()(const WeightGroup& group, const Quantizer<S>& quantizer) const {
    const GroupParams<S> wanted = rule(group, quantizer);
    if constexpr (!S::affine) return wanted;
    GroupParams<S> best;
    double least = std::numeric_limits<double>::infinity();
    const int top = static_cast<int>(quantizer.top()), below = wanted.zero_code / multiple * multiple;
    for (int zero : {below, below + multiple}) {
      if (zero > top) continue;
      const float low = wanted.zero, high = static_cast<float>(top) - wanted.zero;
      const float room_below = static_cast<float>(zero), room_above = static_cast<float>(top - zero);
      for (float stretch :
           {1.0f, room_below > 0 ? low / room_below : 1.0f, room_above > 0 ? high / room_above : 1.0f}) {
        const float scale = wanted.scale * stretch;
        const Range range{-room_below * scale, room_above * scale};
        if (!quantizer.can_span(range)) continue;
        GroupParams<S> params = quantizer.params(range);
        params.zero = params.zero_code = static_cast<std::uint8_t>(zero);
        const double error = error_of(rule, group, quantizer, params);
        if (!(error < least)) continue;
        least = error;
        best = params;
      }
    }
    return best;
  }
};

/// Codes for Ldlq of Int<B, ...> and UInt<B, ...> that serve several widths at once: B, first in the list, and others
/// below it in descending order, whose matrices `slice` cuts out. Each width has a target of its own, which knows what
/// the errors of its own slices have left to make good; of all codes that is chosen for which the sum over the widths
/// of weight * (target - value)^2 is least. What is minimised is the sum of weight * tr(E H E^T); `options.loss`
/// receives it. Dynamic groups choose scales from the targets of width B. Narrower widths of affine schemes need
/// NestedZero.
/// Sources: Nair et al., "Matryoshka quantization", 2025; Kleinegger et al., "MatGPTQ", 2026 (there the widths share
/// one target).
template <int B, int... Narrower> struct Matryoshka {
  static constexpr int ways = 1 + sizeof...(Narrower);
  /// How much each width counts, in the order of the list; finite, none negative, that of B above 0.
  std::array<float, ways> weights = ones();

  template <class S> auto encode_of() const {
    static_assert(S::format::bits == B, "the first width is that of the scheme");
    for (int way = 0; way < ways; ++way)
      if (!(weights[static_cast<std::size_t>(way)] >= (way == 0 ? std::numeric_limits<float>::min() : 0.0f) &&
            std::isfinite(weights[static_cast<std::size_t>(way)])))
        invalid("Matryoshka", way == 0 ? "a finite weight above 0" : "finite weights of at least 0",
                weights[static_cast<std::size_t>(way)]);
    return [runs = runs_of<typename S::format>(), weights = weights](const Quantizer<S>& quantizer,
                                                                     const GroupParams<S>& params) {
      return Encode<S>{runs, weights, quantizer, params};
    };
  }

 private:
  static constexpr std::array<int, ways> widths = {B, Narrower...};
  static constexpr bool descending() {
    for (int way = 1; way < ways; ++way)
      if (widths[static_cast<std::size_t>(way)] >= widths[static_cast<std::size_t>(way) - 1]) return false;
    return true;
  }
  static_assert(descending(), "widths in descending order");
  static_assert(ways <= kernels::lane_rows, "at most as many widths as there are lanes");

  static constexpr std::array<float, ways> ones() {
    std::array<float, ways> all{};
    for (float& one : all) one = 1;
    return all;
  }

  /// Codes next to each other that all narrower widths slice to the same values.
  struct Run {
    float first, last;
    std::array<float, ways> values;  ///< in units of width B; that of width B itself means nothing
  };
  template <class F> static std::vector<Run> runs_of() {
    std::vector<Run> runs;
    for (std::uint32_t c = 0; c < code_count<F>; ++c) {
      const float value = F::decode(static_cast<typename F::code_type>(c));
      if (F::encode(value) != c) continue;
      std::array<float, ways> values = {0.0f, static_cast<float>(slice_value<typename SliceFormat<F, Narrower>::type>(
                                                                     static_cast<int>(value), B - Narrower) *
                                                                 (1 << (B - Narrower)))...};
      if (!runs.empty() && runs.back().values == values)
        runs.back().last = value;
      else
        runs.push_back({value, value, values});
    }
    return runs;
  }

  template <class S> struct Encode {
    static constexpr int ways = Matryoshka::ways;
    const std::vector<Run>& runs;
    const std::array<float, ways>& weights;
    const Quantizer<S>& quantizer;
    const GroupParams<S>& params;

    float weight(int way) const { return weights[static_cast<std::size_t>(way)]; }

    typename S::code_type operator()(const float* targets, Index, Index, float* rounded) const {
      float x[ways], values[ways] = {};
      for (int way = 0; way < ways; ++way) quantizer.normalize(targets + way, params, x + way);
      const float nearest = S::format::decode(S::format::encode(x[0]));
      double least = std::numeric_limits<double>::infinity();
      for (const Run& run : runs) {
        const float value = std::min(std::max(nearest, run.first), run.last);
        const auto error_of = [&](std::size_t way, float coded) {
          const double difference = static_cast<double>(x[way]) - static_cast<double>(coded);
          return static_cast<double>(weights[way]) * difference * difference;
        };
        double error = error_of(0, value);
        for (std::size_t way = 1; way < ways; ++way) error += error_of(way, run.values[way]);
        if (!(error < least)) continue;
        least = error;
        std::copy(run.values.begin(), run.values.end(), values);
        values[0] = value;
      }
      for (int way = 0; way < ways; ++way) rounded[way] = (values[way] - params.zero) * params.scale;
      return S::format::encode(values[0]);
    }
  };
};

}  // namespace nibble
