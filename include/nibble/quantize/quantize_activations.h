// quantize_activations: from a matrix of activations to the right-hand side of integer products.
#pragma once

#include "nibble/core/parallel.h"
#include "nibble/formats/integer.h"
#include "nibble/matrix/activations.h"

namespace nibble {

namespace detail {

/// What the integers of a group of activations stand for: (integer - zero) * scale.
struct ActivationGrid {
  float scale;
  int zero = 0;
};

/// Codes of X under the grid that grid_of(range of the group) gives for each group of a column.
template <class S, class Derived, class GridOf>
QuantizedActivations<S> encode_activations(const Eigen::MatrixBase<Derived>& x, const GridOf& grid_of,
                                           const Parallel& parallel) {
  using Activations = QuantizedActivations<S>;
  constexpr int parts = Activations::parts;
  constexpr int low = S::affine ? -Activations::offset : -Activations::top;
  constexpr int high = Activations::top - Activations::offset;
  const typename Activations::Shape shape(x.rows(), x.cols());
  AlignedArray<std::int8_t> codes(static_cast<std::size_t>(shape.bytes()));
  AlignedArray<float> scales(static_cast<std::size_t>(shape.scales()));
  AlignedArray<std::int8_t> zeros(static_cast<std::size_t>(S::affine ? shape.scales() : 0));
  const Index size = S::group_inputs == 0 ? shape.rows : S::group_inputs;
  parallel_for(shape.cols, parallel, [&](Index begin, Index end) {
    Eigen::VectorXf column(shape.rows);
    for (Index m = begin; m < end; ++m) {
      column = x.col(m).template cast<float>();
      for (Index first = 0, g = 0; first < shape.rows; first += size, ++g) {
        const auto group = column.segment(first, std::min(size, shape.rows - first));
        if (!group.allFinite())
          invalid("quantize_activations", "finite activations", text("a NaN or an infinity in column ", m));
        const ActivationGrid grid = grid_of(Range{group.minCoeff(), group.maxCoeff()});
        const std::size_t at = static_cast<std::size_t>(shape.scale_index(g, m));
        scales[at] = grid.scale;
        if (S::affine) zeros[at] = static_cast<std::int8_t>(grid.zero);
        for (Index k = first; k < first + group.size(); ++k) {
          const auto zero = static_cast<float>(grid.zero);
          const float steps = grid.scale > 0 ? column[k] / grid.scale : 0.0f;
          const int integer = formats::nearest_even(
              std::max(static_cast<float>(low), std::min(static_cast<float>(high), steps + zero)));
          const int first_part = parts == 2 ? formats::nearest_even(static_cast<float>(integer) / 255) : integer;
          codes[static_cast<std::size_t>(shape.code_index(k, m))] = static_cast<std::int8_t>(first_part);
          if (parts == 2)
            codes[static_cast<std::size_t>(shape.code_index(k, m, 1))] =
                static_cast<std::int8_t>(integer - 255 * first_part);
        }
      }
    }
  });
  return Activations(shape, std::move(codes), std::move(scales), std::move(zeros));
}

/// The grid that just holds a range and 0.
template <class S> ActivationGrid activation_grid(const Range& range) {
  using Activations = QuantizedActivations<S>;
  if constexpr (!S::affine) {
    return {range.reach() / static_cast<float>(Activations::top)};
  } else {
    const float low = std::min(range.low, 0.0f), high = std::max(range.high, 0.0f);
    const float scale = high / static_cast<float>(Activations::top) - low / static_cast<float>(Activations::top);
    return {scale, scale > 0 ? formats::nearest_even(-low / scale) - Activations::offset : -Activations::offset};
  }
}

}  // namespace detail

/// Quantizes X (K x M, any scalar type) along K, one grid per column (S = Int<B>, 8 bits by default, or UInt<B>) or per
/// G inputs of a column (Int<B, Group<G>>, UInt<B, Group<G>>). Symmetric: scale = largest magnitude / top, integer = the
/// one nearest to x / scale, ties to even. Affine: scale = (high - low) / top over a range that always includes 0, zero =
/// the integer nearest to -low / scale, less the offset, and integers nearest to x / scale + zero. `top` and `offset` are
/// those of QuantizedActivations<S>. An all-zero group has scale 0. Throws std::invalid_argument where X has a NaN or an
/// infinity.
template <class S = Int<8>, class Derived>
QuantizedActivations<S> quantize_activations(const Eigen::MatrixBase<Derived>& x, const Parallel& parallel = {}) {
  return detail::encode_activations<S>(x, detail::activation_grid<S>, parallel);
}

/// The same under one static scale for all columns of a symmetric S, as calibration found it; what lies beyond
/// scale * top is clipped. Throws std::invalid_argument unless the scale is finite and at least 0, too.
template <class S = Int<8>, class Derived>
  requires(!S::affine)
QuantizedActivations<S> quantize_activations_at(const Eigen::MatrixBase<Derived>& x, float scale,
                                                const Parallel& parallel = {}) {
  if (!(scale >= 0 && std::isfinite(scale))) invalid("quantize_activations_at", "a finite scale of at least 0", scale);
  return detail::encode_activations<S>(
      x, [scale](const Range&) { return detail::ActivationGrid{scale}; }, parallel);
}

}  // namespace nibble
