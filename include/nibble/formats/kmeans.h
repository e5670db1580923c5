// Weighted k-means on a line: the k levels of least squared error for given samples.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "nibble/core/error.h"

namespace nibble::formats {

/// Local: Lloyd's method, with levels moved from where they are missed least to where they help most once it comes to
/// rest. Global: the least error that any levels have.
enum class Optimum { Local, Global };

struct KMeansOptions {
  Optimum optimum = Optimum::Local;
  int max_iterations = 1000;  ///< of the local method, which ends earlier where the error no longer falls
};

struct KMeansResult {
  double error = 0;    ///< sum of weight * (value - nearest level)^2, before the levels are rounded to float
  int iterations = 0;  ///< of the local method
};

namespace kmeans {

/// Sums of weight, weight * x and weight * x^2.
struct Sums {
  double mass = 0, moment = 0, square = 0;
  Sums plus(double weight, double x) const { return {mass + weight, moment + weight * x, square + weight * x * x}; }
};

/// The distinct values among samples that weigh more than 2^-40 of all, ascending, with sums over any run of them in
/// constant time.
class SortedSamples {
 public:
  SortedSamples(const float* values, const float* weights, std::ptrdiff_t count) {
    std::vector<std::pair<float, float>> samples;
    samples.reserve(static_cast<std::size_t>(count));
    for (std::ptrdiff_t i = 0; i < count; ++i) {
      const float weight = weights == nullptr ? 1.0f : weights[i];
      if (!std::isfinite(values[i])) invalid("kmeans_1d", "finite values", text(values[i], " at ", i));
      if (!std::isfinite(weight) || weight < 0) invalid("kmeans_1d", "finite weights >= 0", text(weight, " at ", i));
      if (weight > 0) samples.emplace_back(values[i] + 0.0f, weight);  // -0 becomes 0
    }
    if (samples.empty()) invalid("kmeans_1d", "a sample of positive weight", text("none among ", count));
    // Equal values in order of weight: so the sums do not depend on the order of the samples.
    std::sort(samples.begin(), samples.end());

    double mass = 0;
    std::vector<double> masses;
    for (const auto& [value, weight] : samples) {
      if (values_.empty() || values_.back() != value) {
        values_.push_back(value);
        masses.push_back(0);
      }
      masses.back() += static_cast<double>(weight);
      mass += static_cast<double>(weight);
    }
    std::size_t kept = 0;
    for (std::size_t i = 0; i < values_.size(); ++i) {
      if (masses[i] < mass * 0x1p-40) continue;  // would be lost among the sums
      values_[kept] = values_[i];
      masses[kept++] = masses[i];
    }
    values_.resize(kept);

    // The sums start at the median and are about it, so that values far out do not blur those further in.
    std::size_t median = 0;
    for (double below = masses[0]; below < mass / 2 && median + 1 < kept; below += masses[median]) ++median;
    centre_ = static_cast<double>(values_[median]);
    sums_.resize(kept + 1);
    for (std::size_t i = median; i < kept; ++i)
      sums_[i + 1] = sums_[i].plus(masses[i], static_cast<double>(values_[i]) - centre_);
    for (std::size_t i = median; i > 0; --i)
      sums_[i - 1] = sums_[i].plus(-masses[i - 1], static_cast<double>(values_[i - 1]) - centre_);
  }

  std::size_t size() const { return values_.size(); }
  float value(std::size_t i) const { return values_[i]; }
  /// Over the values before `end`, less those over the values before the median; x is relative to the median.
  const Sums& sums(std::size_t end) const { return sums_[end]; }
  /// The weight of the values begin .. end - 1.
  double mass(std::size_t begin, std::size_t end) const { return sums_[end].mass - sums_[begin].mass; }

  /// The mean of the values begin .. end - 1, which are not none.
  double mean(std::size_t begin, std::size_t end) const {
    const double mean = centre_ + (sums_[end].moment - sums_[begin].moment) / mass(begin, end);
    return std::clamp(mean, static_cast<double>(values_[begin]), static_cast<double>(values_[end - 1]));
  }

  /// The squared error of the values begin .. end - 1 about their mean.
  double error(std::size_t begin, std::size_t end) const {
    if (end - begin < 2) return 0;
    const double moment = sums_[end].moment - sums_[begin].moment;
    const double error = sums_[end].square - sums_[begin].square - moment * moment / mass(begin, end);
    return error > 0 ? error : 0;
  }

  /// The first value at or after `from` that is above x.
  std::size_t first_above(double x, std::size_t from) const {
    const auto at = std::upper_bound(values_.begin() + static_cast<std::ptrdiff_t>(from), values_.end(), x,
                                     [](double bound, float value) { return bound < static_cast<double>(value); });
    return static_cast<std::size_t>(at - values_.begin());
  }

