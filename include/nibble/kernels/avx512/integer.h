// AVX-512 kernels of integer products: a register holds 16 rows x 4 inputs, a column of X is a broadcast of 4 inputs,
// vpdpbusd multiplies them.
#pragma once
#if defined __x86_64__ || defined _M_X64

#include <immintrin.h>

#include "nibble/kernels/avx512/bytes.h"
#include "nibble/kernels/avx512/scales.h"

NIBBLE_BEGIN_TARGET(NIBBLE_AVX512)

namespace nibble::kernels {

/// One panel times 1 to 12 columns; all sums stay in registers. Few columns use several chains of sums each, so that
/// the latency of vpdpbusd (4 to 5 cycles) is hidden.
template <unsigned B, int Bits, int Top, class Scale, bool Affine, bool Grouped>
struct IntegerDot<isa::Avx512Tag<B>, Bits, Top, Scale, Affine, Grouped> {
  using Bytes = avx512::PanelBytes<B, Bits>;
  static constexpr int block = block_quanta(Bits);

  static void run(const IntegerTile& tile, int columns) { multiply_columns<IntegerDot>(tile, columns); }

  template <int C> static void multiply(const IntegerTile& tile) {
    constexpr int chains = C >= 6 ? 1 : C >= 3 ? 2 : 4;
    constexpr int span = block > chains ? block : chains;
    const __m512i lookup = Top > 0
                               ? _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(tile.lookup)))
                               : _mm512_setzero_si512();
    __m512 sum[C];
#pragma GCC unroll 16
    for (int c = 0; c < C; ++c) sum[c] = _mm512_setzero_ps();
    for (std::ptrdiff_t first = 0, s = 0; first < tile.quanta; first += tile.step, ++s) {
      __m512i total[chains][C];
      const __m512i zero =
          Affine ? _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(tile.w_zeros + s * lanes)))
                 : _mm512_setzero_si512();
#pragma GCC unroll 16
      for (int c = 0; c < C; ++c) {
        total[0][c] = _mm512_set1_epi32(tile.x_starts[s * C + c]);
        if (Affine)
          total[0][c] =
              _mm512_add_epi32(total[0][c], _mm512_mullo_epi32(zero, _mm512_set1_epi32(tile.x_zeros[s * C + c])));
#pragma GCC unroll 16
        for (int u = 1; u < chains; ++u) total[u][c] = _mm512_setzero_si512();
      }
      const std::ptrdiff_t end = first + tile.step < tile.quanta ? first + tile.step : tile.quanta;
      std::ptrdiff_t q = first;
      for (; q + span <= end; q += span) {
        Bytes::prefetch(tile.panel, q, span);
#pragma GCC unroll 16
        for (int j = 0; j < span; ++j) {
          const __m512i w = byte(tile, lookup, q, j);
#pragma GCC unroll 16
          for (int c = 0; c < C; ++c)
            total[j % chains][c] = _mm512_dpbusd_epi32(total[j % chains][c], w, input<C>(tile, q + j, c));
        }
      }
      if constexpr (span > block) {
        for (; q < end; q += block) {
#pragma GCC unroll 16
          for (int j = 0; j < block; ++j) {
            const __m512i w = byte(tile, lookup, q, j);
#pragma GCC unroll 16
            for (int c = 0; c < C; ++c) total[0][c] = _mm512_dpbusd_epi32(total[0][c], w, input<C>(tile, q + j, c));
          }
        }
      }
      const auto* scales = static_cast<const typename Scale::code_type*>(tile.w_scales) + s * lanes;
      _mm_prefetch(reinterpret_cast<const char*>(scales) + 1024, _MM_HINT_T0);
      if (Affine) _mm_prefetch(reinterpret_cast<const char*>(tile.w_zeros + s * lanes) + 1024, _MM_HINT_T0);
      const __m512 scale = ScaleLanes<isa::Avx512Tag<B>, Scale>::load(scales);
#pragma GCC unroll 16
      for (int c = 0; c < C; ++c) {
#pragma GCC unroll 16
        for (int u = 1; u < chains; ++u) total[0][c] = _mm512_add_epi32(total[0][c], total[u][c]);
        const __m512 both = Grouped ? _mm512_mul_ps(scale, _mm512_set1_ps(tile.x_scales[s * C + c])) : scale;
        sum[c] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(total[0][c]), both, sum[c]);
      }
    }
#pragma GCC unroll 16
    for (int c = 0; c < C; ++c)
      _mm512_storeu_ps(tile.y + c * lanes, _mm512_mul_ps(sum[c], _mm512_set1_ps(tile.factors[c])));
  }

 private:
  static __m512i byte(const IntegerTile& tile, __m512i lookup, std::ptrdiff_t q, int j) {
    const __m512i code = Bytes::load(tile.panel, q, j);
    return Top > 0 ? _mm512_shuffle_epi8(lookup, code) : code;
  }

  template <int C> static __m512i input(const IntegerTile& tile, std::ptrdiff_t q, int c) {
    std::int32_t four;
    __builtin_memcpy(&four, tile.x + 4 * (q * C + c), sizeof four);
    return _mm512_set1_epi32(four);
  }
};

template <unsigned B> struct ActivationSums<isa::Avx512Tag<B>> {
  static void run(const std::int8_t* x, int columns, std::ptrdiff_t quanta, std::ptrdiff_t step, std::int32_t* sums) {
    // Lanes are columns, 4 inputs each.
    const __mmask16 mask = static_cast<__mmask16>((1u << columns) - 1);
    const __m512i ones = _mm512_set1_epi8(1);
    for (std::ptrdiff_t first = 0; first < quanta; first += step, sums += columns) {
      const std::ptrdiff_t end = first + step < quanta ? first + step : quanta;
      __m512i sum = _mm512_setzero_si512();
      for (std::ptrdiff_t q = first; q < end; ++q)
        sum = _mm512_dpbusd_epi32(sum, ones, _mm512_maskz_loadu_epi32(mask, x + 4 * q * columns));
      _mm512_mask_storeu_epi32(sums, mask, sum);
    }
  }
};

template <unsigned B, int Bits> struct UnpackBytes<isa::Avx512Tag<B>, Bits> {
  static void run(const Panel& panel, const std::uint8_t* lookup, std::ptrdiff_t quanta, std::uint8_t* out) {
    constexpr int block = block_quanta(Bits);
    const avx512::ByteTable<B, Bits> table(lookup);
    for (std::ptrdiff_t q = 0; q < quanta; q += block) {
      avx512::PanelBytes<B, Bits>::prefetch(panel, q, block);
#pragma GCC unroll 16
      for (int j = 0; j < block; ++j)
        _mm512_storeu_si512(out + (q + j) * 64, table(avx512::PanelBytes<B, Bits>::load(panel, q, j)));
    }
  }
};

}  // namespace nibble::kernels

NIBBLE_END_TARGET

#endif
