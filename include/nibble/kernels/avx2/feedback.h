// AVX2: products that hand errors on to later inputs, 4 inputs x 24 rows in registers.
#pragma once
#if defined __x86_64__ || defined _M_X64

#include <immintrin.h>

#include "nibble/kernels/avx2/bytes.h"
#include "nibble/kernels/portable/feedback.h"

NIBBLE_BEGIN_TARGET(NIBBLE_AVX2)

namespace nibble::kernels {

template <unsigned B> struct FeedbackTile<isa::Avx2Tag<B>> {
  template <int Inputs>
  static void run(const float* factor, const float* errors, std::ptrdiff_t depth, float* targets) {
    constexpr int inputs = Inputs < 4 ? Inputs : 4, rows = 24;
    for (int p = 0; p < Inputs; p += inputs)
      for (int r = 0; r < lane_rows; r += rows)
        part<inputs>(factor + p, errors + r, depth, targets + p * lane_rows + r);
  }

 private:
  template <int Inputs>
  static void part(const float* factor, const float* errors, std::ptrdiff_t depth, float* targets) {
    __m256 sum[Inputs][3];
#pragma GCC unroll 4
    for (int p = 0; p < Inputs; ++p)
#pragma GCC unroll 3
      for (int r = 0; r < 3; ++r) sum[p][r] = _mm256_load_ps(targets + p * lane_rows + 8 * r);
    for (std::ptrdiff_t q = 0; q < depth; ++q, errors += lane_rows, factor += tile_inputs) {
      __m256 error[3];
#pragma GCC unroll 3
      for (int r = 0; r < 3; ++r) error[r] = _mm256_load_ps(errors + 8 * r);
#pragma GCC unroll 4
      for (int p = 0; p < Inputs; ++p) {
        const __m256 f = _mm256_set1_ps(factor[p]);
#pragma GCC unroll 3
        for (int r = 0; r < 3; ++r) sum[p][r] = _mm256_fmadd_ps(error[r], f, sum[p][r]);
      }
    }
#pragma GCC unroll 4
    for (int p = 0; p < Inputs; ++p)
#pragma GCC unroll 3
      for (int r = 0; r < 3; ++r) _mm256_store_ps(targets + p * lane_rows + 8 * r, sum[p][r]);
  }
};

}  // namespace nibble::kernels

NIBBLE_END_TARGET

#endif
