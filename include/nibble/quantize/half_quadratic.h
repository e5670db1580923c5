// HalfQuadratic: HQQ's scale and zero point.
#pragma once

#include <vector>

#include "nibble/quantize/scale_rule.h"

namespace nibble {

/// Half-quadratic quantization: with p < 1, the sum of |error|^p over a group is made small by splitting the errors into
/// outliers e, shrunk from the last errors r (sign(r) max(0, |r| - |r|^(p - 1) / beta), beta *= kappa each time), and a
/// rest, whose squares decide the zero point (affine schemes) or the scale (symmetric ones). Stops at the first iteration
/// that does not lower the mean |error|, or after `iterations`. Of the range of MinMax and what the iterations led to,
/// the one with the least sum of |error|^p: never worse than MinMax.
///
/// Differs from the original in four ways: zero points are integers here, so the optimum is rounded and the scale then
/// fitted to it in the same way; affine ranges include 0; each group stops by itself, not all of a matrix together; and
/// the last iterate is judged. Errors are taken in units of the weights, so `beta` suits weights as small as those of
/// networks. Source: Badri and Shaji, "Half-quadratic quantization of large machine learning models", 2023.
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

  template <class S>
    requires(S::dim == 1)
  GroupParams<S>
  operator()(const WeightGroup& group, const Quantizer<S>& quantizer) const {
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
    const auto round = [&](double x) {
      const auto in = static_cast<float>(x);
      float out;
      decode_to<typename S::format>(encode_from<typename S::format>(&in, quantizer.side), quantizer.side, &out);
      return static_cast<double>(out);
    };
    GroupParams<S> start = best;
    if constexpr (S::affine) {
      const double top = static_cast<double>(quantizer.top());
      const double scale = static_cast<double>(best.scale);
      const double low = static_cast<double>(std::min(MinMax::range(group.weights).low, 0.0f));
      const double zero = optimal_zero(group.weights, scale, -low / scale, round);
      start = consider(scale, std::min(std::max(std::nearbyint(zero), 0.0), top));
    }
    consider(optimal_scale(group.weights, static_cast<double>(start.scale), static_cast<double>(start.zero), round),
             static_cast<double>(start.zero));
    return best;
  }

  template <class S>
  double error(const WeightGroup& group, const Quantizer<S>& quantizer, const GroupParams<S>& params) const {
    return quantizer.error(group.weights, params, p);
  }

  /// The real zero point that the iterations reach from `zero` for values (round(w / scale + zero) - zero) * scale.
  template <class Round>
  double optimal_zero(std::span<const float> weights, double scale, double zero, const Round& round) const {
    iterate(
        weights, [&](double w) { return (round(w / scale + zero) - zero) * scale; },
        [&](const std::vector<double>& outliers) {
          double sum = 0;
          for (std::size_t i = 0; i < weights.size(); ++i) {
            const double w = static_cast<double>(weights[i]);
            sum += round(w / scale + zero) - (w - outliers[i]) / scale;
          }
          zero = sum / static_cast<double>(weights.size());
        });
    return zero;
  }

  /// The scale that the iterations reach from `scale`, least squares taking the place of the mean.
  template <class Round>
  double optimal_scale(std::span<const float> weights, double scale, double zero, const Round& round) const {
    iterate(
        weights, [&](double w) { return (round(w / scale + zero) - zero) * scale; },
        [&](const std::vector<double>& outliers) {
          double product = 0, square = 0;
          for (std::size_t i = 0; i < weights.size(); ++i) {
            const double w = static_cast<double>(weights[i]);
            const double q = round(w / scale + zero) - zero;
            product += q * (w - outliers[i]);
            square += q * q;
          }
          if (product > 0) scale = product / square;
        });
    return scale;
  }

 private:
  template <class Approximate, class Update>
  void iterate(std::span<const float> weights, const Approximate& approximate, const Update& update) const {
    std::vector<double> outliers(weights.size());
    double least = std::numeric_limits<double>::infinity();
    double b = beta;
    for (int i = 0; i < iterations; ++i) {
      double sum = 0;
      for (std::size_t e = 0; e < weights.size(); ++e) {
        const double w = static_cast<double>(weights[e]);
        const double rest = w - approximate(w);
        const double size = std::abs(rest);
        const double shrunk = size > 0 ? size - std::pow(size, p - 1) / b : 0;
        outliers[e] = shrunk > 0 ? std::copysign(shrunk, rest) : 0;
        sum += size;
      }
      update(outliers);
      b *= kappa;
      if (!(sum < least)) return;
      least = sum;
    }
  }
};

}  // namespace nibble
