// What a scheme takes from a matrix before any code is chosen: super-scales and tables.
#pragma once

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
        S::scale::super_scale(extents[i].whole, extents[i].reach, max_of<typename S::format>()));
}

/// Learns each table from the weights that share it, divided by their absmax scales; a weight counts by the square of
/// its scale and, where the rule has weights per input, by that of its input.
template <class S, class Rule> void fit_tables(const RowMajorMatrixXf& w, const Rule& rule, Parts<S>& parts) {
  struct Sample {
    std::vector<float> values, weights;
  };
  std::vector<Sample> samples(static_cast<std::size_t>(parts.tables.rows()));
  for (Index row = 0; row < w.rows(); ++row) {
    for_each_group<S>(w.cols(), [&](Index g, Index first, Index count) {
      const Quantizer<S> quantizer(parts, row, g);
      const GroupParams<S> params = AbsMax{}(weight_group<S>(w, row, first, count), quantizer);
      Sample& sample = samples[static_cast<std::size_t>((quantizer.side.table - parts.tables.data()) / S::table_size)];
      for (Index j = first; j < first + count; ++j) {
        sample.values.push_back(params.scale > 0 ? w(row, j) / params.scale : 0.0f);
        float weight = params.scale * params.scale;
        if constexpr (requires { rule.input_weight(j); }) weight *= rule.input_weight(j);
        sample.weights.push_back(weight);
      }
    });
  }
  for (std::size_t i = 0; i < samples.size(); ++i)
    S::format::fit(samples[i].values.data(), samples[i].weights.data(), static_cast<Index>(samples[i].values.size()),
                   parts.tables.row(static_cast<Index>(i)).data());
}

/// The parts of W with super-scales and tables set. Throws std::invalid_argument where the rule's options are bad.
template <class S, class Rule> Parts<S> prepare(const RowMajorMatrixXf& w, const Rule& rule) {
  if constexpr (requires { rule.check(w.cols()); }) rule.check(w.cols());
  Parts<S> parts(w.rows(), w.cols());
  if (w.size() == 0) return parts;
  if constexpr (S::has_super) set_super_scales(w, parts);
  if constexpr (S::table_size > 0) fit_tables(w, rule, parts);
  return parts;
}

}  // namespace nibble
