// The search for the range of a group, beginning from the whole one.
#pragma once

#include "nibble/quantize/least_error.h"
#include "nibble/quantize/scale_rule.h"

namespace nibble {

/// Which parts of the whole range are tried: `steps` of them, evenly spaced from `shrink` to `stretch`.
struct RangeSearch {
  int steps = 60;
  float shrink = 0.4f;
  float stretch = 1.4f;

  void check(const char* rule) const {
    if (steps < 2 || !(shrink > 0 && shrink <= stretch && stretch <= std::numeric_limits<float>::max()))
      invalid(rule, "steps >= 2, 0 < shrink <= stretch", text(steps, ", ", shrink, ", ", stretch));
  }

  float part(int step) const {
    return stretch + (shrink - stretch) * static_cast<float>(step) / static_cast<float>(steps - 1);
  }

  /// The parameters of the part with the least sum of counts[e] |error|^power of nearest rounding, never more than that
  /// of the whole range. Both ends shrink alike; in affine schemes the high end and then the low end once more alone.
  template <class S>
  GroupParams<S> operator()(const WeightGroup& group, const Quantizer<S>& quantizer, double power = 2,
                            std::span<const float> counts = {}) const {
    const Range whole = MinMax::range(group.weights);
    const GroupParams<S> start = quantizer.params(whole);
    std::vector<GroupParams<S>> candidates;
    std::vector<Range> ranges;
    Range best = whole;
    const auto search = [&](bool low, bool high) {
      candidates.assign(1, quantizer.params(best));
      ranges.assign(1, best);
      for (int i = 0; i < steps; ++i) {
        const Range range{low ? whole.low * part(i) : best.low, high ? whole.high * part(i) : best.high};
        if (!quantizer.can_span(range)) continue;
        const GroupParams<S> params = quantizer.params(range);
        const GroupParams<S>& last = candidates.back();
        if (params.scale_code == last.scale_code && params.zero_code == last.zero_code) continue;
        candidates.push_back(params);
        ranges.push_back(range);
      }
      best = ranges[least_error(group.weights, quantizer, candidates, power, counts)];
    };
    search(true, true);
    if constexpr (S::affine) {
      if (whole.low < 0 && whole.high > 0) {
        search(false, true);
        search(true, false);
      }
    }
    const GroupParams<S> found = quantizer.params(best);
    if (found.scale_code == start.scale_code && found.zero_code == start.zero_code) return start;
    const double error = quantizer.error(group.weights, start, power, counts);
    return quantizer.error(group.weights, found, power, counts) < error ? found : start;
  }
};

}  // namespace nibble
