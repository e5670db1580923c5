// quantize_activations: from a matrix of activations to the right-hand side of integer products.
#pragma once

#include "nibble/core/parallel.h"
#include "nibble/formats/integer.h"
#include "nibble/matrix/activations.h"

namespace nibble {

namespace detail {

/// Codes of X under the scale that scale_of(largest magnitude) gives for each group of a column.
template <class S, class Derived, class ScaleOf>
QuantizedActivations<S> encode_activations(const Eigen::MatrixBase<Derived>& x, const ScaleOf& scale_of,
                                           const Parallel& parallel) {
  using Shape = typename QuantizedActivations<S>::Shape;
  const Shape shape{x.rows(), x.cols()};
  AlignedArray<std::int8_t> codes(static_cast<std::size_t>(shape.padded_rows() * shape.cols));
  AlignedArray<float> scales(static_cast<std::size_t>(shape.groups() * shape.cols));
  const Index size = S::group_inputs == 0 ? shape.rows : S::group_inputs;
  parallel_for(shape.cols, parallel, [&](Index begin, Index end) {
    Eigen::VectorXf column(shape.padded_rows());
    column.setZero();
    for (Index m = begin; m < end; ++m) {
      column.head(shape.rows) = x.col(m).template cast<float>();
      const Index width = shape.width(m / column_tile);
      std::int8_t* out = codes.data() + shape.code_index(0, m);
      for (Index first = 0, g = 0; first < shape.rows; first += size, ++g) {
        const auto group = column.segment(first, std::min(size, shape.rows - first));
        if (!group.allFinite())
          invalid("quantize_activations", "finite activations", text("a NaN or an infinity in column ", m));
        const float scale = scale_of(group.cwiseAbs().maxCoeff());
        scales[static_cast<std::size_t>(shape.scale_index(g, m))] = scale;
        if (!(scale > 0)) continue;
        for (Index k = first; k < first + group.size(); ++k) {
          const float code = std::max(-S::format::max(), std::min(S::format::max(), column[k] / scale));
          out[4 * width * (k / 4) + k % 4] = static_cast<std::int8_t>(formats::nearest_even(code));
        }
      }
    }
  });
  return QuantizedActivations<S>(shape, std::move(codes), std::move(scales));
}

}  // namespace detail

/// Quantizes X (K x M, any scalar type) symmetrically along K: scale = largest magnitude / S::format::max(), code = the
/// integer nearest to x / scale, ties to even. S is Int<B, PerRow>, one scale per column (the default, 8 bits), or
/// Int<B, Group<G>>, one for each G inputs of a column. An all-zero group has scale 0. Throws std::invalid_argument
/// where X has a NaN or an infinity.
template <class S = Int<8>, class Derived>
QuantizedActivations<S> quantize_activations(const Eigen::MatrixBase<Derived>& x, const Parallel& parallel = {}) {
  return detail::encode_activations<S>(
      x, [](float reach) { return reach / S::format::max(); }, parallel);
}

/// The same under one static scale for all columns, as calibration found it; what lies beyond scale * S::format::max()
/// is clipped. Throws std::invalid_argument unless the scale is finite and at least 0, too.
template <class S = Int<8>, class Derived>
QuantizedActivations<S> quantize_activations_at(const Eigen::MatrixBase<Derived>& x, float scale,
                                                const Parallel& parallel = {}) {
  if (!(scale >= 0 && std::isfinite(scale))) invalid("quantize_activations_at", "a finite scale of at least 0", scale);
  return detail::encode_activations<S>(
      x, [scale](float) { return scale; }, parallel);
}

}  // namespace nibble
