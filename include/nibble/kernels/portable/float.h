// The portable kernels of float products; see portable/kernels.h.
#pragma once

#include "nibble/kernels/portable/kernels.h"

namespace nibble::kernels {

/// The value of the code in lane `r` of register i of quantum q, which lies in group g.
template <class Tag, class C>
float code_value(const DecodeTile& tile, std::ptrdiff_t q, std::ptrdiff_t g, int r, int i) {
  std::uint32_t code = panel_code<C::bits>(tile.panel, q, r, i);
  if constexpr (C::index > C::bits) code |= tile.above[g * lanes + r] & ((1u << C::index) - 1);
  if constexpr (C::how == Decode::Integer)
    return static_cast<float>(code);
  else if constexpr (C::how == Decode::Minifloat)
    return C::format::decode(static_cast<typename C::format::code_type>(code));
  else
    return tile.values[code];
}

/// The scale of lane `r` of quantum q, which lies in group g.
template <class Tag, Lanes L> float lane_scale(const DecodeTile& tile, std::ptrdiff_t q, std::ptrdiff_t g, int r) {
  if (L == Lanes::Inputs) return tile.scales[g];
  return tile.scales[(L == Lanes::Rows ? g : q) * lanes + r];
}

/// See DecodeTile.
template <class Tag, class C, Lanes L> struct DecodePanel {
  static void run(const DecodeTile& tile) {
    for (std::ptrdiff_t q = tile.first; q < tile.first + tile.quanta; ++q) {
      const std::ptrdiff_t g = q / tile.group;
      for (int i = 0; i < 4; ++i) {
        for (int r = 0; r < lanes; ++r) {
          float value = code_value<Tag, C>(tile, q, g, r, i);
          if (tile.zeros != nullptr) value -= tile.zeros[g * lanes + r];
          tile.out[(4 * (q - tile.first) + i) * lanes + r] = value * lane_scale<Tag, L>(tile, q, g, r);
        }
      }
    }
  }
};

/// See DirectTile. `Zeros` says whether there are zero points.
template <class Tag, class C, bool Zeros, Lanes L> struct FloatDirect {
  static void run(const DirectTile& tile, int columns) {
    for (int c = 0; c < columns; ++c) {
      for (int r = 0; r < lanes; ++r) {
        float total = tile.y[c * lanes + r];
        for (std::ptrdiff_t q = 0; q < tile.codes.quanta; ++q) {
          const std::ptrdiff_t g = q / tile.codes.group;
          float sum = 0;
          for (int i = 0; i < 4; ++i) {
            float value = code_value<Tag, C>(tile.codes, q, g, r, i);
            if (Zeros) value -= tile.codes.zeros[g * lanes + r];
            const std::ptrdiff_t at = (4 * q + i) * columns + c;
            sum = std::fma(value, tile.x[L == Lanes::Rows ? at : at * lanes + r], sum);
          }
          total = std::fma(sum, lane_scale<Tag, L>(tile.codes, q, g, r), total);
        }
        tile.y[c * lanes + r] = total;
      }
    }
  }
};

/// See FloatTile.
template <class Tag> struct FloatDot {
  static void run(const FloatTile& tile, int columns) {
    for (int c = 0; c < columns; ++c) {
      for (int r = 0; r < lanes; ++r) {
        float sum = tile.acc[c * lanes + r];
        for (std::ptrdiff_t k = 0; k < tile.depth; ++k)
          sum = std::fma(tile.w[k * lanes + r], tile.x[k * columns + c], sum);
        tile.acc[c * lanes + r] = sum;
      }
    }
  }
};

/// out[k][r] = in[r * stride + k] for 16 rows r and `depth` (a multiple of 16) places k. `in`, `stride` and `out` keep
/// to multiples of 16 floats.
template <class Tag> struct TransposeRows {
  static void run(const float* in, std::ptrdiff_t stride, std::ptrdiff_t depth, float* out) {
    for (std::ptrdiff_t k = 0; k < depth; ++k)
      for (int r = 0; r < lanes; ++r) out[k * lanes + r] = in[r * stride + k];
  }
};

/// Products of bfloat16, only where the instruction set has an instruction for them. Then available() asks the CPU, and
///     DecodePairs<Tag, C, Scaled>::run(tile, out)   out = BFloat16Tile::w for the values of a DecodeTile less its zero
///                                                   points, scaled or not; what is no bfloat16 is cut
///     BFloat16Dot<Tag>::run(tile, columns)          see BFloat16Tile
template <class Tag> struct BFloat16Dot { static constexpr bool exists = false; };
template <class Tag, class C, bool Scaled> struct DecodePairs;

}  // namespace nibble::kernels
