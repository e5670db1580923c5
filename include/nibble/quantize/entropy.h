// Entropy: the range under which the distribution of a group changes least.
#pragma once

#include <vector>

#include "nibble/quantize/scale_rule.h"

namespace nibble {

/// TensorRT's calibration. |w| is counted in `bins` equal bins up to the largest. For each number i of bins from
/// `levels` up, P is the first i bins with all that lies beyond added to the last; Q cuts these i bins (without what
/// lies beyond) into `levels` runs, bins floor(l i / levels) to floor((l + 1) i / levels), and spreads the sum of each
/// run evenly over its bins that P fills; where that leaves nothing in the last bin, it has 1e-4 of a weight. The range
/// reaches the upper edge of bin i with the least divergence sum P log(P / Q) of the normalized P and Q; of equals, the
/// widest. `levels` is 2^(bits per weight - 1), the values that one sign has; 2^bits in affine schemes where all
/// weights have one sign. Affine ranges are cut on both sides at that edge. A group has no more bins than weights; one
/// too small for more bins than levels gets the range of MinMax. Source: Migacz, "8-bit inference with TensorRT", GTC
/// 2017 (there the middle of the bin after i); what it leaves open (the lengths of runs, bins that Q lacks) much as
/// MXNet has it.
struct Entropy {
  int bins = 2048;

  void check(Index) const {
    if (bins < 2) invalid("Entropy", "at least 2 bins", bins);
  }
  template <class S> GroupParams<S> operator()(const WeightGroup& group, const Quantizer<S>& quantizer) const {
    check(group.cols);
    const Range whole = MinMax::range(group.weights);
    const bool one_sign = S::affine && (whole.low >= 0 || whole.high <= 0);
    const int bits = S::format::bits / S::dim - (one_sign ? 0 : 1);
    const float reach = threshold(group.weights, std::size_t{1} << std::max(bits, 0));
    return quantizer.params({std::max(whole.low, -reach), std::min(whole.high, reach)});
  }

  /// The magnitude to which `weights` are kept.
  float threshold(std::span<const float> weights, std::size_t levels) const {
    const float reach = AbsMax::range(weights).reach();
    const std::size_t count = std::min(static_cast<std::size_t>(bins), weights.size());
    if (!(reach > 0) || count <= levels) return reach;
    // Sums over the first bins of h, of h log h and of bins that are not empty; all that a candidate asks for.
    std::vector<double> sums(count + 1), logs(count + 1);
    std::vector<std::size_t> filled(count + 1);
    std::vector<double> histogram(count);
    for (float w : weights) {
      const double place = static_cast<double>(std::abs(w)) / static_cast<double>(reach) * static_cast<double>(count);
      histogram[std::min(static_cast<std::size_t>(place), count - 1)] += 1;
    }
    for (std::size_t b = 0; b < count; ++b) {
      sums[b + 1] = sums[b] + histogram[b];
      logs[b + 1] = logs[b] + x_log_y(histogram[b], histogram[b]);
      filled[b + 1] = filled[b] + (histogram[b] > 0);
    }
    const double total = sums[count];
    double least = std::numeric_limits<double>::infinity();
    std::size_t best = count;
    for (std::size_t i = count; i >= levels; --i) {
      if (sums[i] == 0) continue;
      const double last = histogram[i - 1] + total - sums[i];
      double cross = 0;
      for (std::size_t l = 0; l < levels; ++l) {
        const std::size_t begin = l * i / levels, end = (l + 1) * i / levels;
        const double sum = sums[end] - sums[begin];
        if (l + 1 < levels) {
          if (sum > 0) cross += sum * std::log(sum / static_cast<double>(filled[end] - filled[begin]));
        } else if (last > 0 || sum > 0) {
          const auto others = static_cast<double>(filled[end - 1] - filled[begin]);
          const double each = sum / (others + (last > 0 ? 1 : 0));
          cross += x_log_y(sum - histogram[i - 1], each) + x_log_y(last, sum > 0 ? each : 1e-4);
        }
      }
      // sum P log P - sum P log Q, with P = p / total and Q = q / sums[i]
      const double divergence = (logs[i - 1] + x_log_y(last, last) - cross) / total + std::log(sums[i] / total);
      if (divergence < least - 1e-12) {
        least = divergence;
        best = i;
      }
    }
    return best == count ? reach : reach * static_cast<float>(best) / static_cast<float>(count);
  }

 private:
  static double x_log_y(double x, double y) { return x > 0 ? x * std::log(y) : 0; }
};

}  // namespace nibble