 private:
  std::vector<float> values_;
  std::vector<Sums> sums_;
  double centre_ = 0;
};

/// Cluster j holds the values splits[j] .. splits[j + 1] - 1. None is empty.
using Splits = std::vector<std::size_t>;

inline double total_error(const SortedSamples& samples, const Splits& splits) {
  double sum = 0;
  for (std::size_t j = 0; j + 1 < splits.size(); ++j) sum += samples.error(splits[j], splits[j + 1]);
  return sum;
}

/// Where Lloyd's method starts: k clusters of about equal share of the integral of density^(1/3), the spread of the
/// best levels where there are many (Panter and Dite, 1951). Between two neighbouring values of mean weight w and
/// distance d it is w^(1/3) d^(2/3). k <= samples.size().
inline Splits seed_splits(const SortedSamples& samples, std::size_t k) {
  const std::size_t n = samples.size();
  std::vector<double> share(n);  // [i]: of the values before i + 1
  for (std::size_t i = 1; i < n; ++i) {
    const double weight = samples.mass(i - 1, i + 1) / 2;
    const double distance = static_cast<double>(samples.value(i)) - static_cast<double>(samples.value(i - 1));
    share[i] = share[i - 1] + std::cbrt(weight * distance * distance);
  }
  Splits splits = {0};
  for (std::size_t j = 1; j < k; ++j) {
    const double target = share[n - 1] * static_cast<double>(j) / static_cast<double>(k);
    const auto at = std::lower_bound(share.begin(), share.end(), target) - share.begin();
    // Each cluster needs a value, also those that follow.
    splits.push_back(std::clamp(static_cast<std::size_t>(at), splits.back() + 1, n - (k - j)));
  }
  splits.push_back(n);
  return splits;
}

/// Where to cut a cluster in two, and by how much that lowers the error.
struct Cut {
  std::size_t cluster = 0, at = 0;
  double gain = -std::numeric_limits<double>::infinity();
};

/// The best cut of cluster j; where it has one value, the gain is -infinity.
inline Cut best_cut(const SortedSamples& samples, const Splits& splits, std::size_t j) {
  Cut best{.cluster = j, .at = splits[j]};
  const double whole = samples.error(splits[j], splits[j + 1]);
  for (std::size_t i = splits[j] + 1; i < splits[j + 1]; ++i) {
    const double gain = whole - samples.error(splits[j], i) - samples.error(i, splits[j + 1]);
    if (gain > best.gain) best = {j, i, gain};
  }
  return best;
}

/// Removes the empty clusters of `splits` and cuts as many others, where that lowers the error most.
inline void refill_empty(const SortedSamples& samples, Splits& splits) {
  const std::size_t size = splits.size();
  splits.erase(std::unique(splits.begin(), splits.end()), splits.end());
  while (splits.size() < size) {
    Cut best;
    for (std::size_t j = 0; j + 1 < splits.size(); ++j) {
      const Cut cut = best_cut(samples, splits, j);
      if (cut.gain > best.gain) best = cut;
    }
    splits.insert(splits.begin() + static_cast<std::ptrdiff_t>(best.cluster) + 1, best.at);
  }
}

/// Joins clusters with their neighbours and cuts others in exchange, wherever that lowers the error: what moves levels
/// between regions, which Lloyd's method hardly does.
inline Splits exchange(const SortedSamples& samples, const Splits& splits) {
  const std::size_t k = splits.size() - 1;
  std::vector<Cut> cuts, joints;  // of joints, the gain is negative
  for (std::size_t j = 0; j < k; ++j) cuts.push_back(best_cut(samples, splits, j));
  for (std::size_t j = 0; j + 1 < k; ++j)
    joints.push_back({j, splits[j + 1],
                      samples.error(splits[j], splits[j + 1]) + samples.error(splits[j + 1], splits[j + 2]) -
                          samples.error(splits[j], splits[j + 2])});
  const auto more = [](const Cut& a, const Cut& b) { return a.gain > b.gain; };
  std::stable_sort(cuts.begin(), cuts.end(), more);
  std::stable_sort(joints.begin(), joints.end(), more);

  Splits next = splits;
  std::vector<bool> touched(k);
  for (const Cut& joint : joints) {
    const std::size_t j = joint.cluster;
    if (touched[j] || touched[j + 1]) continue;
    const auto cut = std::find_if(cuts.begin(), cuts.end(), [&](const Cut& c) {
      return !touched[c.cluster] && c.cluster != j && c.cluster != j + 1;
    });
    if (cut == cuts.end() || !(cut->gain + joint.gain > 0)) break;
    touched[j] = touched[j + 1] = touched[cut->cluster] = true;
    next[j + 1] = cut->at;
  }
  std::sort(next.begin(), next.end());
  return next;
}

/// One step of Lloyd's method: each value goes to the nearest mean, of two equally near to the lower.
inline Splits lloyd_step(const SortedSamples& samples, const Splits& splits) {
  const std::size_t k = splits.size() - 1;
  Splits next = {0};
  double mean = samples.mean(splits[0], splits[1]);
  for (std::size_t j = 1; j < k; ++j) {
    const double above = samples.mean(splits[j], splits[j + 1]);
    next.push_back(samples.first_above((mean + above) / 2, next.back()));
    mean = above;
  }
  next.push_back(samples.size());
  refill_empty(samples, next);
  return next;
}

/// The clusters of least error, by dynamic programming over the number of clusters. The start of the last cluster moves
/// up with the number of values and of clusters, so each of the k rounds takes n log n steps by halving. Takes k n
/// words of memory. Sources: Wang and Song, "Ckmeans.1d.dp", 2011; Gronlund et al., "Fast exact k-means, k-medians and
/// Bregman divergence clustering in 1D", 2017.
class BestSplits {
 public:
  BestSplits(const SortedSamples& samples, std::size_t k)
      : samples_(samples), n_(samples.size()), below_(n_ + 1), least_(n_ + 1), start_(k * (n_ + 1)) {
    for (std::size_t i = 1; i <= n_; ++i) least_[i] = samples.error(0, i);
    for (std::size_t j = 1; j < k; ++j) {
      for (std::size_t i = 0; i <= n_; ++i) below_[i] = least_[i] - samples.sums(i).square;
      const bool last = j + 1 == k;  // then the error of all values is all that matters
      fill(&start_[(j - 1) * (n_ + 1)], &start_[j * (n_ + 1)], last ? n_ : j + 1, n_, j, n_ - 1);
    }
    splits_.assign(k + 1, 0);
    splits_[k] = n_;
    for (std::size_t j = k - 1; j > 0; --j) splits_[j] = start_[j * (n_ + 1) + splits_[j + 1]];
  }

