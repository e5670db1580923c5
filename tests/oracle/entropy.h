// TensorRT's divergences, one candidate after the other from their definition. Shares no code with nibble.
#pragma once

#include <cmath>
#include <limits>
#include <vector>

namespace oracle {

/// result[i]: the divergence of keeping the first i of `bins` bins of |values|; infinite below `levels`, and where
/// these bins are empty. A last bin that Q leaves empty has 1e-4 values.
inline std::vector<double> entropy_divergences(const std::vector<float>& values, int bins, int levels) {
  double reach = 0;
  for (float v : values) reach = std::max(reach, std::abs(static_cast<double>(v)));
  std::vector<double> histogram(static_cast<std::size_t>(bins));
  for (float v : values) {
    int bin = static_cast<int>(std::abs(static_cast<double>(v)) / reach * bins);
    if (bin == bins) bin = bins - 1;
    histogram[static_cast<std::size_t>(bin)] += 1;
  }
  const double infinity = std::numeric_limits<double>::infinity();
  std::vector<double> result(static_cast<std::size_t>(bins) + 1, infinity);
  for (int i = levels; i <= bins; ++i) {
    std::vector<double> p(histogram.begin(), histogram.begin() + i);
    for (std::size_t b = static_cast<std::size_t>(i); b < histogram.size(); ++b) p.back() += histogram[b];
    std::vector<double> q(static_cast<std::size_t>(i), 0.0);
    for (int l = 0; l < levels; ++l) {
      const int begin = static_cast<int>(static_cast<long>(l) * i / levels);
      const int end = static_cast<int>(static_cast<long>(l + 1) * i / levels);
      double sum = 0, filled = 0;
      for (int b = begin; b < end; ++b) {
        sum += histogram[static_cast<std::size_t>(b)];
        if (p[static_cast<std::size_t>(b)] != 0) filled += 1;
      }
      for (int b = begin; b < end; ++b)
        if (p[static_cast<std::size_t>(b)] != 0) q[static_cast<std::size_t>(b)] = sum / filled;
    }
    double p_sum = 0, q_sum = 0;
    for (double x : p) p_sum += x;
    for (double x : q) q_sum += x;
    if (q_sum == 0) continue;
    if (q.back() == 0) q.back() = 1e-4;
    double divergence = 0;
    for (std::size_t b = 0; b < p.size(); ++b) {
      if (p[b] == 0) continue;
      divergence += q[b] == 0 ? infinity : p[b] / p_sum * std::log((p[b] / p_sum) / (q[b] / q_sum));
    }
    result[static_cast<std::size_t>(i)] = divergence;
  }
  return result;
}

}  // namespace oracle
