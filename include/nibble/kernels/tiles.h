// What micro-kernels are given: one panel of 16 rows of W and one tile of up to 12 columns of X. Raw pointers only.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "nibble/matrix/layout.h"

namespace nibble::kernels {

/// Rows of a panel that lie side by side; lanes of every kernel.
inline constexpr int lanes = 16;
/// Columns of the widest tile.
inline constexpr int max_columns = static_cast<int>(column_tile);

/// Quanta (runs of 4 places) in one line of the narrowest plane of b-bit codes: what a decoder takes at a time.
constexpr int block_quanta(int bits) {
  const PlaneWidths planes = plane_widths(bits);
  return 8 / planes.width[planes.count - 1];
}

/// One panel of codes; see Layout for the drawing. Plane p of quantum q starts in line q * width / 8.
struct Panel {
  std::array<const std::uint8_t*, 4> plane{};
};

/// Where the line of quantum q, the first of a line, starts in a plane.
constexpr std::ptrdiff_t quantum_line(std::ptrdiff_t q, int width) {
  return static_cast<std::ptrdiff_t>(static_cast<std::size_t>(q) * static_cast<std::size_t>(width) / 8 * 64);
}

/// Calls Kernel::multiply<columns>(tile), 1 <= columns <= max_columns: tiles have their width as a constant, so that
/// sums stay in registers.
template <class Kernel, int C = max_columns, class Tile> void multiply_columns(const Tile& tile, int columns) {
  if constexpr (C == 1) {
    Kernel::template multiply<1>(tile);
  } else {
    if (columns == C) return Kernel::template multiply<C>(tile);
    multiply_columns<Kernel, C - 1>(tile, columns);
  }
}

/// What codes of `Bits` bits stand for in integer products: the byte that a table of 2^Bits bytes says, at most `Top`,
/// or themselves where Top is 0; with Dim > 1 a run of Dim numbers, in fields of a few bits each that lie in one or
/// more such bytes, from the low bits up.
template <int Bits, int Top, int Dim = 1> struct CodeMap {
  static constexpr int bits = Bits;
  static constexpr int top = Top;
  static constexpr int dim = Dim;
  /// Bits per field, fields per byte, tables.
  static constexpr int width = Dim == 1 ? 8 : std::bit_width(static_cast<unsigned>(Top));
  static constexpr int fields = 8 / width;
  static constexpr int tables = (Dim + fields - 1) / fields;
  static constexpr bool identity = Top == 0;
  /// The largest byte that takes part in a product.
  static constexpr int largest = Top > 0 ? Top : (1 << Bits) - 1;
  /// What a decoder takes at a time, in quanta of numbers.
  static constexpr int block = block_quanta(Bits) * Dim;
};

/// Integer products of a panel with a tile of `columns` columns. K is cut into steps of `step` quanta (the last may be
/// shorter), each inside one group of W and of X; step and quanta are multiples of CodeMap::block. Quantum q is number
/// q % dim of the codes of quantum q / dim of the panel.
///
///     integer[r][c] = start(r, c) + sum over the step of byte[r][k] * x[k][c]          exact, modulo 2^32
///     sum[r][c]     = fma(float(integer), value(w_scales[step][r]) (* x_scales[step][c]), sum)   steps in order
///     y[c][r]       = sum[r][c] * factors[c]
///
/// with start = x_starts[step][c], in affine schemes + w_zeros[step][r] * x_zeros[step][c], and where there are w_sums
/// + w_sums[step][r] * x_offsets[step][c]. The driver keeps 255 * 127 * 4 * step < 2^31.
///
/// Where scales are integers (bytes) under super-scales, they are applied in integers too: whole[r][c] += integer *
/// w_scales[step][r], modulo 2^32, over `flush` steps at a time; then sum[r][c] = fma(float(whole), value of
/// w_supers[i * super_stride + r], sum) with i counting those runs. Where `totals` is given, totals[c][r] = whole over
/// all steps instead.
struct IntegerTile {
  Panel panel;
  const std::uint8_t* lookup = nullptr;     ///< the tables of CodeMap, [table][2^bits]
  const std::int8_t* x = nullptr;           ///< [quantum][column][4], never -128
  const void* w_scales = nullptr;           ///< [step][16], codes of the kernel's scale format
  const std::uint8_t* w_zeros = nullptr;    ///< [step][16], affine schemes only
  const std::int32_t* w_sums = nullptr;     ///< [step][16], null where no activation has a zero point
  const float* x_scales = nullptr;          ///< [step][column], grouped activations only
  const std::int32_t* x_sums = nullptr;     ///< [step][column], of x over the step
  const std::int32_t* x_starts = nullptr;   ///< [step][column]
  const std::int32_t* x_zeros = nullptr;    ///< [step][column], affine schemes only
  const std::int32_t* x_offsets = nullptr;  ///< [step][column], with w_sums
  const float* factors = nullptr;           ///< [column]
  const void* w_supers = nullptr;           ///< integer scales only: codes of the kernel's super-scale format
  std::ptrdiff_t quanta = 0;
  std::ptrdiff_t step = 0;
  std::ptrdiff_t flush = 0;         ///< steps, integer scales only
  std::ptrdiff_t super_stride = 0;  ///< 16 or 0
  std::int32_t* totals = nullptr;   ///< [column][16], integer scales only
  float* y = nullptr;               ///< [column][16]
};

/// What IntegerDot takes for its format of scales where they are bytes under super-scales of format F.
template <class F> struct IntegerScale {
  using code_type = std::uint8_t;
  using super = F;
};
template <class Scale> inline constexpr bool integer_scales = false;
template <class F> inline constexpr bool integer_scales<IntegerScale<F>> = true;
/// Their super-scales' format; any, where there are none.
template <class Scale> struct SuperFormat { using type = formats::Float32; };
template <class F> struct SuperFormat<IntegerScale<F>> { using type = F; };
template <class Scale> using Super = typename SuperFormat<Scale>::type;

/// Float products: acc[c][r] += sum over k of w[k][r] * x[k][c], k in order, each step one fma.
struct FloatTile {
  const float* w = nullptr;  ///< [k][16], aligned
  const float* x = nullptr;  ///< [k][column]
  std::ptrdiff_t depth = 0;  ///< a multiple of 4
  float* acc = nullptr;      ///< [column][16], aligned
};

/// How codes become floats: as integers, by a table of up to 32 floats, by one of up to 256 floats that are bfloat16
/// numbers, by one of 256 such whose upper half is the lower one negated, by one of any other floats, or by the fields
/// of a minifloat.
enum class Decode { Integer, Floats, Halves, SignedHalves, Memory, Minifloat };

/// Codes of `Bits` bits that become floats as `D` says. Where groups choose between formats, a choice stands above the
/// code, and both together, `Index` bits, are the index into the table. F is the format, for Decode::Minifloat.
template <int Bits, Decode D, int Index = Bits, class F = void> struct Codec {
  static constexpr int bits = Bits;
  static constexpr int index = Index;
  static constexpr Decode how = D;
  using format = F;
};

/// What lanes are: the 16 rows of a panel of 16, or, of a panel of one row, its inputs: lane l of register i of quantum
/// q is code 64 q + 4 l + i. Those have one scale per group, or (FineInputs) one per 4 codes.
enum class Lanes { Rows, Inputs, FineInputs };

/// Decoding of `quanta` quanta of a panel from `first` on, a multiple of block_quanta(bits), as is `group` (the quanta
/// of one group; the last may be cut short): out[4 q + i][r] = (value(code) - zeros[group][r]) * scales[group][r].
/// Panels of one row have no zero points and, where lanes are Inputs, scales[group]; where FineInputs, scales[q][r].
struct DecodeTile {
  Panel panel;
  const float* values = nullptr;         ///< 2^index values; unused where codes are integers or minifloats
  const std::uint32_t* above = nullptr;  ///< [group][16], choices of `Index` > `Bits`: choice 2^bits, in every byte
                                         ///< where index is at most 8
  const float* scales = nullptr;         ///< [group][16]
  const float* zeros = nullptr;          ///< [group][16]; null: none
  std::ptrdiff_t first = 0;
  std::ptrdiff_t quanta = 0;
  std::ptrdiff_t group = 0;
  float* out = nullptr;  ///< [place][16], aligned
};

/// Columns that are multiplied straight from the codes; more are worth decoding for.
inline constexpr int direct_columns = 8;

/// Float products of a panel with up to direct_columns columns, straight from its codes (`codes.quanta` of them from
/// quantum 0 on; codes.out is not used):
///     y[c][r] += sum over groups g of scales[g][r] * sum over k in g of (value(code[r][k]) - zeros[g][r]) * x[k][c]
/// with fused multiply-adds throughout, in any order within a group. Where lanes are inputs, y[c][l] sums what lane l
/// has, and x is [4 q + i][c][l].
struct DirectTile {
  DecodeTile codes;
  const float* x = nullptr;  ///< [k][column]
  float* y = nullptr;        ///< [column][16]
};

/// Products of bfloat16: acc[c][r] += sum over groups of scales[group][r] * sum over its pairs of
/// w[p][r].low * x[p][c].low + w[p][r].high * x[p][c].high, rounded as vdpbf16ps does: to nearest even after each
/// multiply-add, subnormal numbers read and written as 0. A pair is two bfloat16, the low one in the low bits: the
/// inputs 4 q, 4 q + 1 and 4 q + 2, 4 q + 3 of quantum q.
struct BFloat16Tile {
  const std::uint32_t* w = nullptr;  ///< [pair][16], aligned, of quanta first .. first + quanta - 1
  const std::uint32_t* x = nullptr;  ///< [pair][column], of the same
  const float* scales = nullptr;     ///< [group][16]
  std::ptrdiff_t first = 0;
  std::ptrdiff_t quanta = 0;
  std::ptrdiff_t group = 0;  ///< quanta of a group
  float* acc = nullptr;      ///< [column][16], aligned
};

}  // namespace nibble::kernels