  const Splits& splits() const { return splits_; }

 private:
  /// For the first i values, first <= i <= final: start[i], the best start of the last cluster, known to lie in low ..
  /// high and not below fewer[i], that for a cluster less; and the error least_[i].
  void fill(const std::uint32_t* fewer, std::uint32_t* start, std::size_t first, std::size_t final, std::size_t low,
            std::size_t high) {
    while (first <= final) {
      const std::size_t i = (first + final) / 2;
      const Sums end = samples_.sums(i);
      const std::size_t highest = std::min(high, i - 1);
      const std::size_t lowest = std::min(std::max<std::size_t>(low, fewer[i]), highest);
      double least = std::numeric_limits<double>::infinity();
      std::size_t best = lowest;
      for (std::size_t s = lowest; s <= highest; ++s) {
        const Sums begin = samples_.sums(s);
        const double moment = end.moment - begin.moment;
        const double error = below_[s] - moment * moment / (end.mass - begin.mass);
        if (error < least) {
          least = error;
          best = s;
        }
      }
      least_[i] = least + end.square;
      start[i] = static_cast<std::uint32_t>(best);
      fill(fewer, start, first, i - 1, low, best);
      first = i + 1;
      low = best;
    }
  }

  const SortedSamples& samples_;
  std::size_t n_;
  std::vector<double> below_;  // [i]: the least error of the first i values with a cluster less, less their square
  std::vector<double> least_;  // [i]: the least error of the first i values
  std::vector<std::uint32_t> start_;  // [j][i]: where the last of j + 1 clusters of them starts
  Splits splits_;
};

}  // namespace kmeans

/// Writes to `levels` the k levels, ascending, that `options` finds for `count` values: each the weighted mean of the
/// values nearest to it. `weights` may be null: all 1. Values that weigh less than 2^-40 of all count for nothing.
/// Where there are no more than k distinct values, those are the levels, and the last is repeated. The result does not
/// depend on the order of the samples. Throws std::invalid_argument where k < 1, a value or weight is not finite, a
/// weight is negative, or no weight is positive (so where count is 0).
inline KMeansResult kmeans_1d(const float* values, const float* weights, std::ptrdiff_t count, float* levels, int k,
                              const KMeansOptions& options = {}) {
  if (k < 1) invalid("kmeans_1d", "k >= 1", k);
  if (count < 1) invalid("kmeans_1d", "samples", count);
  const kmeans::SortedSamples samples(values, weights, count);
  const auto clusters = static_cast<std::size_t>(k);
  KMeansResult result;
  if (samples.size() <= clusters) {
    for (std::size_t j = 0; j < clusters; ++j) levels[j] = samples.value(std::min(j, samples.size() - 1));
    return result;
  }
  kmeans::Splits splits;
  if (options.optimum == Optimum::Global) {
    splits = kmeans::BestSplits(samples, clusters).splits();
    result.error = kmeans::total_error(samples, splits);
  } else {
    splits = kmeans::seed_splits(samples, clusters);
    result.error = kmeans::total_error(samples, splits);
    while (result.iterations < options.max_iterations) {
      kmeans::Splits next = kmeans::lloyd_step(samples, splits);
      double error = kmeans::total_error(samples, next);
      if (!(error < result.error)) {
        next = kmeans::exchange(samples, splits);
        error = kmeans::total_error(samples, next);
        if (!(error < result.error)) break;
      }
      ++result.iterations;
      splits = std::move(next);
      result.error = error;
    }
  }
  for (std::size_t j = 0; j < clusters; ++j) levels[j] = static_cast<float>(samples.mean(splits[j], splits[j + 1]));
  return result;
}

}  // namespace nibble::formats
