// The rounding of a scalar format as a step function, and the fast way to walk it.
#pragma once

#include <bit>
#include <limits>

#include "nibble/formats/levels.h"

namespace nibble {

/// The values that encode chooses, in ascending order, and where one gives way to the next. Rounds as encode does,
/// without its branches.
class RoundingSteps {
 public:
  /// The steps of one choice of F, found by bisection: encode need not round to nearest, but must not decrease.
  template <Format F>
    requires(dim_of<F> == 1 && table_size_of<F> == 0 && F::bits <= 8)
  static RoundingSteps of(int choice = 0) {
    const Side side{nullptr, choice};
    const auto round = [&](float x) {
      float value = 0;
      decode_to<F>(encode_from<F>(&x, side), side, &value);
      return value;
    };
    RoundingSteps steps;
    for (const auto& level : make_levels<F>(side)) {
      if (round(level.value) != level.value) continue;
      if (!steps.values_.empty()) {
        std::int64_t below = rank(steps.values_.back());
        std::int64_t above = rank(level.value);
        while (above - below > 1) {
          const std::int64_t middle = (above + below) / 2;
          (round(at_rank(middle)) < level.value ? below : above) = middle;
        }
        steps.edges_.push_back(at_rank(above));
      }
      steps.values_.push_back(level.value);
    }
    steps.index_cells();
    steps.find_unit();
    return steps;
  }

  const std::vector<float>& values() const { return values_; }
  /// edges()[i] is the least float that is rounded to values()[i + 1].
  const std::vector<float>& edges() const { return edges_; }
  /// The distance of neighbouring values, where it is the same for all and rounding is to the nearest; else 0.
  float unit() const { return unit_; }

  /// decode(encode(x)), for x that is no NaN.
  float round(float x) const {
    std::size_t i = cells_[std::bit_cast<std::uint32_t>(x) >> 16];
    while (i < edges_.size() && x >= edges_[i]) ++i;
    return values_[i];
  }

 private:
  /// Floats in the order of their values, as integers.
  static std::int64_t rank(float x) {
    const auto bits = std::bit_cast<std::int32_t>(x);
    return bits < 0 ? std::numeric_limits<std::int32_t>::min() - bits : bits;
  }
  static float at_rank(std::int64_t r) {
    const auto bits = static_cast<std::int32_t>(r);
    return std::bit_cast<float>(bits < 0 ? std::numeric_limits<std::int32_t>::min() - bits : bits);
  }

  void index_cells() {
    cells_.resize(std::size_t{1} << 16);
    for (std::uint32_t c = 0; c < cells_.size(); ++c) {
      // The least float of the cell: of the negative ones, the last.
      const float least = std::bit_cast<float>(c << 16 | (c >> 15 != 0 ? 0xffffu : 0u));
      if (std::isnan(least) && c >> 15 == 0) continue;
      cells_[c] = static_cast<std::uint8_t>(std::upper_bound(edges_.begin(), edges_.end(), least) - edges_.begin());
    }
    cells_[0xff80] = 0;  // minus infinity shares its cell with NaNs
  }

  void find_unit() {
    if (edges_.empty()) return;
    unit_ = values_[1] - values_[0];
    for (std::size_t i = 0; i < edges_.size(); ++i) {
      const float middle = values_[i] + unit_ / 2;
      if (values_[i + 1] - values_[i] != unit_ || std::abs(edges_[i] - middle) > unit_ * 1e-4f) unit_ = 0;
      if (unit_ == 0) return;
    }
  }

  std::vector<float> values_, edges_;
  std::vector<std::uint8_t> cells_;  ///< by the high half of a float: its step, or one below it
  float unit_ = 0;
};

/// The steps of F, made once for each choice.
template <Format F> const RoundingSteps& rounding_steps(int choice = 0) {
  static const std::vector<RoundingSteps> all = [] {
    std::vector<RoundingSteps> steps;
    for (int c = 0; c < choices_of<F>; ++c) steps.push_back(RoundingSteps::of<F>(c));
    return steps;
  }();
  return all[static_cast<std::size_t>(choice)];
}

}  // namespace nibble
