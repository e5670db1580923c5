// AVX2: products of narrow matrices, 4 columns x 24 floats or 12 doubles in registers.
#pragma once
#if defined __x86_64__ || defined _M_X64

#include <immintrin.h>

#include "nibble/kernels/avx2/bytes.h"
#include "nibble/kernels/portable/lane_product.h"

NIBBLE_BEGIN_TARGET(NIBBLE_AVX2)

namespace nibble::kernels {

template <unsigned B> struct LaneProduct<isa::Avx2Tag<B>> {
  template <int Cols, class T> static void run(const T* right, const T* left, std::ptrdiff_t depth, T* out) {
    constexpr int cols = Cols < 4 ? Cols : 4;
    constexpr std::ptrdiff_t rows = lane_rows_of<T>;
    for (int c = 0; c < Cols; c += cols)
      for (std::ptrdiff_t r = 0; r < rows; r += rows / 2) part<cols>(right + c, left + r, depth, out + c * rows + r);
  }

 private:
  template <int Cols, class T> static void part(const T* right, const T* left, std::ptrdiff_t depth, T* out) {
    constexpr std::ptrdiff_t rows = lane_rows_of<T>, step = rows / 6;
    decltype(load(out)) sum[Cols][3];
#pragma GCC unroll 4
    for (int c = 0; c < Cols; ++c)
#pragma GCC unroll 3
      for (int r = 0; r < 3; ++r) sum[c][r] = load(out + c * rows + step * r);
    for (std::ptrdiff_t q = 0; q < depth; ++q, left += rows, right += lane_cols) {
      decltype(load(out)) x[3];
#pragma GCC unroll 3
      for (int r = 0; r < 3; ++r) x[r] = load(left + step * r);
#pragma GCC unroll 4
      for (int c = 0; c < Cols; ++c) {
        const auto f = all(right[c]);
#pragma GCC unroll 3
        for (int r = 0; r < 3; ++r) sum[c][r] = fma(x[r], f, sum[c][r]);
      }
    }
#pragma GCC unroll 4
    for (int c = 0; c < Cols; ++c)
#pragma GCC unroll 3
      for (int r = 0; r < 3; ++r) store(out + c * rows + step * r, sum[c][r]);
  }

  static __m256 load(const float* x) {
    return _mm256_load_ps(x);
  }
  static __m256d load(const double* x) {
    return _mm256_load_pd(x);
  }
  static __m256 all(float x) {
    return _mm256_set1_ps(x);
  }
  static __m256d all(double x) {
    return _mm256_set1_pd(x);
  }
  static __m256 fma(__m256 a, __m256 b, __m256 c) {
    return _mm256_fmadd_ps(a, b, c);
  }
  static __m256d fma(__m256d a, __m256d b, __m256d c) {
    return _mm256_fmadd_pd(a, b, c);
  }
  static void store(float* x, __m256 v) {
    _mm256_store_ps(x, v);
  }
  static void store(double* x, __m256d v) {
    _mm256_store_pd(x, v);
  }
};

}  // namespace nibble::kernels

NIBBLE_END_TARGET

#endif
