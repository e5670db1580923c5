// AVX-512 BF16: products of weights and activations in bfloat16. The feature is none of isa::Avx512's: ask available().
#pragma once
#if defined __x86_64__ || defined _M_X64

#include <immintrin.h>

#include "nibble/kernels/avx512/float.h"

NIBBLE_BEGIN_TARGET(NIBBLE_AVX512)

namespace nibble::kernels {

template <unsigned B, class C, bool Scaled> struct DecodePairs<isa::Avx512Tag<B>, C, Scaled> {
  static void run(const DecodeTile& tile, std::uint32_t* out) {
    constexpr int block = block_quanta(C::bits);
    const avx512::Values<B, C> values(tile.values);
    const __m512i top = _mm512_set1_epi32(static_cast<int>(0xffff0000));
    std::ptrdiff_t q = tile.first;
    const std::ptrdiff_t end = q + tile.quanta;
    while (q < end) {
      const std::ptrdiff_t g = q / tile.group;
      const std::ptrdiff_t stop = (g + 1) * tile.group < end ? (g + 1) * tile.group : end;
      const __m512i above = avx512::above_of<B, C>(tile.above, g);
      const __m512 zero = avx512::zero_of<decltype(values)>(tile.zeros, g);
      const __m512 scale = _mm512_loadu_ps(tile.scales + g * lanes);
      for (; q < stop; q += block) {
        avx512::PanelBytes<B, C::bits>::prefetch(tile.panel, q, block);
#pragma GCC unroll 8
        for (int j = 0; j < block; ++j) {
          __m512 v[4];
          values.load(tile.panel, q, j, above, v);
#pragma GCC unroll 4
          for (int i = 0; i < 4; ++i) {
            v[i] = _mm512_sub_ps(v[i], zero);
            if (Scaled) v[i] = _mm512_mul_ps(v[i], scale);
          }
#pragma GCC unroll 2
          for (int i = 0; i < 4; i += 2) {
            const __m512i low = _mm512_srli_epi32(_mm512_castps_si512(v[i]), 16);
            const __m512i pair =
                _mm512_ternarylogic_epi32(low, _mm512_castps_si512(v[i + 1]), top, 0xf8);  // a | (b & c)
            _mm512_store_si512(out, pair);
            out += lanes;
          }
        }
      }
    }
  }
};

}  // namespace nibble::kernels

NIBBLE_END_TARGET

NIBBLE_BEGIN_TARGET("avx512bf16," NIBBLE_AVX512)

namespace nibble::kernels {

template <unsigned B> struct BFloat16Dot<isa::Avx512Tag<B>> {
  static constexpr bool exists = true;
  static bool available() { return __builtin_cpu_supports("avx512bf16"); }

  static void run(const BFloat16Tile& tile, int columns) { multiply_columns<BFloat16Dot>(tile, columns); }

  template <int M> static void multiply(const BFloat16Tile& tile) {
    constexpr int chains = M >= 6 ? 1 : M >= 3 ? 2 : 4;
    const std::uint32_t* w = tile.w;
    const std::uint32_t* x = tile.x;
    __m512 total[M];
#pragma GCC unroll 16
    for (int c = 0; c < M; ++c) total[c] = _mm512_load_ps(tile.acc + c * lanes);
    std::ptrdiff_t q = tile.first;
    const std::ptrdiff_t end = q + tile.quanta;
    while (q < end) {
      const std::ptrdiff_t g = q / tile.group;
      const std::ptrdiff_t stop = (g + 1) * tile.group < end ? (g + 1) * tile.group : end;
      __m512 sum[chains][M];
#pragma GCC unroll 16
      for (int c = 0; c < M; ++c)
#pragma GCC unroll 4
        for (int u = 0; u < chains; ++u) sum[u][c] = _mm512_setzero_ps();
      // Two quanta, 4 pairs: a group of a multiple of 8 inputs, as most are, has no rest.
      for (; q + 1 < stop; q += 2) {
#pragma GCC unroll 4
        for (int u = 0; u < 4; ++u) step<M>(w + u * lanes, x + u * M, sum[u % chains]);
        w += 4 * lanes;
        x += 4 * M;
      }
      if (q < stop) {
#pragma GCC unroll 2
        for (int u = 0; u < 2; ++u) step<M>(w + u * lanes, x + u * M, sum[u % chains]);
        w += 2 * lanes;
        x += 2 * M;
        ++q;
      }
      const __m512 scale = _mm512_loadu_ps(tile.scales + g * lanes);
#pragma GCC unroll 16
      for (int c = 0; c < M; ++c) {
#pragma GCC unroll 4
        for (int u = 1; u < chains; ++u) sum[0][c] = _mm512_add_ps(sum[0][c], sum[u][c]);
        total[c] = _mm512_fmadd_ps(sum[0][c], scale, total[c]);
      }
    }
#pragma GCC unroll 16
    for (int c = 0; c < M; ++c) _mm512_store_ps(tile.acc + c * lanes, total[c]);
  }

 private:
  template <int M>
  [[gnu::always_inline]] static void step(const std::uint32_t* w, const std::uint32_t* x, __m512 (&sum)[M]) {
    const __m512bh pairs = reinterpret_cast<__m512bh>(_mm512_load_si512(w));
#pragma GCC unroll 16
    for (int c = 0; c < M; ++c) {
      const __m512i input = _mm512_set1_epi32(static_cast<int>(x[c]));
      sum[c] = _mm512_dpbf16_ps(sum[c], pairs, reinterpret_cast<__m512bh>(input));
    }
  }
};

}  // namespace nibble::kernels

NIBBLE_END_TARGET

#endif
