// AVX-512: products that hand errors on to later inputs, 8 inputs x 48 rows in registers.
#pragma once
#if defined __x86_64__ || defined _M_X64

#include <immintrin.h>

#include "nibble/kernels/avx512/bytes.h"
#include "nibble/kernels/portable/feedback.h"

NIBBLE_BEGIN_TARGET(NIBBLE_AVX512)

namespace nibble::kernels {

template <unsigned B> struct FeedbackTile<isa::Avx512Tag<B>> {
  template <int Inputs>
  static void run(const float* factor, const float* errors, std::ptrdiff_t depth, float* targets) {
    constexpr int registers = static_cast<int>(lane_rows) / 16;
    __m512 sum[Inputs][registers];
#pragma GCC unroll 8
    for (int p = 0; p < Inputs; ++p)
#pragma GCC unroll 3
      for (int r = 0; r < registers; ++r) sum[p][r] = _mm512_load_ps(targets + p * lane_rows + 16 * r);
    for (std::ptrdiff_t q = 0; q < depth; ++q, errors += lane_rows, factor += tile_inputs) {
      __m512 error[registers];
#pragma GCC unroll 3
      for (int r = 0; r < registers; ++r) error[r] = _mm512_load_ps(errors + 16 * r);
#pragma GCC unroll 8
      for (int p = 0; p < Inputs; ++p) {
        const __m512 f = _mm512_set1_ps(factor[p]);
#pragma GCC unroll 3
        for (int r = 0; r < registers; ++r) sum[p][r] = _mm512_fmadd_ps(error[r], f, sum[p][r]);
      }
    }
#pragma GCC unroll 8
    for (int p = 0; p < Inputs; ++p)
#pragma GCC unroll 3
      for (int r = 0; r < registers; ++r) _mm512_store_ps(targets + p * lane_rows + 16 * r, sum[p][r]);
  }
};

}  // namespace nibble::kernels

NIBBLE_END_TARGET

#endif
