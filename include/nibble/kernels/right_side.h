// What products of compounds do to their right-hand side: floats, or quantized activations.
#pragma once

#include <Eigen/Core>

#include "nibble/matrix/activations.h"

namespace nibble::kernels {

using FloatInputs = Eigen::Ref<const Eigen::MatrixXf>;

/// f(X) with X as floats.
template <class F> void with_floats(const FloatInputs& x, const F& f) {
  f(x);
}
template <class S, class F> void with_floats(const QuantizedActivations<S>& x, const F& f) {
  f(FloatInputs(x.dequantize()));
}

/// The activations whose row k is row source(k) of X, for `count` rows: exactly the same integers. Where scales are
/// shared by groups of inputs, source must map groups to groups.
template <class S, class Source>
QuantizedActivations<S> select_rows(const QuantizedActivations<S>& x, Index count, const Source& source) {
  using Activations = QuantizedActivations<S>;
  constexpr int parts = Activations::parts;
  const auto& from = x.shape();
  const typename Activations::Shape to(count, x.cols());
  AlignedArray<std::int8_t> codes(static_cast<std::size_t>(to.bytes()));
  AlignedArray<float> scales(static_cast<std::size_t>(to.scales()));
  AlignedArray<std::int8_t> zeros(static_cast<std::size_t>(S::affine ? to.scales() : 0));
  for (Index t = 0; t < to.tiles.count; ++t) {
    const Index width = to.tiles.width(t), first = to.tiles.first(t);
    for (Index k = 0; k < count; ++k) {
      const std::int8_t* in = x.codes(0) + from.code_index(source(k), first);
      std::int8_t* out = codes.data() + to.code_index(k, first);
      for (Index c = 0; c < parts * width; ++c) out[4 * c] = in[4 * c];
    }
    for (Index g = 0; g < to.groups(); ++g) {
      const Index group = S::group_inputs == 0 ? 0 : source(g * S::group_inputs) / S::group_inputs;
      for (Index m = first; m < first + width; ++m) {
        const auto at = static_cast<std::size_t>(to.scale_index(g, m));
        scales[at] = x.scale(group, m);
        if (S::affine) zeros[at] = static_cast<std::int8_t>(x.zero(group, m));
      }
    }
  }
  return Activations(to, std::move(codes), std::move(scales), std::move(zeros));
}

/// f(rows first .. first + count - 1 of X). Quantized activations stay so unless a group of them would be cut.
template <class F> void with_rows(const FloatInputs& x, Index first, Index count, const F& f) {
  f(FloatInputs(x.middleRows(first, count)));
}
template <class S, class F> void with_rows(const QuantizedActivations<S>& x, Index first, Index count, const F& f) {
  if (S::group_inputs == 0 || first % S::group_inputs == 0)
    f(select_rows(x, count, [first](Index k) { return first + k; }));
  else
    f(FloatInputs(x.dequantize().middleRows(first, count)));
}

/// f(the matrix whose row k is row order[k] of X); X itself where the order is empty. Quantized activations stay so
/// where each column has one scale.
template <class F> void with_order(const FloatInputs& x, const Eigen::VectorXi& order, const F& f) {
  if (order.size() == 0) return f(x);
  Eigen::MatrixXf ordered(x.rows(), x.cols());
  for (Index m = 0; m < x.cols(); ++m)
    for (Index k = 0; k < x.rows(); ++k) ordered(k, m) = x(order[k], m);
  f(FloatInputs(ordered));
}
template <class S, class F>
void with_order(const QuantizedActivations<S>& x, const Eigen::VectorXi& order, const F& f) {
  if (order.size() == 0) return f(x);
  if constexpr (S::group_inputs == 0)
    f(select_rows(x, x.rows(), [&order](Index k) -> Index { return order[k]; }));
  else
    with_order(FloatInputs(x.dequantize()), order, f);
}

}  // namespace nibble::kernels
