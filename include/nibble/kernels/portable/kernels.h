// The portable kernels: plain loops, the specification of every other path, and what an instruction set without a
// kernel of its own runs.
#pragma once

#include <cmath>

#include "nibble/core/isa.h"
#include "nibble/kernels/tiles.h"

namespace nibble::kernels {

/// The code of row `r` of a panel at place 4 q + i.
template <int Bits> std::uint32_t panel_code(const Panel& panel, std::ptrdiff_t q, int r, int i) {
  constexpr PlaneWidths planes = plane_widths(Bits);
  std::uint32_t code = 0;
  for (std::size_t p = 0; p < planes.count; ++p) {
    const int width = planes.width[p];
    const int per_line = 8 / width;
    const std::uint8_t byte = panel.plane[p][quantum_line(q / per_line * per_line, width) + 4 * r + i];
    code = code << width | ((std::uint32_t{byte} >> (q % per_line * width)) & ((1u << width) - 1));
  }
  return code;
}

/// See IntegerTile. `Top` is the largest byte of tile.lookup (at most 128), 0 where codes are the bytes themselves;
/// `Scale` the format of the scales of W: formats::Float32, or one that ScaleLanes<Tag, Scale> exists for.
template <class Tag, int Bits, int Top, class Scale, bool Affine, bool Grouped> struct IntegerDot {
  static void run(const IntegerTile& tile, int columns) {
    for (int c = 0; c < columns; ++c) {
      for (int r = 0; r < lanes; ++r) {
        float sum = 0;
        for (std::ptrdiff_t first = 0, s = 0; first < tile.quanta; first += tile.step, ++s) {
          // Unsigned: wraps as the SIMD paths do.
          std::uint32_t total = static_cast<std::uint32_t>(tile.x_starts[s * columns + c]);
          if (Affine) total += tile.w_zeros[s * lanes + r] * static_cast<std::uint32_t>(tile.x_zeros[s * columns + c]);
          const std::ptrdiff_t end = first + tile.step < tile.quanta ? first + tile.step : tile.quanta;
          for (std::ptrdiff_t q = first; q < end; ++q) {
            for (int i = 0; i < 4; ++i) {
              const std::uint32_t code = panel_code<Bits>(tile.panel, q, r, i);
              const int byte = static_cast<int>(Top > 0 ? tile.lookup[code] : code);
              total += static_cast<std::uint32_t>(byte * tile.x[4 * (q * columns + c) + i]);
            }
          }
          float scale = Scale::decode(static_cast<const typename Scale::code_type*>(tile.w_scales)[s * lanes + r]);
          if (Grouped) scale *= tile.x_scales[s * columns + c];
          sum = std::fma(static_cast<float>(static_cast<std::int32_t>(total)), scale, sum);
        }
        tile.y[c * lanes + r] = sum * tile.factors[c];
      }
    }
  }
};

/// sums[s][c] = sum of x over step s of column c, for x as in IntegerTile.
template <class Tag> struct ActivationSums {
  static void run(const std::int8_t* x, int columns, std::ptrdiff_t quanta, std::ptrdiff_t step, std::int32_t* sums) {
    for (std::ptrdiff_t first = 0, s = 0; first < quanta; first += step, ++s) {
      const std::ptrdiff_t end = first + step < quanta ? first + step : quanta;
      for (int c = 0; c < columns; ++c) {
        std::int32_t sum = 0;
        for (std::ptrdiff_t q = first; q < end; ++q)
          for (int i = 0; i < 4; ++i) sum += x[4 * (q * columns + c) + i];
        sums[s * columns + c] = sum;
      }
    }
  }
};

/// out[q][4 r + i] = the byte that the code at place 4 q + i of row r stands for in `lookup` (2^bits bytes), for all q.
template <class Tag, int Bits> struct UnpackBytes {
  static void run(const Panel& panel, const std::uint8_t* lookup, std::ptrdiff_t quanta, std::uint8_t* out) {
    for (std::ptrdiff_t q = 0; q < quanta; ++q)
      for (int r = 0; r < lanes; ++r)
        for (int i = 0; i < 4; ++i) out[q * 64 + 4 * r + i] = lookup[panel_code<Bits>(panel, q, r, i)];
  }
};

/// Where `exists`, load(codes) is a register of the values of as many codes of F as the instruction set has lanes.
template <class Tag, class F> struct ScaleLanes { static constexpr bool exists = false; };

/// out[i] = the value of scale code i, for `count` codes of format F, a multiple of 16.
template <class Tag, class F> struct DecodeScales {
  static void run(const typename F::code_type* codes, std::ptrdiff_t count, float* out) {
    for (std::ptrdiff_t i = 0; i < count; ++i) out[i] = F::decode(codes[i]);
  }
};

}  // namespace nibble::kernels
