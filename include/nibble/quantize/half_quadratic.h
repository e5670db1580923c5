// HalfQuadratic: HQQ's scale and zero point.
#pragma once

#include <vector>

#include "nibble/quantize/scale_rule.h"

namespace nibble {

/// Half-quadratic quantization: with p < 1, the sum of |error|^p over a group is made small by splitting the errors
/// into outliers e, shrunk from the last errors r (sign(r) max(0, |r| - |r|^(p - 1) / beta), beta *= kappa each time),
/// and a rest, whose squares decide the zero point (affine schemes) or the scale (symmetric ones). Stops at the first
/// iteration that does not lower the mean |error|, or after `iterations`. Of the range of MinMax and what the
/// iterations led to, the one with the least sum of |error|^p: never worse than MinMax.
///
/// Differs from the original in four ways: zero points are integers here, so the optimum is rounded and the scale then
/// fitted to it by the same iterations; affine ranges include 0; each group stops by itself, not all of a matrix
/// together; and what comes out is judged. As in the original, errors are taken as they are: with the default `beta`,
/// outliers are errors beyond 10^(-1 / 1.3) = 0.17, so that weights as small as those of networks have none and the
/// iterations are means. Source: Badri and Shaji, "Half-quadratic quantization of large machine learning models", 2023.
struct HalfQuadratic {
  double p = 0.7;
  double beta = 10;
  double kappa = 1.01;
  int iterations = 20;

  void check(Index) const {
    if (!(p > 0 && p <= 1) || !(beta > 0) || !(kappa > 0) || iterations < 1)
      invalid("HalfQuadratic", "0 < p <= 1, beta > 0, kappa > 0, iterations >= 1",
              text(p, ", ", beta, ", ", kappa, ", ", iterations));
  }

  template <class S> GroupParams<S> operator()(const WeightGroup& group, const Quantizer<S>& quantizer) const {
    check(group.cols);
    GroupParams<S> best = MinMax{}(group, quantizer);
    if (!(best.scale > 0)) return best;
    double least = error(group, quantizer, best);
    const auto consider = [&](double scale, double zero) {
      const Range range{static_cast<float>(-zero * scale),
                        static_cast<float>((static_cast<double>(quantizer.top()) - zero) * scale)};
      if (!(scale > 0) || !quantizer.can_span(range)) return best;
      const GroupParams<S> params = quantizer.params(range);
      const double e = error(group, quantizer, params);
      if (e < least) {
        least = e;
        best = params;
      }
      return params;
    };
    const auto round = [&](double scale, double zero, std::vector<double>& values) {
      Quantizer<S>::for_each_code(group.weights, [&](Index c, const float* weights) {
        float x[S::dim], decoded[S::dim];
        for (int d = 0; d < S::dim; ++d) x[d] = static_cast<float>(static_cast<double>(weights[d]) / scale + zero);
        decode_to<typename S::format>(encode_from<typename S::format>(x, quantizer.side), quantizer.side, decoded);
        const std::size_t first = static_cast<std::size_t>(c) * S::dim;
        for (std::size_t d = 0; d < S::dim && first + d < values.size(); ++d)
          values[first + d] = static_cast<double>(decoded[d]);
      });
    };
    GroupParams<S> start = best;
    if constexpr (S::affine) {
      const double top = static_cast<double>(quantizer.top());
      const double scale = static_cast<double>(best.scale);
      const double low = static_cast<double>(std::min(MinMax::range(group.weights).low, 0.0f));
      const double zero = optimal_zero(group.weights, scale, -low / scale, round);
      start = consider(scale, std::min(std::max(std::nearbyint(zero), 0.0), top));
    }
    const double zero = static_cast<double>(start.zero);
    consider(optimal_scale(group.weights, static_cast<double>(start.scale), zero, round), zero);
    return best;
  }

  template <class S>
  double error(const WeightGroup& group, const Quantizer<S>& quantizer, const GroupParams<S>& params) const {
    return quantizer.error(group.weights, params, p);
  }

  /// The real zero point that the iterations reach from `zero`. round(scale, zero, values) sets `values` to what the
  /// format makes of w / scale + zero; values (round - zero) * scale stand for the weights.
  template <class Round>
  double optimal_zero(std::span<const float> weights, double scale, double zero, const Round& round) const {
    iterate(weights, scale, zero, round, [&](const std::vector<double>& values, const std::vector<double>& inliers) {
      double sum = 0;
      for (std::size_t e = 0; e < weights.size(); ++e) sum += values[e] - inliers[e] / scale;
      zero = sum / static_cast<double>(weights.size());
    });
    return zero;
  }

  /// The scale that the iterations reach from `scale`, least squares taking the place of the mean.
  template <class Round>
  double optimal_scale(std::span<const float> weights, double scale, double zero, const Round& round) const {
    iterate(weights, scale, zero, round, [&](const std::vector<double>& values, const std::vector<double>& inliers) {
      double product = 0, square = 0;
      for (std::size_t e = 0; e < weights.size(); ++e) {
        product += (values[e] - zero) * inliers[e];
        square += (values[e] - zero) * (values[e] - zero);
      }
      if (product > 0) scale = product / square;
    });
    return scale;
  }

 private:
  /// Splits and updates in turn; update(rounded values, weights without their outliers) changes `scale` or `zero`.
  template <class Round, class Update>
  void iterate(std::span<const float> weights, const double& scale, const double& zero, const Round& round,
               const Update& update) const {
    std::vector<double> values(weights.size()), inliers(weights.size());
    double least = std::numeric_limits<double>::infinity();
    double b = beta;
    for (int i = 0; i < iterations; ++i) {
      round(scale, zero, values);
      const double shrinks_to_zero = std::pow(b, -1 / (2 - p));
      double sum = 0;
      for (std::size_t e = 0; e < weights.size(); ++e) {
        const double w = static_cast<double>(weights[e]);
        const double rest = w - (values[e] - zero) * scale;
        const double size = std::abs(rest);
        const double outlier = size > shrinks_to_zero ? std::max(size - std::pow(size, p - 1) / b, 0.0) : 0.0;
        inliers[e] = w - std::copysign(outlier, rest);
        sum += size;
      }
      update(values, inliers);
      b *= kappa;
      if (!(sum < least)) return;
      least = sum;
    }
  }
};

}  // namespace nibble
