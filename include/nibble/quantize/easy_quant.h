// easy_quant: scales of weights and activations, chosen together for the direction of the outputs.
#pragma once

#include <vector>

#include "nibble/quantize/quantize.h"

namespace nibble {

/// Scales tried, as parts of those of the whole range: `steps` of them, evenly spaced from `shrink` to `stretch`, for
/// weights and activations in turn, in at most `rounds` rounds.
struct EasyQuantOptions {
  int steps = 40;
  float shrink = 0.5f;
  float stretch = 1.2f;
  int rounds = 3;
};

/// Weights, the scale for quantize_activations_at, and the cosine between the exact outputs W X and those of both
/// quantized, all outputs taken as one vector; 1 where both are 0.
template <class S> struct EasyQuantized {
  QuantizedMatrix<S> weights;
  float activation_scale = 0;
  double cosine = 1;
};

namespace detail {

/// A rule that was made up before: the parameters of each row, or of the tensor.
template <class S> struct ChosenParams {
  const std::vector<GroupParams<S>>& params;
  GroupParams<S> operator()(const WeightGroup& group, const Quantizer<S>&) const {
    return params[static_cast<std::size_t>(group.row)];
  }
  double error(const WeightGroup&, const Quantizer<S>&, const GroupParams<S>&) const { return 0; }
};

/// What two vectors have to do with each other, in parts that add up: <a, b> and |b|^2.
struct Agreement {
  double dot = 0, square = 0;
  Agreement() = default;
  template <class A, class B>
  Agreement(const Eigen::MatrixBase<A>& a, const Eigen::MatrixBase<B>& b)
      : dot(a.template cast<double>().cwiseProduct(b.template cast<double>()).sum()),
        square(b.template cast<double>().squaredNorm()) {}
  void replace(const Agreement& old, const Agreement& by) {
    dot += by.dot - old.dot;
    square += by.square - old.square;
  }
  double cosine(double a_square) const {
    if (a_square == 0 && square == 0) return 1;
    return a_square > 0 && square > 0 ? dot / std::sqrt(a_square * square) : 0;
  }
};

}  // namespace detail

/// Quantizes W (N x K) to scheme S with one scale per row or tensor, and finds one static 8-bit scale for activations
/// like X (K x M). From the scales of the largest magnitudes on, the scale of each row (or of the tensor), then that of
/// the activations, is replaced by whichever part of it brings the outputs closest to W X in direction, until a round
/// changes nothing. Never worse in cosine than where it starts: DefaultRule's weights and the activations' absmax.
/// Throws std::invalid_argument where shapes do not fit, W or X has a NaN or an infinity, or an option is bad.
/// Source: Wu et al., "EasyQuant: post-training quantization via scale optimization", 2020 (there rows are judged by
/// their own cosines).
template <class S, class DW, class DX>
EasyQuantized<S> easy_quant(const Eigen::MatrixBase<DW>& w, const Eigen::MatrixBase<DX>& x,
                            const EasyQuantOptions& options = {}) {
  static_assert(S::group_inputs == 0, "easy_quant chooses one scale per tensor or per row");
  constexpr bool per_tensor = std::same_as<typename S::group, PerTensor>;
  const auto& [steps, shrink, stretch, rounds] = options;
  if (steps < 2 || !(shrink > 0 && shrink <= stretch && std::isfinite(stretch)) || rounds < 0)
    invalid("easy_quant", "steps >= 2, 0 < shrink <= stretch, rounds >= 0",
            text(steps, ", ", shrink, ", ", stretch, ", ", rounds));
  if (x.rows() != w.cols())
    invalid("easy_quant", text("X with the ", w.cols(), " rows that W has columns"), text(x.rows(), " x ", x.cols()));
  const RowMajorMatrixXf weights = w.template cast<float>();
  const Eigen::MatrixXf inputs = x.template cast<float>();
  if (!inputs.allFinite()) invalid("easy_quant", "finite activations", "a NaN or an infinity");
  const float reach = inputs.size() > 0 ? inputs.cwiseAbs().maxCoeff() : 0.0f;
  const float whole_scale = reach / 127;
  EasyQuantized<S> start{quantize<S>(weights), whole_scale, 1};
  if (weights.size() == 0 || inputs.size() == 0) return start;

  const auto part = [&](int i) {
    return options.stretch +
           (options.shrink - options.stretch) * static_cast<float>(i) / static_cast<float>(options.steps - 1);
  };
  const auto round_inputs = [&](float scale) -> Eigen::MatrixXf {
    if (!(scale > 0)) return Eigen::MatrixXf::Zero(inputs.rows(), inputs.cols());
    return (inputs.array() / scale).max(-127.0f).min(127.0f).rint() * scale;
  };
  const Eigen::MatrixXf exact = weights * inputs;
  const double size = exact.template cast<double>().squaredNorm();
  const auto cosine = [&](const RowMajorMatrixXf& rounded, float scale) {
    return detail::Agreement(exact, rounded * round_inputs(scale)).cosine(size);
  };

  // A group is a run of whole rows: one, or all of them.
  const Index height = per_tensor ? weights.rows() : 1;
  const Index groups = weights.rows() / height;
  const Parts<S> parts = start.weights.parts();
  RowMajorMatrixXf rounded = start.weights.dequantize();
  std::vector<GroupParams<S>> params;
  for (Index g = 0; g < groups; ++g) params.push_back(parts.group(g, 0));
  float scale = whole_scale;
  start.cosine = cosine(rounded, scale);

  Eigen::MatrixXf now = round_inputs(scale);
  for (int round = 0; round < options.rounds; ++round) {
    bool changed = false;
    std::vector<detail::Agreement> each;
    detail::Agreement all;
    for (Index g = 0; g < groups; ++g) {
      each.push_back(
          detail::Agreement(exact.middleRows(g * height, height), rounded.middleRows(g * height, height) * now));
      all.replace({}, each.back());
    }
    for (Index g = 0; g < groups; ++g) {
      Quantizer<S> quantizer(parts, g, 0);
      const auto at = static_cast<std::size_t>(g);
      quantizer.side.choice = params[at].choice;
      const std::span<const float> group(weights.data() + g * height * weights.cols(),
                                         static_cast<std::size_t>(height * weights.cols()));
      const Range whole = MinMax::range(group);
      for (int i = 0; i < options.steps; ++i) {
        const Range range{whole.low * part(i), whole.high * part(i)};
        if (!quantizer.can_span(range)) continue;
        const GroupParams<S> p = quantizer.params(range);
        RowMajorMatrixXf candidate(height, weights.cols());
        for (Index r = 0; r < height; ++r) {
          Quantizer<S>::for_each_code(
              group.subspan(static_cast<std::size_t>(r * weights.cols()), static_cast<std::size_t>(weights.cols())),
              [&](Index c, const float* in) {
                float out[S::dim];
                quantizer.decode(quantizer.encode(in, p), p, out);
                for (Index d = 0; d < S::dim && c * S::dim + d < weights.cols(); ++d)
                  candidate(r, c * S::dim + d) = out[d];
              });
        }
        const detail::Agreement agreement(exact.middleRows(g * height, height), candidate * now);
        detail::Agreement with = all;
        with.replace(each[at], agreement);
        if (!(with.cosine(size) > all.cosine(size))) continue;
        all = with;
        each[at] = agreement;
        params[at] = p;
        rounded.middleRows(g * height, height) = candidate;
        changed = true;
      }
    }
    double best = all.cosine(size);
    for (int i = 0; i < options.steps; ++i) {
      const Eigen::MatrixXf candidate = round_inputs(whole_scale * part(i));
      const double c = detail::Agreement(exact, rounded * candidate).cosine(size);
      if (!(c > best)) continue;
      best = c;
      scale = whole_scale * part(i);
      now = candidate;
      changed = true;
    }
    if (!changed) break;
  }
  EasyQuantized<S> found{quantize<S>(weights, detail::ChosenParams<S>{params}), scale, cosine(rounded, scale)};
  return found.cosine > start.cosine ? found : start;
}

}  // namespace nibble
