// The scales of a panel as floats.
#pragma once

#include "nibble/kernels/targets.h"
#include "nibble/matrix/quantized_matrix.h"

namespace nibble::kernels {

/// out[group][16] = the scales of panel p of W, with their super-scales where `supers`.
template <class Tag, class S> void panel_scales(const QuantizedMatrix<S>& w, Index p, bool supers, float* out) {
  const Layout<S>& layout = w.layout();
  const Index count = layout.groups * lanes;
  if constexpr (Layout<S>::per_tensor)
    std::fill_n(out, count, count > 0 ? S::scale::format::decode(*w.scales()) : 0);
  else
    DecodeScales<Tag, typename S::scale::format>::run(w.scales() + p * count, count, out);
  if (S::has_super && supers)
    for (Index i = 0; i < count; ++i) out[i] *= w.super_scale(p * lanes + i % lanes, i / lanes);
}

}  // namespace nibble::kernels
