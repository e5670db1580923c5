// AVX2 kernels of float products: decoding of a panel to floats, scales included, and the product of what was decoded.
#pragma once
#if defined __x86_64__ || defined _M_X64

#include <immintrin.h>

#include "nibble/kernels/avx2/bytes.h"
#include "nibble/kernels/avx2/scales.h"

NIBBLE_BEGIN_TARGET(NIBBLE_AVX2)

namespace nibble::kernels {

template <unsigned B, int Bits, Decode D> struct DecodePanel<isa::Avx2Tag<B>, Bits, D> {
  static constexpr bool Lookup = D != Decode::Integer;

  static void run(const DecodeTile& tile) {
    constexpr int block = block_quanta(Bits);
    alignas(32) float table[16] = {};
    if (Lookup && Bits <= 4)
      for (int i = 0; i < 1 << Bits; ++i) table[i] = tile.values[i];
    const __m256 low = _mm256_load_ps(table), high = _mm256_load_ps(table + 8);
    float* out = tile.out;
    std::ptrdiff_t q = tile.first;
    const std::ptrdiff_t end = q + tile.quanta;
    while (q < end) {
      const std::ptrdiff_t g = q / tile.group;
      const std::ptrdiff_t stop = (g + 1) * tile.group < end ? (g + 1) * tile.group : end;
      __m256 scale[2], zero[2];
#pragma GCC unroll 2
      for (int h = 0; h < 2; ++h) {
        scale[h] = _mm256_loadu_ps(tile.scales + g * lanes + 8 * h);
        zero[h] = tile.zeros != nullptr ? _mm256_loadu_ps(tile.zeros + g * lanes + 8 * h) : _mm256_setzero_ps();
      }
      for (; q < stop; q += block) {
        avx2::PanelBytes<B, Bits>::prefetch(tile.panel, q, block);
#pragma GCC unroll 8
        for (int j = 0; j < block; ++j) {
#pragma GCC unroll 2
          for (int h = 0; h < 2; ++h) {
            const __m256i codes = avx2::PanelBytes<B, Bits>::load(tile.panel, q, j, h);
#pragma GCC unroll 4
            for (int i = 0; i < 4; ++i) {
              const __m256 v = value(low, high, tile.values, _mm256_srli_epi32(codes, 8 * i));
              _mm256_store_ps(out + i * lanes + 8 * h, _mm256_mul_ps(_mm256_sub_ps(v, zero[h]), scale[h]));
            }
          }
          out += 4 * lanes;
        }
      }
    }
  }

 private:
  /// The values of the codes in the low bytes of 8 lanes.
  static __m256 value(__m256 low, __m256 high, const float* values, __m256i lanes_of_codes) {
    if (Lookup && Bits <= 3) return _mm256_permutevar8x32_ps(low, lanes_of_codes);
    if (Lookup && Bits == 4) {
      const __m256 upper = _mm256_castsi256_ps(_mm256_slli_epi32(lanes_of_codes, 28));
      return _mm256_blendv_ps(_mm256_permutevar8x32_ps(low, lanes_of_codes),
                              _mm256_permutevar8x32_ps(high, lanes_of_codes), upper);
    }
    const __m256i code = _mm256_and_si256(lanes_of_codes, _mm256_set1_epi32(255));
    return Lookup ? _mm256_i32gather_ps(values, code, 4) : _mm256_cvtepi32_ps(code);
  }
};

template <unsigned B> struct FloatDot<isa::Avx2Tag<B>> {
  static void run(const FloatTile& tile, int columns) {
    for (int c = 0; c < columns; c += 6)
      multiply_columns<FloatDot, 6>(Part{tile, columns, c}, columns - c < 6 ? columns - c : 6);
  }

  struct Part {
    const FloatTile& tile;
    int columns;
    int first;
  };

  template <int C> static void multiply(const Part& part) {
    const FloatTile& tile = part.tile;
    float* acc = tile.acc + part.first * lanes;
    const float* x = tile.x + part.first;
    __m256 sum[C][2];
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c) {
#pragma GCC unroll 2
      for (int h = 0; h < 2; ++h) sum[c][h] = _mm256_load_ps(acc + c * lanes + 8 * h);
    }
    for (std::ptrdiff_t k = 0; k < tile.depth; ++k) {
      const __m256 w[2] = {_mm256_load_ps(tile.w + k * lanes), _mm256_load_ps(tile.w + k * lanes + 8)};
#pragma GCC unroll 8
      for (int c = 0; c < C; ++c) {
        const __m256 input = _mm256_set1_ps(x[k * part.columns + c]);
#pragma GCC unroll 2
        for (int h = 0; h < 2; ++h) sum[c][h] = _mm256_fmadd_ps(w[h], input, sum[c][h]);
      }
    }
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c) {
#pragma GCC unroll 2
      for (int h = 0; h < 2; ++h) _mm256_store_ps(acc + c * lanes + 8 * h, sum[c][h]);
    }
  }
};

}  // namespace nibble::kernels

NIBBLE_END_TARGET

#endif
