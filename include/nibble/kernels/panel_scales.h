// The codes of a panel, and its scales as floats.
#pragma once

#include "nibble/kernels/targets.h"
#include "nibble/matrix/quantized_matrix.h"

namespace nibble::kernels {

/// The codes of panel p of W, whose panels have 16 rows.
template <class S> Panel panel_codes(const QuantizedMatrix<S>& w, Index p) {
  Panel panel;
  for (std::size_t i = 0; i < Layout<S>::planes.count; ++i) panel.plane[i] = w.plane(i) + p * w.layout().panel_bytes(i);
  return panel;
}

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
  if constexpr (S::has_super) {
    if (!supers) return;
    using Rows = Eigen::Array<float, lanes, 1>;
    Rows super;
    for (Index g = 0; g < layout.groups; ++g) {
      if constexpr (std::same_as<typename S::super_span, PerTensor>) {
        super.setConstant(w.super_scale(0, 0));
      } else if (g == 0 || layout.span_of(g) != layout.span_of(g - 1)) {
        const auto* codes = w.supers() + layout.supers.index(p * lanes, layout.span_of(g));
        DecodeScales<Tag, typename S::super_format>::run(codes, lanes, super.data());
      }
      Eigen::Map<Rows>(out + g * lanes) *= super;
    }
  }
}

}  // namespace nibble::kernels
