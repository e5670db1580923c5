// Roundings that look at one code at a time: nearest and stochastic.
#pragma once

#include "nibble/core/parallel.h"
#include "nibble/core/random.h"
#include "nibble/formats/levels.h"
#include "nibble/quantize/scale_rule.h"

namespace nibble {

/// A rounding fills the codes, scales, zero points and choices of `parts`, whose super-scales and tables are set, from
/// W. Results must not depend on `parallel`.
template <class R, class S>
concept Rounding = requires(const R& rounding, const RowMajorMatrixXf& w, Parts<S>& parts, const Parallel& parallel) {
  rounding.round(w, AbsMax{}, parts, parallel);
};

/// Chooses the scale, zero point and format of every group of W by `rule`.
template <class S, class Rule>
void choose_groups(const RowMajorMatrixXf& w, const Rule& rule, Parts<S>& parts, const Parallel& parallel) {
  const bool per_tensor = std::same_as<typename S::group, PerTensor>;
  const Index rows = per_tensor ? std::min<Index>(1, w.rows()) : w.rows();
  parallel_for(rows, parallel, [&](Index begin, Index end) {
    for (Index row = begin; row < end; ++row) {
      for_each_group<S>(w.cols(), [&](Index g, Index first, Index count) {
        parts.set_group(row, g, choose(rule, weight_group<S>(w, row, first, count), Quantizer<S>(parts, row, g)));
      });
      parallel.advance(1);
    }
  });
}

/// Chooses the scales of every group by `rule`, then each of its codes by encode(weights, row, code column), where
/// encode is what encode_of(quantizer, params) makes for the group.
template <class S, class Rule, class EncodeOf>
void round_by_group(const RowMajorMatrixXf& w, const Rule& rule, Parts<S>& parts, const Parallel& parallel,
                    const EncodeOf& encode_of) {
  choose_groups(w, rule, parts, parallel);
  parallel_for(w.rows(), parallel, [&](Index begin, Index end) {
    for (Index row = begin; row < end; ++row) {
      for_each_group<S>(w.cols(), [&](Index g, Index first, Index count) {
        Quantizer<S> quantizer(parts, row, g);
        const GroupParams<S> params = parts.group(row, g);
        quantizer.side.choice = params.choice;
        const std::span<const float> weights(w.data() + row * w.cols() + first, static_cast<std::size_t>(count));
        const auto encode = encode_of(quantizer, params);
        Quantizer<S>::for_each_code(weights, [&](Index c, const float* x) {
          const Index column = first / S::dim + c;
          parts.codes(row, column) = encode(x, row, column);
        });
      });
    }
  });
}

/// Every weight to the nearest value, ties to the even code.
struct Nearest {
  template <class S, class Rule>
  void round(const RowMajorMatrixXf& w, const Rule& rule, Parts<S>& parts, const Parallel& parallel = {}) const {
    round_by_group(w, rule, parts, parallel, encode_of<S>());
  }

  /// What round_by_group and the column solver take.
  template <class S> auto encode_of() const {
    return [](const Quantizer<S>& quantizer, const GroupParams<S>& params) {
      return [&](const float* x, Index, Index) { return quantizer.encode(x, params); };
    };
  }
};

/// Every weight to one of its two neighbouring values, the nearer the likelier, so that the expectation is the weight
/// itself inside the range. Weight (i, j) depends on the seed and its position only.
struct Stochastic {
  std::uint64_t seed = 0;

  template <class S, class Rule>
  void round(const RowMajorMatrixXf& w, const Rule& rule, Parts<S>& parts, const Parallel& parallel = {}) const {
    round_by_group(w, rule, parts, parallel, encode_of<S>());
  }

  /// What round_by_group and the column solver take.
  template <class S> auto encode_of() const {
    static_assert(S::dim == 1, "stochastic rounding needs values that are ordered: a format of dim 1");
    using F = typename S::format;
    std::vector<std::vector<Level<F>>> fixed;
    if (S::table_size == 0)
      for (int choice = 0; choice < S::choices; ++choice) fixed.push_back(make_levels<F>({nullptr, choice}));
    return
        [fixed = std::move(fixed), random = Random(seed)](const Quantizer<S>& quantizer, const GroupParams<S>& params) {
          std::vector<Level<F>> learned;
          if (S::table_size > 0) learned = make_levels<F>(quantizer.side);
          return [&, learned = std::move(learned)](const float* weight, Index i, Index j) {
            float x = 0;
            quantizer.normalize(weight, params, &x);
            const auto [below, above] = neighbours(S::table_size > 0 ? learned : fixed[params.choice], x);
            const float up = (x - below.value) / (above.value - below.value);
            const float u = random.uniform(static_cast<std::uint64_t>(j), static_cast<std::uint64_t>(i));
            return above.value > below.value && u < up ? above.code : below.code;
          };
        };
  }
};

}  // namespace nibble
