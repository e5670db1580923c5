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

/// The byte that number i of row r in quantum q stands for; see CodeMap and IntegerTile.
template <class Code> int panel_byte(const Panel& panel, const std::uint8_t* lookup, std::ptrdiff_t q, int r, int i) {
  const std::uint32_t code = panel_code<Code::bits>(panel, q / Code::dim, r, i);
  if (Code::identity) return static_cast<int>(code);
  const int d = static_cast<int>(q % Code::dim);
  const int byte = lookup[(d / Code::fields << Code::bits) + static_cast<int>(code)];
  return byte >> (d % Code::fields * Code::width) & ((1 << Code::width) - 1);
}

/// Whether Tag's IntegerDot decodes such codes; others are unpacked to bytes first.
template <class Tag, class Code> inline constexpr bool decodes_in_place = true;

/// See IntegerTile. `Code` is a CodeMap; `Run` is the step in quanta where the kernel is compiled for it, else 0;
/// `Scale` the format of the scales of W, one that ScaleLanes<Tag, Scale> exists for, or an IntegerScale of one.
template <class Tag, class Code, int Run, class Scale, bool Affine, bool Grouped> struct IntegerDot {
  static void run(const IntegerTile& tile, int columns) {
    for (int c = 0; c < columns; ++c) {
      for (int r = 0; r < lanes; ++r) {
        float sum = 0;
        std::uint32_t whole = 0;
        std::ptrdiff_t run = 0;
        for (std::ptrdiff_t first = 0, s = 0; first < tile.quanta; first += tile.step, ++s) {
          // Unsigned: wraps as the SIMD paths do.
          std::uint32_t total = static_cast<std::uint32_t>(tile.x_starts[s * columns + c]);
          if (Affine) total += tile.w_zeros[s * lanes + r] * static_cast<std::uint32_t>(tile.x_zeros[s * columns + c]);
          if (tile.w_sums != nullptr)
            total += static_cast<std::uint32_t>(tile.w_sums[s * lanes + r]) *
                     static_cast<std::uint32_t>(tile.x_offsets[s * columns + c]);
          const std::ptrdiff_t end = first + tile.step < tile.quanta ? first + tile.step : tile.quanta;
          for (std::ptrdiff_t q = first; q < end; ++q)
            for (int i = 0; i < 4; ++i)
              total += static_cast<std::uint32_t>(panel_byte<Code>(tile.panel, tile.lookup, q, r, i) *
                                                  tile.x[4 * (q * columns + c) + i]);
          const auto code = static_cast<const typename Scale::code_type*>(tile.w_scales)[s * lanes + r];
          if constexpr (integer_scales<Scale>) {
            whole += total * code;
            if (tile.totals == nullptr && ((s + 1) % tile.flush == 0 || end == tile.quanta)) {
              using Super = typename Scale::super;
              const auto super =
                  static_cast<const typename Super::code_type*>(tile.w_supers)[run++ * tile.super_stride + r];
              sum = std::fma(static_cast<float>(static_cast<std::int32_t>(whole)), Super::decode(super), sum);
              whole = 0;
            }
          } else {
            float scale = Scale::decode(code);
            if (Grouped) scale *= tile.x_scales[s * columns + c];
            sum = std::fma(static_cast<float>(static_cast<std::int32_t>(total)), scale, sum);
          }
        }
        if (integer_scales<Scale> && tile.totals != nullptr)
          tile.totals[c * lanes + r] = static_cast<std::int32_t>(whole);
        else
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

/// out[q][4 r + i] = the byte of number i of row r in quantum q, for all `quanta` of them, a multiple of Code::block.
template <class Tag, class Code> struct UnpackBytes {
  static void run(const Panel& panel, const std::uint8_t* lookup, std::ptrdiff_t quanta, std::uint8_t* out) {
    for (std::ptrdiff_t q = 0; q < quanta; ++q)
      for (int r = 0; r < lanes; ++r)
        for (int i = 0; i < 4; ++i)
          out[q * 64 + 4 * r + i] = static_cast<std::uint8_t>(panel_byte<Code>(panel, lookup, q, r, i));
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
