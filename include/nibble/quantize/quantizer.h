// Quantizer: turns the weights of one group into codes of a scheme, given the range that they are to span.
#pragma once

#include <limits>
#include <span>

#include "nibble/matrix.h"

namespace nibble {

/// The weights that share one scale, and where they lie in a matrix of `cols` inputs: element e is input
/// (first + e) % cols, counted on from row `row`.
struct WeightGroup {
  std::span<const float> weights;
  Index row = 0;
  Index first = 0;
  Index cols = 0;
  Index input(std::size_t e) const { return (first + static_cast<Index>(e)) % cols; }
};

/// The scheme S at one group of a matrix: its super-scale, and what its codes mean.
template <class S> struct Quantizer {
  using scheme = S;
  using format = typename S::format;

  float super_scale = 1;
  Side side{};

  Quantizer() = default;
  /// That of a group of `parts`, whose super-scales and tables are set.
  Quantizer(const Parts<S>& parts, Index row, Index group)
      : super_scale(parts.super_scale(row, group)), side{parts.table(row, group), 0} {}

  /// The value of the format that the largest weight of a group becomes.
  float top() const { return reach_of<format>(side.choice); }

  /// Whether the scale that spans `range` is one that can be stored without overflow.
  bool can_span(const Range& range) const {
    const float reach = S::affine ? std::max(range.high, 0.0f) - std::min(range.low, 0.0f) : range.reach();
    return S::has_super ? std::isfinite(reach) : reach / top() <= S::scale::format::max();
  }

  /// The stored scale and zero point that make the codes span `range`.
  GroupParams<S> params(Range range) const {
    float reach = range.reach();
    if constexpr (S::affine) {
      range = {std::min(range.low, 0.0f), std::max(range.high, 0.0f)};
      reach = range.high - range.low;
    }
    typename S::scale_code code;
    if constexpr (S::has_super)
      code = S::scale::encode(reach, top(), super_scale);
    else
      code = S::scale::encode(reach, top());
    return with_scale(code, range.low);
  }

  /// The parameters of a stored scale; `low` is the weight that code 0 of affine schemes is to stand for.
  GroupParams<S> with_scale(typename S::scale_code code, float low = 0) const {
    GroupParams<S> p;
    p.choice = static_cast<std::uint8_t>(side.choice);
    p.scale_code = code;
    p.scale = S::scale::format::decode(code) * super_scale;
    if constexpr (S::affine) {
      const float zero = p.scale > 0 ? std::nearbyint(-low / p.scale) : 0;
      p.zero = p.zero_code = static_cast<std::uint8_t>(std::min(std::max(zero, 0.0f), top()));
    }
    return p;
  }

  /// The weights of one code in units of the format.
  void normalize(const float* weights, const GroupParams<S>& p, float* out) const {
    for (int d = 0; d < S::dim; ++d) {
      out[d] = p.scale != 0 ? weights[d] / p.scale : 0.0f;
      if constexpr (S::affine) out[d] += p.zero;  // elsewhere -0 keeps its sign
    }
  }

  /// The code nearest to `dim` weights.
  typename S::code_type encode(const float* weights, const GroupParams<S>& p) const {
    float x[S::dim];
    normalize(weights, p, x);
    return encode_from<format>(x, side);
  }

  /// The `dim` weights that a code stands for.
  void decode(typename S::code_type code, const GroupParams<S>& p, float* weights) const {
    decode_to<format>(code, side, weights);
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

  /// The sum over a group of counts[e] |w - decode(encode(w))|^power, counts of 1 where there are none. Once it exceeds
  /// `limit`, a part of the sum that does so too.
  double error(std::span<const float> group, const GroupParams<S>& p, double power = 2,
               std::span<const float> counts = {}, double limit = std::numeric_limits<double>::infinity()) const {
    if (power == 2) return sum_of(group, p, counts, limit, [](double e) { return e * e; });
    if (power == 1) return sum_of(group, p, counts, limit, [](double e) { return std::abs(e); });
    return sum_of(group, p, counts, limit, [power](double e) { return std::pow(std::abs(e), power); });
  }

 private:
  template <class Measure>
  double sum_of(std::span<const float> group, const GroupParams<S>& p, std::span<const float> counts, double limit,
                const Measure& measure) const {
    constexpr std::size_t run = 32 * static_cast<std::size_t>(S::dim);
    double sum = 0;
    for (std::size_t first = 0; first < group.size() && sum <= limit; first += run) {
      const std::span<const float> part = group.subspan(first, std::min(run, group.size() - first));
      for_each_code(part, [&](Index c, const float* weights) {
        float decoded[S::dim];
        decode(encode(weights, p), p, decoded);
        for (std::size_t d = 0; d < static_cast<std::size_t>(S::dim); ++d) {
          const std::size_t e = static_cast<std::size_t>(c) * S::dim + d;
          if (e >= part.size()) break;
          const double m = measure(static_cast<double>(weights[d]) - static_cast<double>(decoded[d]));
          sum += counts.empty() ? m : static_cast<double>(counts[first + e]) * m;
        }
      });
    }
    return sum;
  }
};

/// The group at `first` of a row of W; per tensor, all of W.
template <class S> WeightGroup weight_group(const RowMajorMatrixXf& w, Index row, Index first, Index count) {
  if constexpr (std::same_as<typename S::group, PerTensor>)
    return {{w.data(), static_cast<std::size_t>(w.size())}, 0, 0, w.cols()};
  else
    return {{w.data() + row * w.cols() + first, static_cast<std::size_t>(count)}, row, first, w.cols()};
}

/// Calls f(group index, first input, inputs) for each group of a row of K inputs.
template <class S, class F> void for_each_group(Index cols, F&& f) {
  const Index size = S::group_inputs == 0 ? cols : S::group_inputs;
  for (Index first = 0, g = 0; first < cols; first += size, ++g) f(g, first, std::min(size, cols - first));
}

}  // namespace nibble
