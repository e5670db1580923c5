// The scale and zero point, of many, under which the weights of a group are rounded with the least error.
#pragma once

#include "nibble/quantize/quantizer.h"
#include "nibble/quantize/rounding_steps.h"

namespace nibble {

/// The sum of counts[e] |error|^power over weights of magnitude 1 or so, as Quantizer::error has it but for the
/// rounding of floats, so that a tie may go either way. Once it exceeds `limit`, a part of the sum that does so too.
inline double fast_error(const RoundingSteps& steps, std::span<const float> weights, std::span<const float> counts,
                         float zero, float scale, double power, double limit) {
  using Array = Eigen::Map<const Eigen::ArrayXf>;
  constexpr std::size_t run = 64;
  const bool vanishes = !(scale > 1e-30f);
  const float inverse = vanishes ? 0 : 1 / scale;
  double sum = 0;
  for (std::size_t first = 0; first < weights.size() && sum <= limit; first += run) {
    const auto size = static_cast<Eigen::Index>(std::min(run, weights.size() - first));
    const Array w(weights.data() + first, size);
    Eigen::Array<float, Eigen::Dynamic, 1, 0, run, 1> error(size);
    if (vanishes) {
      error = w;
    } else if (steps.unit() > 0) {
      // As formats::nearest_even: what is behind the point is lost in the sum with 1.5 * 2^23.
      const float low = (steps.values().front() - zero) * scale;
      const float top = static_cast<float>(steps.edges().size());
      error = ((w - low) * (inverse / steps.unit())).max(0.0f).min(top) + 12582912.0f;
      error = (error - 12582912.0f) * (steps.unit() * scale) - (w - low);
    } else {
      for (Eigen::Index e = 0; e < size; ++e) error[e] = w[e] - (steps.round(w[e] * inverse + zero) - zero) * scale;
    }
    if (power == 2)
      error = error.square();
    else if (power == 1)
      error = error.abs();
    else
      error = error.abs().pow(static_cast<float>(power));
    if (!counts.empty()) error *= Array(counts.data() + first, size);
    sum += static_cast<double>(error.sum());
  }
  return sum;
}

/// The place in `candidates`, which is not empty, of the parameters with the least Quantizer::error over `group`; of
/// equals the first. `counts` has one entry for each weight, or none where all count 1.
template <class S>
std::size_t least_error(std::span<const float> group, const Quantizer<S>& quantizer,
                        const std::vector<GroupParams<S>>& candidates, double power = 2,
                        std::span<const float> counts = {}) {
  constexpr bool fast = S::dim == 1 && S::table_size == 0 && S::format::bits <= 8;
  double least = std::numeric_limits<double>::infinity();
  std::size_t best = 0;
  const auto search = [&](const auto& error_of) {
    for (std::size_t c = 0; c < candidates.size() && least > 0; ++c) {
      const double error = error_of(candidates[c]);
      if (!(error < least)) continue;
      least = error;
      best = c;
    }
  };
  if constexpr (fast) {
    // In units of about the largest weight, squares neither overflow nor vanish.
    float reach = 0;
    for (float w : group) reach = std::max(reach, std::abs(w));
    if (!(reach > 0)) return 0;
    const double unit = std::ldexp(1.0, -std::ilogb(reach));
    std::vector<float> weights(group.size());
    for (std::size_t e = 0; e < weights.size(); ++e)
      weights[e] = static_cast<float>(static_cast<double>(group[e]) * unit);
    const RoundingSteps& steps = rounding_steps<typename S::format>(quantizer.side.choice);
    search([&](const GroupParams<S>& p) {
      const auto scale = static_cast<float>(std::min(static_cast<double>(p.scale) * unit, 1e30));
      return fast_error(steps, weights, counts, p.zero, scale, power, least);
    });
  } else {
    search([&](const GroupParams<S>& p) { return quantizer.error(group, p, power, counts, least); });
  }
  return best;
}

}  // namespace nibble
