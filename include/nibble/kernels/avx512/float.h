// AVX-512 kernels of float products: decoding of a panel to floats, scales included, and the product of what was
// decoded.
#pragma once
#if defined __x86_64__ || defined _M_X64

#include <immintrin.h>

#include "nibble/kernels/avx512/bytes.h"
#include "nibble/kernels/avx512/scales.h"

NIBBLE_BEGIN_TARGET(NIBBLE_AVX512)

namespace nibble::kernels {

template <unsigned B, int Bits, bool Lookup> struct DecodePanel<isa::Avx512Tag<B>, Bits, Lookup> {
  static void run(const DecodeTile& tile) {
    constexpr int block = block_quanta(Bits);
    __m512 table[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()};
    if (Lookup)
      table[0] = _mm512_maskz_loadu_ps(static_cast<__mmask16>(Bits < 4 ? (1 << (1 << Bits % 4)) - 1 : -1), tile.values);
    if (Lookup && Bits == 5) table[1] = _mm512_loadu_ps(tile.values + 16);
    float* out = tile.out;
    std::ptrdiff_t q = tile.first;
    const std::ptrdiff_t end = q + tile.quanta;
    while (q < end) {
      const std::ptrdiff_t g = q / tile.group;
      const std::ptrdiff_t stop = (g + 1) * tile.group < end ? (g + 1) * tile.group : end;
      const __m512 scale = _mm512_loadu_ps(tile.scales + g * lanes);
      const __m512 zero = tile.zeros != nullptr ? _mm512_loadu_ps(tile.zeros + g * lanes) : _mm512_setzero_ps();
      for (; q < stop; q += block) {
        avx512::PanelBytes<B, Bits>::prefetch(tile.panel, q, block);
#pragma GCC unroll 8
        for (int j = 0; j < block; ++j) {
          const __m512i codes = avx512::PanelBytes<B, Bits>::load(tile.panel, q, j);
#pragma GCC unroll 4
          for (int i = 0; i < 4; ++i) {
            const __m512 v = value(table, tile.values, _mm512_srli_epi32(codes, static_cast<unsigned>(8 * i)));
            _mm512_store_ps(out, _mm512_mul_ps(_mm512_sub_ps(v, zero), scale));
            out += lanes;
          }
        }
      }
    }
  }

 private:
  /// The values of the codes in the low bytes of 16 lanes.
  static __m512 value(const __m512 (&table)[2], const float* values, __m512i lanes_of_codes) {
    if (Lookup && Bits <= 4) return _mm512_permutexvar_ps(lanes_of_codes, table[0]);
    if (Lookup && Bits == 5) return _mm512_permutex2var_ps(table[0], lanes_of_codes, table[1]);
    const __m512i code = _mm512_and_si512(lanes_of_codes, _mm512_set1_epi32(255));
    return Lookup ? _mm512_i32gather_ps(code, values, 4) : _mm512_cvtepi32_ps(code);
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
