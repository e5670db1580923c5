// AVX2 kernels of float products: decoding of a panel to floats, scales included, and the product of what was decoded.
#pragma once
#if defined __x86_64__ || defined _M_X64

#include <immintrin.h>

#include "nibble/kernels/avx2/scales.h"
#include "nibble/kernels/avx2/values.h"

NIBBLE_BEGIN_TARGET(NIBBLE_AVX2)

namespace nibble::kernels {

template <unsigned B, class C, Lanes L> struct DecodePanel<isa::Avx2Tag<B>, C, L> {
  static void run(const DecodeTile& tile) {
    constexpr int block = block_quanta(C::bits);
    const avx2::Values<B, C> values(tile.values);
    float* out = tile.out;
    std::ptrdiff_t q = tile.first;
    const std::ptrdiff_t end = q + tile.quanta;
    while (q < end) {
      const std::ptrdiff_t g = q / tile.group;
      const std::ptrdiff_t stop = (g + 1) * tile.group < end ? (g + 1) * tile.group : end;
      __m256i above[2];
      __m256 scale[2], zero[2];
#pragma GCC unroll 2
      for (int h = 0; h < 2; ++h) {
        above[h] = avx2::above_of<B, C>(tile.above, g, h);
        scale[h] = avx2::scale_of<B, L>(tile.scales, g, h);
        zero[h] = avx2::zero_of<B>(tile.zeros, g, h);
      }
      for (; q < stop; q += block) {
        avx2::PanelBytes<B, C::bits>::prefetch(tile.panel, q, block);
#pragma GCC unroll 8
        for (int j = 0; j < block; ++j) {
#pragma GCC unroll 2
          for (int h = 0; h < 2; ++h) {
            __m256 v[4];
            values.load(tile.panel, q, j, h, above[h], v);
            if (L == Lanes::FineInputs) scale[h] = _mm256_loadu_ps(tile.scales + (q + j) * lanes + 8 * h);
#pragma GCC unroll 4
            for (int i = 0; i < 4; ++i) {
              if (L == Lanes::Rows) v[i] = _mm256_sub_ps(v[i], zero[h]);
              _mm256_store_ps(out + i * lanes + 8 * h, _mm256_mul_ps(v[i], scale[h]));
            }
          }
          out += 4 * lanes;
        }
      }
    }
  }
};

/// Group by group and half by half, so that sums fit the 16 registers.
template <unsigned B, class C, bool Zeros, Lanes L> struct FloatDirect<isa::Avx2Tag<B>, C, Zeros, L> {
  static void run(const DirectTile& tile, int columns) { multiply_columns<FloatDirect, direct_columns>(tile, columns); }

  template <int M> static void multiply(const DirectTile& tile) {
    const avx2::Values<B, C> values(tile.codes.values);
    const std::ptrdiff_t end = tile.codes.quanta;
    for (std::ptrdiff_t q = 0, g = 0; q < end; ++g) {
      const std::ptrdiff_t stop = q + tile.codes.group < end ? q + tile.codes.group : end;
      for (int h = 0; h < 2; ++h) half<M>(tile, values, q, stop, g, h);
      q = stop;
    }
  }

 private:
  template <int M>
  static void half(const DirectTile& tile, const avx2::Values<B, C>& values, std::ptrdiff_t q, std::ptrdiff_t stop,
                   std::ptrdiff_t g, int h) {
    constexpr int chains = M >= 6 ? 1 : M >= 3 ? 2 : 4;
    constexpr int block = block_quanta(C::bits);
    constexpr int stride = L == Lanes::Rows ? 1 : lanes;
    const __m256i above = avx2::above_of<B, C>(tile.codes.above, g, h);
    const __m256 zero = avx2::zero_of<B>(tile.codes.zeros, g, h);
    const float* x = tile.x + q * 4 * M * stride + (L == Lanes::Rows ? 0 : 8 * h);
    __m256 sum[chains][M];
#pragma GCC unroll 8
    for (int c = 0; c < M; ++c)
#pragma GCC unroll 4
      for (int u = 0; u < chains; ++u) sum[u][c] = _mm256_setzero_ps();
    for (; q < stop; q += block) {
      if (h == 0) avx2::PanelBytes<B, C::bits>::prefetch(tile.codes.panel, q, block);
#pragma GCC unroll 8
      for (int j = 0; j < block; ++j) {
        __m256 v[4];
        values.load(tile.codes.panel, q, j, h, above, v);
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i) {
          if (Zeros) v[i] = _mm256_sub_ps(v[i], zero);
          if (L == Lanes::FineInputs)
            v[i] = _mm256_mul_ps(v[i], _mm256_loadu_ps(tile.codes.scales + (q + j) * lanes + 8 * h));
#pragma GCC unroll 8
          for (int c = 0; c < M; ++c) {
            const float* at = x + (i * M + c) * stride;
            const __m256 input = L == Lanes::Rows ? _mm256_set1_ps(*at) : _mm256_loadu_ps(at);
            sum[i % chains][c] = _mm256_fmadd_ps(v[i], input, sum[i % chains][c]);
          }
        }
        x += 4 * M * stride;
      }
    }
    const __m256 scale = avx2::scale_of<B, L>(tile.codes.scales, g, h);
#pragma GCC unroll 8
    for (int c = 0; c < M; ++c) {
#pragma GCC unroll 4
      for (int u = 1; u < chains; ++u) sum[0][c] = _mm256_add_ps(sum[0][c], sum[u][c]);
      float* y = tile.y + c * lanes + 8 * h;
      _mm256_storeu_ps(y, _mm256_fmadd_ps(sum[0][c], scale, _mm256_loadu_ps(y)));
    }
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

template <unsigned B> struct TransposeRows<isa::Avx2Tag<B>> {
  static void run(const float* in, std::ptrdiff_t stride, std::ptrdiff_t depth, float* out) {
    for (std::ptrdiff_t k = 0; k < depth; k += 8) {
      for (int half = 0; half < 2; ++half) {
        __m256 a[8], b[8];
#pragma GCC unroll 8
        for (int r = 0; r < 8; ++r) a[r] = _mm256_load_ps(in + (8 * half + r) * stride + k);
#pragma GCC unroll 4
        for (int r = 0; r < 8; r += 2) {
          b[r] = _mm256_unpacklo_ps(a[r], a[r + 1]);
          b[r + 1] = _mm256_unpackhi_ps(a[r], a[r + 1]);
        }
#pragma GCC unroll 2
        for (int r = 0; r < 8; r += 4) {
#pragma GCC unroll 2
          for (int h = 0; h < 2; ++h) {
            a[r + 2 * h] = _mm256_shuffle_ps(b[r + h], b[r + h + 2], 0x44);
            a[r + 2 * h + 1] = _mm256_shuffle_ps(b[r + h], b[r + h + 2], 0xee);
          }
        }
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i) {
          _mm256_store_ps(out + (k + i) * lanes + 8 * half, _mm256_permute2f128_ps(a[i], a[4 + i], 0x20));
          _mm256_store_ps(out + (k + 4 + i) * lanes + 8 * half, _mm256_permute2f128_ps(a[i], a[4 + i], 0x31));
        }
      }
    }
  }
};

}  // namespace nibble::kernels

NIBBLE_END_TARGET

#endif
