// Quantizer: turns the weights of one group into codes of a scheme, given the range that they are to span.
#pragma once

#include <span>

#include "nibble/matrix.h"

namespace nibble {

/// The scheme S at one row of a matrix: its tensor scale and the row's table.
template <class S> struct Quantizer {
  using scheme = S;
  using format = typename S::format;

  float tensor_scale = 1;
  const float* table = nullptr;

  /// The stored scale and zero point that make the codes span `range`.
  GroupParams<S> params(Range range) const {
    GroupParams<S> p;
    float reach = range.reach();
    if constexpr (S::affine) {
      range = {std::min(range.low, 0.0f), std::max(range.high, 0.0f)};
      reach = range.high - range.low;
    }
    p.scale_code = S::scale::encode(reach, format::max(), tensor_scale);
    p.scale = S::scale::format::decode(p.scale_code) * tensor_scale;
    if constexpr (S::affine) {
      const float zero = p.scale > 0 ? std::nearbyint(-range.low / p.scale) : 0;
      p.zero_code = static_cast<std::uint8_t>(std::min(std::max(zero, 0.0f), format::max()));
      p.zero = static_cast<float>(p.zero_code);
    }
    return p;
  }

  /// Whether a scale that spans `range` can be stored. All types of scales but StoredScale saturate.
  bool stores(const Range& range) const {
    const float reach = S::affine ? std::max(range.high, 0.0f) - std::min(range.low, 0.0f) : range.reach();
    if constexpr (requires { S::scale::stores(reach, format::max()); }) return S::scale::stores(reach, format::max());
    return std::isfinite(reach);
  }

  /// The weights of one code in units of the format.
  void normalize(const float* weights, const GroupParams<S>& p, float* out) const {
    for (int d = 0; d < S::dim; ++d) out[d] = (p.scale > 0 ? weights[d] / p.scale : 0.0f) + p.zero;
  }

  /// The code nearest to `dim` weights.
  typename S::code_type encode(const float* weights, const GroupParams<S>& p) const {
    float x[S::dim];
    normalize(weights, p, x);
    return encode_from<format>(x, table);
  }

  /// The `dim` weights that a code stands for.
  void decode(typename S::code_type code, const GroupParams<S>& p, float* weights) const {
    decode_to<format>(code, table, weights);
    for (int d = 0; d < S::dim; ++d) weights[d] = (weights[d] - p.zero) * p.scale;
  }

  /// Calls f(code column within the group, its dim weights) for each code; the last one is filled up with zeros.
  template <class F> static void for_each_code(std::span<const float> group, F&& f) {
    const std::size_t whole = group.size() / S::dim;
    for (std::size_t c = 0; c < whole; ++c) f(static_cast<Index>(c), group.data() + c * S::dim);
    if (group.size() % S::dim != 0) {
      float last[S::dim] = {};
      std::copy(group.begin() + static_cast<Index>(whole * S::dim), group.end(), last);
      f(static_cast<Index>(whole), static_cast<const float*>(last));
    }
  }

  /// The sum of |w - decode(encode(w))|^power over a group.
  double error(std::span<const float> group, const GroupParams<S>& p, double power = 2) const {
    double sum = 0;
    for_each_code(group, [&](Index, const float* weights) {
      float decoded[S::dim];
      decode(encode(weights, p), p, decoded);
      for (int d = 0; d < S::dim; ++d) {
        const double e = std::abs(static_cast<double>(weights[d]) - static_cast<double>(decoded[d]));
        sum += power == 2 ? e * e : std::pow(e, power);
      }
    });
    return sum;
  }
};

/// Calls f(group index, first input, inputs) for each group of a row of K inputs.
template <class S, class F> void for_each_group(Index cols, F&& f) {
  const Index size = S::group_inputs == 0 ? cols : S::group_inputs;
  for (Index first = 0, g = 0; first < cols; first += size, ++g) f(g, first, std::min(size, cols - first));
}

}  // namespace nibble
