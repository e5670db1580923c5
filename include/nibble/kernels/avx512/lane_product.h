// AVX-512: products of narrow matrices, 8 columns x 48 rows in registers.
#pragma once
#if defined __x86_64__ || defined _M_X64

#include <immintrin.h>

#include "nibble/kernels/avx512/bytes.h"
#include "nibble/kernels/portable/lane_product.h"

NIBBLE_BEGIN_TARGET(NIBBLE_AVX512)

namespace nibble::kernels {

template <unsigned B> struct LaneProduct<isa::Avx512Tag<B>> {
  template <int Cols> static void run(const float* right, const float* left, std::ptrdiff_t depth, float* out) {
    constexpr int registers = static_cast<int>(lane_rows) / 16;
    __m512 sum[Cols][registers];
#pragma GCC unroll 8
    for (int c = 0; c < Cols; ++c)
#pragma GCC unroll 3
      for (int r = 0; r < registers; ++r) sum[c][r] = _mm512_load_ps(out + c * lane_rows + 16 * r);
    for (std::ptrdiff_t q = 0; q < depth; ++q, left += lane_rows, right += lane_cols) {
      __m512 x[registers];
#pragma GCC unroll 3
      for (int r = 0; r < registers; ++r) x[r] = _mm512_load_ps(left + 16 * r);
#pragma GCC unroll 8
      for (int c = 0; c < Cols; ++c) {
        const __m512 f = _mm512_set1_ps(right[c]);
#pragma GCC unroll 3
        for (int r = 0; r < registers; ++r) sum[c][r] = _mm512_fmadd_ps(x[r], f, sum[c][r]);
      }
    }
#pragma GCC unroll 8
    for (int c = 0; c < Cols; ++c)
#pragma GCC unroll 3
      for (int r = 0; r < registers; ++r) _mm512_store_ps(out + c * lane_rows + 16 * r, sum[c][r]);
  }
};

}  // namespace nibble::kernels

NIBBLE_END_TARGET

#endif
