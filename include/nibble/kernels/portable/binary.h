// Products over bits, portable: the specification of the kernels of every instruction set.
#pragma once

#include <bit>

#include "nibble/kernels/portable/kernels.h"

namespace nibble::kernels {

/// How two words of 32 inputs meet. Counts are numbers of bits set.
///
///     Xor      sum over i, j of 2^(i + j) count(w_i ^ x_j)          x_j stands for -1 or 1
///     And      sum over i, j of +-2^(i + j) count(w_i & x_j)        - for the top bit of signed x
///     Ternary  count(t) - 2 count(t & ~(w_1 ^ x_1)), t = ~w_0 & x_0  w: codes 0, 1, 2 for -1, 0, 1; x: signed
enum class BitOp { Xor, And, Ternary };

/// Products of a panel with a tile of `columns` columns, both cut into bits. K is cut into steps of `step` words (the
/// last may be shorter), each inside one group of W and of X.
///
///     count[r][c]   = what BitOp says, summed over the words of the step                          modulo 2^32
///     integer[r][c] = starts[step][c] + slope * count (Xor: - slope * count; Ternary: count alone)
///                     + sum over terms t of term_rows[t][step][r] * term_columns[t][step][c]      modulo 2^32
///     sum[r][c]     = fma(float(integer), w_scales[step][r] (* x_scales[step][c]), sum)           steps in order
///     y[c][r]       = sum[r][c] * factors[c]
///
/// Bits at places beyond K are 0 in both operands. The driver keeps the integers of a step below 2^31.
struct BinaryTile {
  std::array<const std::uint32_t*, 8> w{};  ///< for each bit of W, least first: [word][16], aligned
  const std::uint32_t* x = nullptr;         ///< [word][bit, least first][column]
  int w_bits = 0;
  int x_bits = 0;
  bool x_signed = false;                              ///< And: whether the top bit of X counts negatively
  int slope = 1;                                      ///< 1 or 2
  const float* w_scales = nullptr;                    ///< [step][16]
  const float* x_scales = nullptr;                    ///< [step][column], grouped activations only
  const std::int32_t* starts = nullptr;               ///< [step][column]
  std::array<const std::int32_t*, 2> term_rows{};     ///< [step][16]
  std::array<const std::int32_t*, 2> term_columns{};  ///< [step][column]
  const float* factors = nullptr;                     ///< [column]
  std::ptrdiff_t words = 0;
  std::ptrdiff_t step = 0;
  float* y = nullptr;              ///< [column][16]
  std::int32_t* counts = nullptr;  ///< [column][16]; see BinaryCount
};

/// The bits of W and of X that count 2^weight together: bit i of W with bit weight - i of X, first <= i <= last.
struct BitPairs {
  int first;
  int last;
};
constexpr BitPairs bit_pairs(int weight, int w_bits, int x_bits) {
  return {weight < x_bits ? 0 : weight - x_bits + 1, weight < w_bits ? weight : w_bits - 1};
}

/// count[r][c] of words first .. end - 1.
template <BitOp Op>
std::uint32_t count_bits(const BinaryTile& tile, std::ptrdiff_t first, std::ptrdiff_t end, int r, int c, int columns) {
  const auto w = [&](std::ptrdiff_t k, int i) { return tile.w[static_cast<std::size_t>(i)][k * lanes + r]; };
  const auto x = [&](std::ptrdiff_t k, int j) { return tile.x[(k * tile.x_bits + j) * columns + c]; };
  std::uint32_t total = 0;
  for (std::ptrdiff_t k = first; k < end; ++k) {
    if (Op == BitOp::Ternary) {
      const std::uint32_t both = ~w(k, 0) & x(k, 0);
      total += static_cast<std::uint32_t>(std::popcount(both) - 2 * std::popcount(both & ~(w(k, 1) ^ x(k, 1))));
      continue;
    }
    for (int i = 0; i < tile.w_bits; ++i) {
      for (int j = 0; j < tile.x_bits; ++j) {
        const std::uint32_t bits = Op == BitOp::Xor ? w(k, i) ^ x(k, j) : w(k, i) & x(k, j);
        const std::uint32_t count = static_cast<std::uint32_t>(std::popcount(bits)) << (i + j);
        total += Op == BitOp::And && tile.x_signed && j == tile.x_bits - 1 ? 0 - count : count;
      }
    }
  }
  return total;
}

/// See BinaryTile. `Terms` of its terms are there; `Grouped` says whether there are x_scales.
template <class Tag, BitOp Op, int Terms, bool Grouped> struct BinaryDot {
  static void run(const BinaryTile& tile, int columns) {
    for (int c = 0; c < columns; ++c) {
      for (int r = 0; r < lanes; ++r) {
        float sum = 0;
        for (std::ptrdiff_t first = 0, s = 0; first < tile.words; first += tile.step, ++s) {
          const std::ptrdiff_t end = first + tile.step < tile.words ? first + tile.step : tile.words;
          const std::uint32_t count =
              static_cast<std::uint32_t>(tile.slope) * count_bits<Op>(tile, first, end, r, c, columns);
          const std::uint32_t start =
              Op == BitOp::Ternary ? 0 : static_cast<std::uint32_t>(tile.starts[s * columns + c]);
          std::uint32_t total = Op == BitOp::Xor ? start - count : start + count;
          for (std::size_t t = 0; t < Terms; ++t)
            total += static_cast<std::uint32_t>(tile.term_rows[t][s * lanes + r]) *
                     static_cast<std::uint32_t>(tile.term_columns[t][s * columns + c]);
          float scale = tile.w_scales[s * lanes + r];
          if (Grouped) scale *= tile.x_scales[s * columns + c];
          sum = std::fma(static_cast<float>(static_cast<std::int32_t>(total)), scale, sum);
        }
        tile.y[c * lanes + r] = sum * tile.factors[c];
      }
    }
  }
};

/// counts[c][r] = count[r][c] over all words; steps, scales and terms are not read.
template <class Tag, BitOp Op> struct BinaryCount {
  static void run(const BinaryTile& tile, int columns) {
    for (int c = 0; c < columns; ++c)
      for (int r = 0; r < lanes; ++r)
        tile.counts[c * lanes + r] = static_cast<std::int32_t>(count_bits<Op>(tile, 0, tile.words, r, c, columns));
  }
};

/// Cuts lines of fields of `Width` bits (2, 4 or 8; see Layout) into Width planes of bits, `plane` words apart. Each
/// Width lines, 32 places, give a line of each plane. Field f of line t goes to bit Width f + t of its byte, so that
/// place 4 q + i of the 32 is bit 8 i + Width (q % per_line) + q / per_line, per_line = 8 / Width.
///
///     bit Width f + t of byte b of plane p  =  bit Width f + p of byte b of line t
template <class Tag, int Width> struct CutPlanes {
  static void run(const std::uint8_t* lines, std::ptrdiff_t words, std::ptrdiff_t plane, std::uint32_t* out) {
    for (std::ptrdiff_t k = 0; k < words; ++k, lines += 64 * Width) {
      for (int p = 0; p < Width; ++p) {
        for (int r = 0; r < lanes; ++r) {
          std::uint32_t word = 0;
          for (int b = 0; b < 4; ++b)
            for (int f = 0; f < 8 / Width; ++f)
              for (int t = 0; t < Width; ++t)
                word |= (std::uint32_t{lines[64 * t + 4 * r + b]} >> (Width * f + p) & 1u) << (8 * b + Width * f + t);
          out[p * plane + k * lanes + r] = word;
        }
      }
    }
  }
};

}  // namespace nibble::kernels
