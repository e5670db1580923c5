// What a scheme takes from a matrix before any code is chosen: super-scales and tables.
#pragma once

#include "nibble/core/parallel.h"
#include "nibble/quantize/scale_rule.h"

namespace nibble {

/// Chooses the super-scale of each span from its range and the largest reach of its groups.
template <class S> void set_super_scales(const RowMajorMatrixXf& w, Parts<S>& parts) {
  struct Extent {
    Range whole{0, 0};
    float reach = 0;
  };
  std::vector<Extent> extents(static_cast<std::size_t>(parts.supers.size()));
  for (Index row = 0; row < w.rows(); ++row) {
    for_each_group<S>(w.cols(), [&](Index g, Index first, Index count) {
      const Range range = MinMax::range({w.data() + row * w.cols() + first, static_cast<std::size_t>(count)});
      const Index r = Parts<S>::template shared_row<typename S::super_span>(row);
      Extent& extent = extents[static_cast<std::size_t>(r * parts.supers.cols() + Layout<S>::span_of(g))];
      extent.whole = {std::min(extent.whole.low, range.low), std::max(extent.whole.high, range.high)};
      const float reach = S::affine ? std::max(range.high, 0.0f) - std::min(range.low, 0.0f) : range.reach();
      extent.reach = std::max(extent.reach, reach);
    });
  }
  for (std::size_t i = 0; i < extents.size(); ++i)
    parts.supers.data()[i] = S::super_format::encode(
        S::scale::super_scale(extents[i].whole, extents[i].reach, reach_of<typename S::format>()));
}

/// Learns each table from the weights that share it, divided by their absmax scales; a weight counts by the square of
/// its scale and, where the rule weighs inputs, by the weight of its input. Where nothing counts, all levels are 0.
template <class S, class Rule>
void fit_tables(const RowMajorMatrixXf& w, const Rule& rule, Parts<S>& parts, const Parallel& parallel) {
  struct Samples {
    std::vector<float> values, sizes;  // sizes: square roots of the weights, any common factor
    float largest = 0;
  };
  std::vector<Samples> samples(static_cast<std::size_t>(parts.tables.rows()));
  for (Index row = 0; row < w.rows(); ++row) {
    for_each_group<S>(w.cols(), [&](Index g, Index first, Index count) {
      const Quantizer<S> quantizer(parts, row, g);
      const float scale = AbsMax{}(weight_group<S>(w, row, first, count), quantizer).scale;
      Samples& s = samples[static_cast<std::size_t>((quantizer.side.table - parts.tables.data()) / S::table_size)];
      for (Index j = first; j < first + count; ++j) {
        float size = scale;
        if constexpr (requires { rule.input_weight(j); }) size *= std::sqrt(rule.input_weight(j));
        s.values.push_back(scale > 0 ? w(row, j) / scale : 0.0f);
        s.sizes.push_back(size);
        s.largest = std::max(s.largest, size);
      }
    });
  }
  parallel_for(parts.tables.rows(), parallel, [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) {
      Samples& s = samples[static_cast<std::size_t>(i)];
      if (s.largest > 0) {
        for (float& size : s.sizes) size = size / s.largest * (size / s.largest);
        S::format::fit(s.values.data(), s.sizes.data(), static_cast<Index>(s.values.size()),
                       parts.tables.row(i).data());
      }
      parallel.advance(1);
    }
  });
}

/// The parts of W with super-scales and tables set. Throws std::invalid_argument where the rule's options are bad.
template <class S, class Rule> Parts<S> prepare(const RowMajorMatrixXf& w, const Rule& rule, const Parallel& parallel) {
  if constexpr (requires { rule.check(w.cols()); }) rule.check(w.cols());
  Parts<S> parts(w.rows(), w.cols());
  if (w.size() == 0) return parts;
  if constexpr (S::has_super) set_super_scales(w, parts);
  if constexpr (S::table_size > 0) fit_tables(w, rule, parts, parallel);
  return parts;
}

}  // namespace nibble
