// AbsMean: the mean magnitude as the scale.
#pragma once

#include "nibble/quantize/scale_rule.h"

namespace nibble {

/// scale = mean |w|, so that 1 stands for the mean magnitude: BitNet's rule for ternary weights (nearest rounding then
/// is clip(round(w / mean |w|), -1, 1)) and the best scale of signs. Sources: Ma et al., "The era of 1-bit LLMs", 2024;
/// Rastegari et al., "XNOR-Net", 2016.
struct AbsMean {
  template <class S>
    requires(!S::affine)
  GroupParams<S>
  operator()(const WeightGroup& group, const Quantizer<S>& quantizer) const {
    double sum = 0;
    for (float w : group.weights) sum += static_cast<double>(std::abs(w));
    const double count = static_cast<double>(std::max<std::size_t>(group.weights.size(), 1));
    const float reach = static_cast<float>(sum / count * static_cast<double>(quantizer.top()));
    return quantizer.params({-reach, reach});
  }
};

}  // namespace nibble
