// AVX-512: products of a sparse matrix, 16 columns to a register.
#pragma once
#if defined __x86_64__ || defined _M_X64

#include <immintrin.h>

#include "nibble/kernels/avx512/bytes.h"
#include "nibble/kernels/portable/sparse.h"

NIBBLE_BEGIN_TARGET(NIBBLE_AVX512)

namespace nibble::kernels {

template <unsigned B> struct SparseDot<isa::Avx512Tag<B>> {
  static void run(const SparseTile& tile) {
    if (tile.width == 1) return gather(tile);
    if (tile.width <= 16) return multiply<1>(tile);
    multiply<2>(tile);
  }

  /// R registers of columns, the last of which may be cut short. Short sums are kept in several chains.
  template <int R> static void multiply(const SparseTile& tile) {
    constexpr int chains = R == 1 ? 4 : 2;
    const auto last = static_cast<__mmask16>(0xffffu >> (16 * R - tile.width));
    for (std::ptrdiff_t r = 0; r < tile.rows; ++r) {
      __m512 sum[chains][R];
#pragma GCC unroll 4
      for (int u = 0; u < chains; ++u)
#pragma GCC unroll 2
        for (int i = 0; i < R; ++i) sum[u][i] = _mm512_setzero_ps();
      int e = tile.starts[r];
      const int end = tile.starts[r + 1];
      for (; e + chains <= end; e += chains) {
#pragma GCC unroll 4
        for (int u = 0; u < chains; ++u) add<R>(tile, e + u, last, sum[u]);
      }
      for (; e < end; ++e) add<R>(tile, e, last, sum[0]);
#pragma GCC unroll 2
      for (int i = 0; i < R; ++i) {
#pragma GCC unroll 4
        for (int u = 1; u < chains; ++u) sum[0][i] = _mm512_add_ps(sum[0][i], sum[u][i]);
        _mm512_storeu_ps(tile.y + r * sparse_columns + 16 * i, sum[0][i]);
      }
    }
  }

  /// One column: 16 elements of a row at a time.
  static void gather(const SparseTile& tile) {
    for (std::ptrdiff_t r = 0; r < tile.rows; ++r) {
      __m512 sum = _mm512_setzero_ps();
      const int end = tile.starts[r + 1];
      for (int e = tile.starts[r]; e < end; e += 16) {
        const auto these = static_cast<__mmask16>(end - e >= 16 ? 0xffffu : (1u << (end - e)) - 1);
        const __m512i columns = _mm512_maskz_loadu_epi32(these, tile.columns + e);
        const __m512 inputs = _mm512_mask_i32gather_ps(_mm512_setzero_ps(), these, columns, tile.x, 4);
        sum = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(these, tile.values + e), inputs, sum);
      }
      tile.y[r * sparse_columns] = _mm512_reduce_add_ps(sum);
    }
  }

 private:
  template <int R> [[gnu::always_inline]] static void add(const SparseTile& tile, int e, __mmask16 last, __m512* sum) {
    const float* const x = tile.x + static_cast<std::ptrdiff_t>(tile.columns[e]) * tile.width;
    const __m512 value = _mm512_set1_ps(tile.values[e]);
#pragma GCC unroll 2
    for (int i = 0; i < R; ++i) {
      const __m512 inputs = i == R - 1 ? _mm512_maskz_loadu_ps(last, x + 16 * i) : _mm512_loadu_ps(x + 16 * i);
      sum[i] = _mm512_fmadd_ps(value, inputs, sum[i]);
    }
  }
};

}  // namespace nibble::kernels

NIBBLE_END_TARGET

#endif
