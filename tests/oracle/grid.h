// The values of a format as a sorted list of doubles, and the nearest of them. Shares no code with include/.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <map>
#include <vector>

namespace nibble::oracle {

/// Every finite value of a format, with all the codes that decode to it (-0 and 0 are one value).
class Grid {
 public:
  void add(double value, std::uint32_t code) {
    if (std::isfinite(value)) codes_[value].push_back(code);
  }

  const std::map<double, std::vector<std::uint32_t>>& codes() const { return codes_; }

  std::vector<double> values() const {
    std::vector<double> out;
    for (const auto& [value, codes] : codes_) out.push_back(value);
    return out;
  }

  /// The values just below and above x, or x itself; beyond the ends, the end.
  std::vector<double> around(double x) const {
    const auto up = codes_.lower_bound(x);
    if (up == codes_.begin() || (up != codes_.end() && up->first == x)) return {up->first};
    if (up == codes_.end()) return {std::prev(up)->first};
    return {std::prev(up)->first, up->first};
  }

  /// The one or two values nearest to x. The middle is compared in long double, where the sum of two floats that lie
  /// within a factor of 2^40 is exact.
  std::vector<double> nearest(double x) const {
    const std::vector<double> both = around(x);
    if (both.size() == 1) return both;
    const long double twice = 2 * static_cast<long double>(x);
    const long double sum = static_cast<long double>(both[0]) + static_cast<long double>(both[1]);
    if (twice < sum) return {both[0]};
    if (twice > sum) return {both[1]};
    return both;
  }

 private:
  std::map<double, std::vector<std::uint32_t>> codes_;
};

}  // namespace nibble::oracle
