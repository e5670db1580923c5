// Codebooks: formats whose levels are learned from the values that they are to code.
#pragma once

#include <cmath>

#include "nibble/formats/format.h"
#include "nibble/formats/kmeans.h"

namespace nibble::formats {

/// Rejects a codebook of `size` levels that is empty, not finite or not in ascending order (equal neighbours are
/// legal): throws std::invalid_argument.
inline void check_codebook(const float* table, std::ptrdiff_t size) {
  if (size < 1) invalid("check_codebook", "at least one level", size);
  for (std::ptrdiff_t i = 0; i < size; ++i) {
    if (!std::isfinite(table[i])) invalid("check_codebook", "finite levels", text(table[i], " at ", i));
    if (i > 0 && table[i] < table[i - 1])
      invalid("check_codebook", "levels in ascending order", text(table[i], " after ", table[i - 1], " at ", i));
  }
}

/// 2^B learned levels, ascending in `table`, for values of at most 1 in magnitude: any4, any3, any2 where each row has
/// its own. NaN encodes to code 0.
template <int B>
  requires(B >= 1 && B <= 8)
struct Codebook {
  using code_type = std::uint8_t;
  static constexpr int bits = B;
  static constexpr int table_size = 1 << B;

  static constexpr float max() { return 1; }
  static constexpr float decode(code_type code, const float* table) { return table[code]; }
  static constexpr code_type encode(float x, const float* table) {
    // Counts the midpoints below x; in double and twice as large they are exact.
    const double twice = 2 * static_cast<double>(x);
    int i = 0;
    for (int step = table_size / 2; step > 0; step /= 2)
      i += twice > static_cast<double>(table[i + step - 1]) + static_cast<double>(table[i + step]) ? step : 0;
    if (i % 2 != 0 && i + 1 < table_size && twice == static_cast<double>(table[i]) + static_cast<double>(table[i + 1]))
      ++i;
    return static_cast<code_type>(i);
  }
  static std::string name() { return text("codebook", B); }

  /// Throws std::invalid_argument where `table` is no codebook.
  static void check(const float* table) { check_codebook(table, table_size); }

  /// Writes to `table` the levels of least weighted squared error for the values (see kmeans_1d): the very least where
  /// that takes a few milliseconds, else a local minimum, typically 1 % to 10 % above it.
  static void fit(const float* values, const float* weights, std::ptrdiff_t count, float* table) {
    const bool small = count <= (std::ptrdiff_t{1} << 16) / table_size;
    kmeans_1d(values, weights, count, table, table_size, {.optimum = small ? Optimum::Global : Optimum::Local});
  }
};

}  // namespace nibble::formats
