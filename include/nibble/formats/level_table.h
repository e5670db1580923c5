// Formats given by a list of levels: look-up one way, binary search the other.
#pragma once

#include <array>
#include <bit>
#include <limits>

#include "nibble/formats/format.h"

namespace nibble::formats {

/// The next float below x, which must be finite and not the lowest float.
constexpr float float_below(float x) {
  if (x == 0) return -std::numeric_limits<float>::denorm_min();
  const auto word = std::bit_cast<std::uint32_t>(x);
  return std::bit_cast<float>(x > 0 ? word - 1 : word + 1);
}

/// The greatest float that goes to the lower of two neighbouring levels: a tie goes there if `lower_wins`.
constexpr float last_below_boundary(float lower, float upper, bool lower_wins) {
  const double middle = (static_cast<double>(lower) + static_cast<double>(upper)) / 2;
  const float rounded = static_cast<float>(middle);
  const auto back = static_cast<double>(rounded);
  return back < middle || (back == middle && lower_wins) ? rounded : float_below(rounded);
}

/// 2^n finite levels in the order of their codes, for use as a constant. Of equal levels, the first code is chosen; codes
/// below `first` are never chosen.
template <std::size_t Count> class LevelTable {
  static_assert(std::has_single_bit(Count) && Count >= 2, "2^n levels");

 public:
  static constexpr int bits = std::countr_zero(Count);
  using code_type = CodeFor<bits>;

  explicit constexpr LevelTable(const std::array<float, Count>& by_code, std::size_t first = 0) : values_(by_code) {
    std::array<float, Count> sorted{};
    std::size_t size = 0;
    for (std::size_t c = first; c < Count; ++c) {
      std::size_t at = size;
      while (at > 0 && sorted[at - 1] > by_code[c]) --at;
      if (at > 0 && sorted[at - 1] == by_code[c]) continue;
      for (std::size_t i = size; i > at; --i) {
        sorted[i] = sorted[i - 1];
        codes_[i] = codes_[i - 1];
      }
      sorted[at] = by_code[c];
      codes_[at] = static_cast<code_type>(c);
      ++size;
    }
    last_below_.fill(std::numeric_limits<float>::infinity());
    for (std::size_t i = 0; i + 1 < size; ++i)
      last_below_[i] = last_below_boundary(sorted[i], sorted[i + 1], codes_[i] % 2 == 0);
    max_ = sorted[size - 1] > -sorted[0] ? sorted[size - 1] : -sorted[0];
  }

  constexpr float decode(code_type code) const { return values_[code]; }

  /// The code of the nearest level, of two equally near the even code (if only one is even; else the upper); NaN goes
  /// to the lowest level.
  constexpr code_type encode(float x) const {
    std::size_t i = 0;
    for (std::size_t step = Count / 2; step > 0; step /= 2) i += x > last_below_[i + step - 1] ? step : 0;
    return codes_[i];
  }

  /// The largest magnitude.
  constexpr float max() const { return max_; }

 private:
  std::array<float, Count> values_;
  std::array<code_type, Count> codes_{};       // of the levels in ascending order
  std::array<float, Count - 1> last_below_{};  // [i]: the greatest float that goes to level i or below
  float max_ = 0;
};

/// The table of 0 and +-positive[i], which ascends from above 0: code 2^(bits-1) stands for 0, the codes above and below
/// it for the positive levels and the negative ones. Codes beyond the ends repeat them and are never chosen.
template <std::size_t N> constexpr auto symmetric_table(const std::array<float, N>& positive) {
  constexpr std::size_t count = std::bit_ceil(2 * N + 2);
  constexpr std::size_t zero = count / 2;
  std::array<float, count> levels{};
  for (std::size_t i = 1; i <= zero; ++i) {
    const float level = positive[(i < N ? i : N) - 1];
    if (i < zero) levels[zero + i] = level;
    levels[zero - i] = -level;
  }
  return LevelTable(levels, zero - N);
}

/// The format whose codes are those of `Table`, a LevelTable.
template <const auto& Table> struct TableFormat {
  using code_type = typename std::remove_cvref_t<decltype(Table)>::code_type;
  static constexpr int bits = std::remove_cvref_t<decltype(Table)>::bits;

  static constexpr float max() { return Table.max(); }
  static constexpr float decode(code_type code) { return Table.decode(code); }
  static constexpr code_type encode(float x) { return Table.encode(x); }
};

}  // namespace nibble::formats
