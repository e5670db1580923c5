// MinimalError: the range under which the weights are rounded with the least error.
#pragma once

#include "nibble/quantize/range_search.h"

namespace nibble {

/// Of the ranges from `shrink` to `stretch` times the whole one, `steps` of them evenly spaced, and the whole one
/// itself, that with the least sum of |error|^power of nearest rounding. Never worse than MinMax. (Stretching pays
/// where a power-of-two scale clips, or where a float format is finer elsewhere.) In affine schemes the two ends also
/// move alone. Under a float format the scale is 2^-bias for a real-valued exponent bias, and with
/// formats::BestOf<...> the number of exponent bits is searched too. Sources: Kuzmin et al., "FP8 quantization: the
/// power of the exponent", 2022; Liu et al., "LLM-FP4", 2023, section 3.
struct MinimalError {
  int steps = 60;
  float shrink = 0.4f;
  float stretch = 1.4f;
  double power = 2;

  void check(Index) const {
    RangeSearch{steps, shrink, stretch}.check("MinimalError");
    if (!(power > 0 && std::isfinite(power))) invalid("MinimalError", "power > 0", power);
  }
  template <class S> GroupParams<S> operator()(const WeightGroup& group, const Quantizer<S>& quantizer) const {
    check(group.cols);
    return RangeSearch{steps, shrink, stretch}(group, quantizer, power);
  }
  template <class S>
  double error(const WeightGroup& group, const Quantizer<S>& quantizer, const GroupParams<S>& params) const {
    return quantizer.error(group.weights, params, power);
  }
};

}  // namespace nibble
