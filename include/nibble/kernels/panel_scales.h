// The scales of a panel as floats.
#pragma once

#include "nibble/kernels/targets.h"
#include "nibble/matrix/quantized_matrix.h"

namespace nibble::kernels {

/// out[group][16] = the scales of panel p of W, with their super-scales where `supers`.
template <class Tag, class S> void panel_scales(const QuantizedMatrix<S>& w, Index p, bool supers, float* out) {
  const Layout<S>& layout = w.layout();
  const Index count = layout.groups * lanes;
  if constexpr (Layout<S>::per_tensor) {
    std::fill_n(out, count, count > 0 ? S::scale::format::decode(*w.scales()) : 0);
  } else {
    const auto* codes = w.scales() + p * count;
    // The next panel's come from memory while this one is multiplied.
    if (p + 1 < layout.panels)
      for (Index i = 0; i < count; i += 64 / static_cast<Index>(sizeof *codes)) __builtin_prefetch(codes + count + i);
    DecodeScales<Tag, typename S::scale::format>::run(codes, count, out);
  }
  if (S::has_super && supers) {
    float super[lanes];
    for (Index g = 0; g < layout.groups; ++g) {
      if (g == 0 || layout.span_of(g) != layout.span_of(g - 1))
        for (Index r = 0; r < lanes; ++r) super[r] = w.super_scale(p * lanes + r, g);
      for (Index r = 0; r < lanes; ++r) out[g * lanes + r] *= super[r];
    }
  }
}

}  // namespace nibble::kernels
