// How the SIMD paths cut the quantization of activations into blocks that stay in the L1 cache.
#pragma once

#include <cstring>

#include "nibble/kernels/portable/quantize_activations.h"

namespace nibble::kernels {

/// The grids of a block: [group][column], or [column] where a column is one group.
struct ActivationGrids {
  static constexpr int size = 64;
  alignas(64) float scale[size];
  alignas(64) float inverse[size];
  alignas(64) std::int32_t zero[size];

  /// Whether all floats are finite, and all scales but 0 have a reciprocal.
  struct Found {
    bool finite = true, invertible = true;
    void add(Found other) {
      finite = finite && other.finite;
      invertible = invertible && other.invertible;
    }
  };
};

/// QuantizeColumns on the registers of `Registers`, which have `lanes` floats and, for groups of `size` rows of the
/// first C columns, 1, 2 or 4 with at most 4 bytes to a row,
///   grids<C>(t, count, size, grids, first): the grids of `count` groups, C * count <= lanes, from place `first` on;
///     places up to first + lanes - 1 are written;
///   encode<C, Clip>(t, count, size, grids, first): their integers under these grids, which are invertible; with Clip
///     floats may lie beyond them.
template <class Registers, class S> struct ActivationBlocks {
  static bool run(const ActivationColumns& t, std::ptrdiff_t count) {
    if constexpr (S::group_inputs == 0) {
      return whole_columns(t, count);
    } else {
      bool finite = true;
      cut(count, [&]<int C>(std::integral_constant<int, C>, std::ptrdiff_t c) {
        finite = grouped<C>(t.from(0, 0, c, parts)) && finite;
      });
      return finite;
    }
  }

 private:
  static constexpr int parts = QuantizedActivations<S>::parts;

  /// Calls f(C, first column) for 4, 2 or 1 columns at a time.
  template <class F> static void cut(std::ptrdiff_t count, const F& f) {
    std::ptrdiff_t c = 0;
    if constexpr (parts == 1)
      for (; c + 4 <= count; c += 4) f(std::integral_constant<int, 4>{}, c);
    for (; c + 2 <= count; c += 2) f(std::integral_constant<int, 2>{}, c);
    if (c < count) f(std::integral_constant<int, 1>{}, c);
  }

  /// All grids first, column by column, as memory is read fastest; then integers by runs of rows, so that each line of
  /// them is written at once.
  static bool whole_columns(const ActivationColumns& t, std::ptrdiff_t count) {
    constexpr std::ptrdiff_t run = 1024;
    ActivationGrids grids;
    ActivationGrids::Found found;
    for (std::ptrdiff_t c = 0; c < count; ++c) {
      const ActivationColumns column = t.from(0, 0, c, parts);
      found.add(Registers::template grids<1>(column, 1, t.rows, grids, c));
      keep<1>(column, 1, grids, c);
    }
    if (!found.invertible) return QuantizeColumns<isa::Portable, S>::run(t, count);
    for (std::ptrdiff_t k = 0; k < t.rows; k += run) {
      cut(count, [&]<int C>(std::integral_constant<int, C>, std::ptrdiff_t c) {
        encode<C>(t.from(k, 0, c, parts), 1, t.rows - k < run ? t.rows - k : run, grids, c);
      });
    }
    return found.finite;
  }

  /// Several times `lanes` groups at a time, if they are short: the way from floats to scales is long, and one
  /// register's need not wait for that of the one before.
  template <int C> static bool grouped(const ActivationColumns& t) {
    constexpr std::ptrdiff_t size = S::group_inputs, fit = 4096 / size / Registers::lanes * Registers::lanes / C;
    constexpr std::ptrdiff_t step = Registers::lanes / C, limit = ActivationGrids::size / C;
    constexpr std::ptrdiff_t most = fit < step ? step : fit < limit ? fit : limit;
    const std::ptrdiff_t whole = t.rows / size, rest = t.rows % size;
    bool finite = true;
    for (std::ptrdiff_t g = 0; g < whole; g += most)
      finite = block<C>(t.from(g * size, g, 0, parts), whole - g < most ? whole - g : most, size) && finite;
    if (rest > 0) finite = block<C>(t.from(whole * size, whole, 0, parts), 1, rest) && finite;
    return finite;
  }

  template <int C> static bool block(ActivationColumns t, std::ptrdiff_t count, std::ptrdiff_t size) {
    constexpr std::ptrdiff_t step = Registers::lanes / C;
    ActivationGrids grids;
    ActivationGrids::Found found;
    for (std::ptrdiff_t g = 0; g < count; g += step)
      found.add(Registers::template grids<C>(t.from(g * size, g, 0, parts), count - g < step ? count - g : step, size,
                                             grids, g * C));
    t.rows = count * size;
    if (!found.invertible) return QuantizeColumns<isa::Portable, S>::run(t, C);
    keep<C>(t, count, grids, 0);
    encode<C>(t, count, size, grids, 0);
    return found.finite;
  }

  /// Stores scales and zeros.
  template <int C>
  static void keep(const ActivationColumns& t, std::ptrdiff_t count, const ActivationGrids& grids,
                   std::ptrdiff_t first) {
    float* scales = t.scales;
    for (std::ptrdiff_t i = first; i < first + count * C; i += C, scales += t.width)
      std::memcpy(scales, grids.scale + i, C * sizeof(float));
    if constexpr (S::affine) {
      std::int8_t* zeros = t.zeros;
      for (std::ptrdiff_t i = first; i < first + count * C; i += C, zeros += t.width)
        for (int c = 0; c < C; ++c) zeros[c] = static_cast<std::int8_t>(grids.zero[i + c]);
    }
  }

  template <int C>
  static void encode(const ActivationColumns& t, std::ptrdiff_t count, std::ptrdiff_t size,
                     const ActivationGrids& grids, std::ptrdiff_t first) {
    if constexpr (!S::affine)
      if (t.fixed_scale != nullptr) return Registers::template encode<C, true>(t, count, size, grids, first);
    Registers::template encode<C, false>(t, count, size, grids, first);
  }
};

}  // namespace nibble::kernels
