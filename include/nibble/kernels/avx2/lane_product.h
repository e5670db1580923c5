// AVX2: products of narrow matrices, 4 columns x 24 rows in registers.
#pragma once
#if defined __x86_64__ || defined _M_X64

#include <immintrin.h>

#include "nibble/kernels/avx2/bytes.h"
#include "nibble/kernels/portable/lane_product.h"

NIBBLE_BEGIN_TARGET(NIBBLE_AVX2)

namespace nibble::kernels {

template <unsigned B> struct LaneProduct<isa::Avx2Tag<B>> {
  template <int Cols> static void run(const float* right, const float* left, std::ptrdiff_t depth, float* out) {
    constexpr int cols = Cols < 4 ? Cols : 4, rows = 24;
    for (int c = 0; c < Cols; c += cols)
      for (int r = 0; r < lane_rows; r += rows) part<cols>(right + c, left + r, depth, out + c * lane_rows + r);
  }

 private:
  template <int Cols> static void part(const float* right, const float* left, std::ptrdiff_t depth, float* out) {
    __m256 sum[Cols][3];
#pragma GCC unroll 4
    for (int c = 0; c < Cols; ++c)
#pragma GCC unroll 3
      for (int r = 0; r < 3; ++r) sum[c][r] = _mm256_load_ps(out + c * lane_rows + 8 * r);
    for (std::ptrdiff_t q = 0; q < depth; ++q, left += lane_rows, right += lane_cols) {
      __m256 x[3];
#pragma GCC unroll 3
      for (int r = 0; r < 3; ++r) x[r] = _mm256_load_ps(left + 8 * r);
#pragma GCC unroll 4
      for (int c = 0; c < Cols; ++c) {
        const __m256 f = _mm256_set1_ps(right[c]);
#pragma GCC unroll 3
        for (int r = 0; r < 3; ++r) sum[c][r] = _mm256_fmadd_ps(x[r], f, sum[c][r]);
      }
    }
#pragma GCC unroll 4
    for (int c = 0; c < Cols; ++c)
#pragma GCC unroll 3
      for (int r = 0; r < 3; ++r) _mm256_store_ps(out + c * lane_rows + 8 * r, sum[c][r]);
  }
};

}  // namespace nibble::kernels

NIBBLE_END_TARGET

#endif
