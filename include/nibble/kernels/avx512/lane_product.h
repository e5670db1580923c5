// AVX-512: products of narrow matrices, 8 columns x 48 floats or 24 doubles in registers.
#pragma once
#if defined __x86_64__ || defined _M_X64

#include <immintrin.h>

#include "nibble/kernels/avx512/bytes.h"
#include "nibble/kernels/portable/lane_product.h"

NIBBLE_BEGIN_TARGET(NIBBLE_AVX512)

namespace nibble::kernels {

template <unsigned B> struct LaneProduct<isa::Avx512Tag<B>> {
  template <int Cols, class T> static void run(const T* right, const T* left, std::ptrdiff_t depth, T* out) {
    constexpr std::ptrdiff_t rows = lane_rows_of<T>, step = rows / 3;
    decltype(load(out)) sum[Cols][3];
#pragma GCC unroll 8
    for (int c = 0; c < Cols; ++c)
#pragma GCC unroll 3
      for (int r = 0; r < 3; ++r) sum[c][r] = load(out + c * rows + step * r);
    for (std::ptrdiff_t q = 0; q < depth; ++q, left += rows, right += lane_cols) {
      decltype(load(out)) x[3];
#pragma GCC unroll 3
      for (int r = 0; r < 3; ++r) x[r] = load(left + step * r);
#pragma GCC unroll 8
      for (int c = 0; c < Cols; ++c) {
        const auto f = all(right[c]);
#pragma GCC unroll 3
        for (int r = 0; r < 3; ++r) sum[c][r] = fma(x[r], f, sum[c][r]);
      }
    }
#pragma GCC unroll 8
    for (int c = 0; c < Cols; ++c)
#pragma GCC unroll 3
      for (int r = 0; r < 3; ++r) store(out + c * rows + step * r, sum[c][r]);
  }

 private:
  static __m512 load(const float* x) {
    return _mm512_load_ps(x);
  }
  static __m512d load(const double* x) {
    return _mm512_load_pd(x);
  }
  static __m512 all(float x) {
    return _mm512_set1_ps(x);
  }
  static __m512d all(double x) {
    return _mm512_set1_pd(x);
  }
  static __m512 fma(__m512 a, __m512 b, __m512 c) {
    return _mm512_fmadd_ps(a, b, c);
  }
  static __m512d fma(__m512d a, __m512d b, __m512d c) {
    return _mm512_fmadd_pd(a, b, c);
  }
  static void store(float* x, __m512 v) {
    _mm512_store_ps(x, v);
  }
  static void store(double* x, __m512d v) {
    _mm512_store_pd(x, v);
  }
};

}  // namespace nibble::kernels

NIBBLE_END_TARGET

#endif
