// AVX-512 kernels of float products: decoding of a panel to floats, scales included, and the product of what was
// decoded.
#pragma once
#if defined __x86_64__ || defined _M_X64

#include <immintrin.h>

#include "nibble/kernels/avx512/bytes.h"
#include "nibble/kernels/avx512/scales.h"
#include "nibble/kernels/avx512/values.h"

NIBBLE_BEGIN_TARGET(NIBBLE_AVX512)

namespace nibble::kernels {

template <unsigned B, int Bits, Decode D> struct DecodePanel<isa::Avx512Tag<B>, Bits, D> {
  static void run(const DecodeTile& tile) {
    constexpr int block = block_quanta(Bits);
    const avx512::Values<B, Bits, D> values(tile.values);
    float* out = tile.out;
    std::ptrdiff_t q = tile.first;
    const std::ptrdiff_t end = q + tile.quanta;
    while (q < end) {
      const std::ptrdiff_t g = q / tile.group;
      const std::ptrdiff_t stop = (g + 1) * tile.group < end ? (g + 1) * tile.group : end;
      const __m512 scale = _mm512_loadu_ps(tile.scales + g * lanes);
      const __m512 zero = avx512::zero_of<decltype(values)>(tile.zeros, g);
      for (; q < stop; q += block) {
        avx512::PanelBytes<B, Bits>::prefetch(tile.panel, q, block);
#pragma GCC unroll 8
        for (int j = 0; j < block; ++j) {
          __m512 v[4];
          values.load(tile.panel, q, j, v);
#pragma GCC unroll 4
          for (int i = 0; i < 4; ++i) {
            _mm512_store_ps(out, _mm512_mul_ps(_mm512_sub_ps(v[i], zero), scale));
            out += lanes;
          }
        }
      }
    }
  }
};

template <unsigned B, int Bits, Decode D, bool Zeros> struct FloatDirect<isa::Avx512Tag<B>, Bits, D, Zeros> {
  static void run(const DirectTile& tile, int columns) { multiply_columns<FloatDirect, direct_columns>(tile, columns); }

  template <int C> static void multiply(const DirectTile& tile) {
    constexpr int chains = C >= 3 ? 1 : C == 2 ? 2 : 4;
    constexpr int block = block_quanta(Bits);
    const avx512::Values<B, Bits, D> values(tile.codes.values);
    const std::ptrdiff_t end = tile.codes.quanta;
    __m512 total[C];
#pragma GCC unroll 16
    for (int c = 0; c < C; ++c) total[c] = _mm512_setzero_ps();
    const float* x = tile.x;
    for (std::ptrdiff_t q = 0, g = 0; q < end; ++g) {
      const std::ptrdiff_t stop = q + tile.codes.group < end ? q + tile.codes.group : end;
      const __m512 zero = avx512::zero_of<decltype(values)>(tile.codes.zeros, g);
      __m512 sum[chains][C];
#pragma GCC unroll 16
      for (int c = 0; c < C; ++c)
#pragma GCC unroll 4
        for (int u = 0; u < chains; ++u) sum[u][c] = _mm512_setzero_ps();
      for (; q < stop; q += block) {
        avx512::PanelBytes<B, Bits>::prefetch(tile.codes.panel, q, block);
#pragma GCC unroll 8
        for (int j = 0; j < block; ++j) {
          __m512 v[4];
          values.load(tile.codes.panel, q, j, v);
#pragma GCC unroll 4
          for (int i = 0; i < 4; ++i) {
            if (Zeros || values.bias != 0) v[i] = _mm512_sub_ps(v[i], zero);
#pragma GCC unroll 16
            for (int c = 0; c < C; ++c)
              sum[i % chains][c] = _mm512_fmadd_ps(v[i], _mm512_set1_ps(x[i * C + c]), sum[i % chains][c]);
          }
          x += 4 * C;
        }
      }
      const __m512 scale = _mm512_loadu_ps(tile.codes.scales + g * lanes);
#pragma GCC unroll 16
      for (int c = 0; c < C; ++c) {
#pragma GCC unroll 4
        for (int u = 1; u < chains; ++u) sum[0][c] = _mm512_add_ps(sum[0][c], sum[u][c]);
        total[c] = _mm512_fmadd_ps(sum[0][c], scale, total[c]);
      }
    }
#pragma GCC unroll 16
    for (int c = 0; c < C; ++c) _mm512_storeu_ps(tile.y + c * lanes, total[c]);
  }
};

template <unsigned B> struct FloatDot<isa::Avx512Tag<B>> {
  static void run(const FloatTile& tile, int columns) { multiply_columns<FloatDot>(tile, columns); }

  template <int C> static void multiply(const FloatTile& tile) {
    constexpr int chains = C >= 6 ? 1 : C >= 3 ? 2 : 4;
    __m512 sum[chains][C];
#pragma GCC unroll 16
    for (int c = 0; c < C; ++c) {
      sum[0][c] = _mm512_load_ps(tile.acc + c * lanes);
#pragma GCC unroll 4
      for (int u = 1; u < chains; ++u) sum[u][c] = _mm512_setzero_ps();
    }
    // Depth is a multiple of 4.
    for (std::ptrdiff_t k = 0; k < tile.depth; k += 4) {
#pragma GCC unroll 4
      for (int u = 0; u < 4; ++u) {
        const __m512 w = _mm512_load_ps(tile.w + (k + u) * lanes);
#pragma GCC unroll 16
        for (int c = 0; c < C; ++c)
          sum[u % chains][c] = _mm512_fmadd_ps(w, _mm512_set1_ps(tile.x[(k + u) * C + c]), sum[u % chains][c]);
      }
    }
#pragma GCC unroll 16
    for (int c = 0; c < C; ++c) {
#pragma GCC unroll 4
      for (int u = 1; u < chains; ++u) sum[0][c] = _mm512_add_ps(sum[0][c], sum[u][c]);
      _mm512_store_ps(tile.acc + c * lanes, sum[0][c]);
    }
  }
};

}  // namespace nibble::kernels

NIBBLE_END_TARGET

#endif
