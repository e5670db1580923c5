// AVX2: products of a sparse matrix, 8 columns to a register.
#pragma once
#if defined __x86_64__ || defined _M_X64

#include <immintrin.h>

#include "nibble/kernels/avx2/bytes.h"
#include "nibble/kernels/portable/sparse.h"

NIBBLE_BEGIN_TARGET(NIBBLE_AVX2)

namespace nibble::kernels {

template <unsigned B> struct SparseDot<isa::Avx2Tag<B>> {
  static void run(const SparseTile& tile) { multiply_registers<sparse_columns / 8>(tile); }

  template <int R> static void multiply_registers(const SparseTile& tile) {
    if constexpr (R > 1)
      if (tile.width <= 8 * (R - 1)) return multiply_registers<R - 1>(tile);
    multiply<R>(tile);
  }

  /// R registers of columns, the last of which may be cut short. Short sums are kept in several chains.
  template <int R> static void multiply(const SparseTile& tile) {
    constexpr int chains = R <= 2 ? 4 : 2;
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const __m256i last = _mm256_cmpgt_epi32(_mm256_set1_epi32(tile.width - 8 * (R - 1)), lane);
    for (std::ptrdiff_t r = 0; r < tile.rows; ++r) {
      __m256 sum[chains][R];
#pragma GCC unroll 4
      for (int u = 0; u < chains; ++u)
#pragma GCC unroll 4
        for (int i = 0; i < R; ++i) sum[u][i] = _mm256_setzero_ps();
      int e = tile.starts[r];
      const int end = tile.starts[r + 1];
      for (; e + chains <= end; e += chains) {
#pragma GCC unroll 4
        for (int u = 0; u < chains; ++u) add<R>(tile, e + u, last, sum[u]);
      }
      for (; e < end; ++e) add<R>(tile, e, last, sum[0]);
#pragma GCC unroll 4
      for (int i = 0; i < R; ++i) {
#pragma GCC unroll 4
        for (int u = 1; u < chains; ++u) sum[0][i] = _mm256_add_ps(sum[0][i], sum[u][i]);
        _mm256_storeu_ps(tile.y + r * sparse_columns + 8 * i, sum[0][i]);
      }
    }
  }

 private:
  template <int R> [[gnu::always_inline]] static void add(const SparseTile& tile, int e, __m256i last, __m256* sum) {
    const float* const x = tile.x + static_cast<std::ptrdiff_t>(tile.columns[e]) * tile.width;
    const __m256 value = _mm256_set1_ps(tile.values[e]);
#pragma GCC unroll 4
    for (int i = 0; i < R; ++i) {
      const __m256 inputs = i == R - 1 ? _mm256_maskload_ps(x + 8 * i, last) : _mm256_loadu_ps(x + 8 * i);
      sum[i] = _mm256_fmadd_ps(value, inputs, sum[i]);
    }
  }
};

}  // namespace nibble::kernels

NIBBLE_END_TARGET

#endif
