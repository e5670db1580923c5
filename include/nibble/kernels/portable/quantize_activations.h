// Portable quantization of activations: the specification of every other path, and what runs groups whose size is no
// multiple of 16 and scales without a reciprocal.
#pragma once

#include <cmath>
#include <limits>

#include "nibble/core/isa.h"
#include "nibble/formats/integer.h"
#include "nibble/matrix/activations.h"

namespace nibble::kernels {

/// Columns of floats, and where their integers, scales and zeros go: some columns of a tile of QuantizedActivations,
/// from the first input of a group on.
struct ActivationColumns {
  const float* x = nullptr;            ///< [column][row]
  std::ptrdiff_t stride = 0;           ///< floats from one column to the next
  std::ptrdiff_t rows = 0;             ///< at least 1
  std::int8_t* codes = nullptr;        ///< [quantum][column][part][4]
  float* scales = nullptr;             ///< [group][column]
  std::int8_t* zeros = nullptr;        ///< [group][column], affine schemes only
  std::ptrdiff_t width = 0;            ///< columns of the tile
  const float* fixed_scale = nullptr;  ///< the scale of all groups, at least 0; null: as large as each group needs

  /// From that row, the first of a group, and that column on. Rows are a multiple of 4.
  template <unsigned Baseline = isa::baseline>
  ActivationColumns from(std::ptrdiff_t row, std::ptrdiff_t group, std::ptrdiff_t column, int parts) const {
    ActivationColumns t = *this;
    t.x += row + column * stride;
    t.rows -= row;
    t.codes += parts * (row * width + 4 * column);
    t.scales += group * width + column;
    if (zeros != nullptr) t.zeros += group * width + column;
    return t;
  }
};

/// What the integers of a group stand for: (integer - zero) * scale.
template <class Tag> struct ActivationGrid {
  float scale;
  float inverse;  ///< 1 / scale; 0 where that is 0, infinite where the scale is below 2^-128
  int zero = 0;

  explicit ActivationGrid(float s) : scale(s), inverse(s > 0 ? 1 / s : 0) {}
  float steps(float x) const { return inverse <= std::numeric_limits<float>::max() ? x * inverse : x / scale; }
};

/// Quantizes `count` columns; whether all their floats are finite. What it writes where they are not has no meaning.
template <class Tag, class S> struct QuantizeColumns {
  static bool run(const ActivationColumns& t, std::ptrdiff_t count) {
    const std::ptrdiff_t size = S::group_inputs == 0 ? t.rows : S::group_inputs;
    bool finite = true;
    for (std::ptrdiff_t c = 0; c < count; ++c)
      for (std::ptrdiff_t first = 0; first < t.rows; first += size)
        finite =
            group(t, c, first, first + size < t.rows ? first + size : t.rows, first / size * t.width + c) && finite;
    return finite;
  }

 private:
  using Activations = QuantizedActivations<S>;
  static constexpr int parts = Activations::parts;

  /// Inputs begin .. end - 1 of column c, whose scale is the one at `at`.
  static bool group(const ActivationColumns& t, std::ptrdiff_t c, std::ptrdiff_t begin, std::ptrdiff_t end,
                    std::ptrdiff_t at) {
    constexpr int low = S::affine ? -Activations::offset : -Activations::top;
    constexpr int high = Activations::top - Activations::offset;
    constexpr auto top = static_cast<float>(Activations::top);
    const float* x = t.x + c * t.stride;
    float largest = 0, least = 0;
    bool finite = true;
    for (std::ptrdiff_t k = begin; k < end; ++k) {
      largest = largest < x[k] ? x[k] : largest;
      least = x[k] < least ? x[k] : least;
      finite = finite && std::isfinite(x[k]);
    }
    ActivationGrid<Tag> grid(t.fixed_scale != nullptr ? *t.fixed_scale
                             : S::affine              ? largest / top - least / top
                                                      : (largest < -least ? -least : largest) / top);
    if constexpr (S::affine) {
      grid.zero = formats::nearest_even(formats::clamp(grid.steps(-least), 0, top)) - Activations::offset;
      t.zeros[at] = static_cast<std::int8_t>(grid.zero);
    }
    t.scales[at] = grid.scale;
    const auto lowest = static_cast<float>(low - grid.zero), highest = static_cast<float>(high - grid.zero);
    for (std::ptrdiff_t k = begin; k < end; ++k) {
      const int integer = formats::nearest_even(formats::clamp(grid.steps(x[k]), lowest, highest)) + grid.zero;
      std::int8_t* code = t.codes + 4 * parts * (t.width * (k / 4) + c) + k % 4;
      const int first = parts == 2 ? formats::nearest_even(static_cast<float>(integer) / 255) : integer;
      code[0] = static_cast<std::int8_t>(first);
      if (parts == 2) code[4] = static_cast<std::int8_t>(integer - 255 * first);
    }
    return finite;
  }
};

}  // namespace nibble::kernels
