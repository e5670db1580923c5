// Percentile: a range that leaves the largest weights of a group out.
#pragma once

#include <vector>

#include "nibble/quantize/scale_rule.h"

namespace nibble {

/// The range that holds `p` percent of a group, 0 < p <= 100: symmetric schemes reach the p-th percentile of |w|;
/// affine ones go from the (100 - p) / 2-th to the (100 + p) / 2-th percentile of w. The q-th percentile of n sorted
/// weights lies at place (n - 1) q / 100, counted from 0, linearly between its two neighbours. p = 100 is MinMax.
/// Source: Wu et al., "Integer quantization for deep learning inference", 2020, section 5.
struct Percentile {
  double p = 99.9;

  void check(Index) const {
    if (!(p > 0 && p <= 100)) invalid("Percentile", "0 < p <= 100", p);
  }
  template <class S> GroupParams<S> operator()(const WeightGroup& group, const Quantizer<S>& quantizer) const {
    check(group.cols);
    if (p == 100 || group.weights.empty()) return MinMax{}(group, quantizer);
    std::vector<float> weights(group.weights.begin(), group.weights.end());
    if (S::affine) {
      const float high = percentile(weights, (100 + p) / 2);
      return quantizer.params({percentile(weights, (100 - p) / 2), high});
    }
    for (float& w : weights) w = std::abs(w);
    const float reach = percentile(weights, p);
    return quantizer.params({-reach, reach});
  }

  /// The q-th percentile of `values`, which are not empty and are reordered.
  static float percentile(std::vector<float>& values, double q) {
    const double place = static_cast<double>(values.size() - 1) * (q / 100);
    const auto whole = std::min(static_cast<std::size_t>(place), values.size() - 1);
    const auto below = values.begin() + static_cast<std::ptrdiff_t>(whole);
    std::nth_element(values.begin(), below, values.end());
    if (whole + 1 == values.size()) return *below;
    const double low = static_cast<double>(*below);
    const double high = static_cast<double>(*std::min_element(below + 1, values.end()));
    return static_cast<float>(low + (high - low) * (place - static_cast<double>(whole)));
  }
};

}  // namespace nibble
