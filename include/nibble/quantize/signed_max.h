// SignedMax: the weight of largest magnitude becomes the most negative code.
#pragma once

#include "nibble/quantize/scale_rule.h"

namespace nibble {

/// scale = m / -top, m the weight of largest magnitude with its sign (of equals the first), top the largest magnitude
/// of the format: the scale is negative where m is positive. For formats that reach further down than up (FullInt), so
/// that the largest weight has a code of its own. Source: ggml, quantize_row_q4_0_ref.
struct SignedMax {
  template <class S>
    requires(!S::affine && !S::has_super)
  GroupParams<S>
  operator()(const WeightGroup& group, const Quantizer<S>& quantizer) const {
    float extreme = 0;
    for (float w : group.weights)
      if (std::abs(w) > std::abs(extreme)) extreme = w;
    return quantizer.with_scale(S::scale::encode(-extreme, quantizer.top()));
  }
};

}  // namespace nibble
