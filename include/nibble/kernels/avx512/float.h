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

template <unsigned B, class C, Lanes L> struct DecodePanel<isa::Avx512Tag<B>, C, L> {
  static void run(const DecodeTile& tile) {
    constexpr int block = block_quanta(C::bits);
    const avx512::Values<B, C> values(tile.values);
    float* out = tile.out;
    std::ptrdiff_t q = tile.first;
    const std::ptrdiff_t end = q + tile.quanta;
    while (q < end) {
      const std::ptrdiff_t g = q / tile.group;
      const std::ptrdiff_t stop = (g + 1) * tile.group < end ? (g + 1) * tile.group : end;
      const __m512i above = avx512::above_of<B, C>(tile.above, g);
      __m512 scale = avx512::scale_of<B, L>(tile.scales, g);
      const __m512 zero = avx512::zero_of<decltype(values)>(tile.zeros, g);
      for (; q < stop; q += block) {
        avx512::PanelBytes<B, C::bits>::prefetch(tile.panel, q, block);
#pragma GCC unroll 8
        for (int j = 0; j < block; ++j) {
          __m512 v[4];
          values.load(tile.panel, q, j, above, v);
          if (L == Lanes::FineInputs) scale = _mm512_loadu_ps(tile.scales + (q + j) * lanes);
#pragma GCC unroll 4
          for (int i = 0; i < 4; ++i) {
            if (L == Lanes::Rows) v[i] = _mm512_sub_ps(v[i], zero);
            _mm512_store_ps(out, _mm512_mul_ps(v[i], scale));
            out += lanes;
          }
        }
      }
    }
  }
};

template <unsigned B, class C, bool Zeros, Lanes L> struct FloatDirect<isa::Avx512Tag<B>, C, Zeros, L> {
  static void run(const DirectTile& tile, int columns) { multiply_columns<FloatDirect, direct_columns>(tile, columns); }

  template <int M> static void multiply(const DirectTile& tile) {
    constexpr int chains = M >= 3 ? 1 : M == 2 ? 2 : 4;
    constexpr int block = block_quanta(C::bits);
    constexpr int stride = L == Lanes::Rows ? 1 : lanes;
    const avx512::Values<B, C> values(tile.codes.values);
    const std::ptrdiff_t end = tile.codes.quanta;
    __m512 total[M];
#pragma GCC unroll 16
    for (int c = 0; c < M; ++c) total[c] = _mm512_loadu_ps(tile.y + c * lanes);
    const float* x = tile.x;
    for (std::ptrdiff_t q = 0, g = 0; q < end; ++g) {
      const std::ptrdiff_t stop = q + tile.codes.group < end ? q + tile.codes.group : end;
      const __m512i above = avx512::above_of<B, C>(tile.codes.above, g);
      const __m512 zero = avx512::zero_of<decltype(values)>(tile.codes.zeros, g);
      __m512 sum[chains][M];
#pragma GCC unroll 16
      for (int c = 0; c < M; ++c)
#pragma GCC unroll 4
        for (int u = 0; u < chains; ++u) sum[u][c] = _mm512_setzero_ps();
      for (; q < stop; q += block) {
        avx512::PanelBytes<B, C::bits>::prefetch(tile.codes.panel, q, block);
#pragma GCC unroll 8
        for (int j = 0; j < block; ++j) {
          __m512 v[4];
          values.load(tile.codes.panel, q, j, above, v);
#pragma GCC unroll 4
          for (int i = 0; i < 4; ++i) {
            if (Zeros || values.bias != 0) v[i] = _mm512_sub_ps(v[i], zero);
            if (L == Lanes::FineInputs)
              v[i] = _mm512_mul_ps(v[i], _mm512_loadu_ps(tile.codes.scales + (q + j) * lanes));
#pragma GCC unroll 16
            for (int c = 0; c < M; ++c) {
              const float* at = x + (i * M + c) * stride;
              const __m512 input = L == Lanes::Rows ? _mm512_set1_ps(*at) : _mm512_loadu_ps(at);
              sum[i % chains][c] = _mm512_fmadd_ps(v[i], input, sum[i % chains][c]);
            }
          }
          x += 4 * M * stride;
        }
      }
      const __m512 scale = avx512::scale_of<B, L>(tile.codes.scales, g);
#pragma GCC unroll 16
      for (int c = 0; c < M; ++c) {
#pragma GCC unroll 4
        for (int u = 1; u < chains; ++u) sum[0][c] = _mm512_add_ps(sum[0][c], sum[u][c]);
        total[c] = _mm512_fmadd_ps(sum[0][c], scale, total[c]);
      }
    }
#pragma GCC unroll 16
    for (int c = 0; c < M; ++c) _mm512_storeu_ps(tile.y + c * lanes, total[c]);
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

template <unsigned B> struct TransposeRows<isa::Avx512Tag<B>> {
  static void run(const float* in, std::ptrdiff_t stride, std::ptrdiff_t depth, float* out) {
    for (std::ptrdiff_t k = 0; k < depth; k += 16) {
      __m512 a[16], b[16];
#pragma GCC unroll 16
      for (int r = 0; r < 16; ++r) a[r] = _mm512_load_ps(in + r * stride + k);
        // Pairs of rows, then of pairs, by 32 and 64 bits within 128; then 128 bits across registers.
#pragma GCC unroll 8
      for (int r = 0; r < 16; r += 2) {
        b[r] = _mm512_unpacklo_ps(a[r], a[r + 1]);
        b[r + 1] = _mm512_unpackhi_ps(a[r], a[r + 1]);
      }
#pragma GCC unroll 8
      for (int r = 0; r < 16; r += 4) {
#pragma GCC unroll 2
        for (int h = 0; h < 2; ++h) {
          const __m512d low = _mm512_castps_pd(b[r + h]), high = _mm512_castps_pd(b[r + h + 2]);
          a[r + 2 * h] = _mm512_castpd_ps(_mm512_unpacklo_pd(low, high));
          a[r + 2 * h + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(low, high));
        }
      }
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) {
        b[i] = _mm512_shuffle_f32x4(a[i], a[4 + i], 0x88);
        b[4 + i] = _mm512_shuffle_f32x4(a[i], a[4 + i], 0xdd);
        b[8 + i] = _mm512_shuffle_f32x4(a[8 + i], a[12 + i], 0x88);
        b[12 + i] = _mm512_shuffle_f32x4(a[8 + i], a[12 + i], 0xdd);
      }
#pragma GCC unroll 8
      for (int i = 0; i < 8; ++i) {
        const int place = i % 4 + (i < 4 ? 0 : 4);
        _mm512_store_ps(out + (k + place) * lanes, _mm512_shuffle_f32x4(b[i], b[8 + i], 0x88));
        _mm512_store_ps(out + (k + place + 8) * lanes, _mm512_shuffle_f32x4(b[i], b[8 + i], 0xdd));
      }
    }
  }
};

}  // namespace nibble::kernels

NIBBLE_END_TARGET

#endif
