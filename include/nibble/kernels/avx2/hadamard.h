// AVX2: fast Walsh-Hadamard transform, up to 8 registers at a time.
#pragma once
#if defined __x86_64__ || defined _M_X64

#include <immintrin.h>

#include "nibble/kernels/avx2/bytes.h"
#include "nibble/kernels/hadamard_passes.h"

NIBBLE_BEGIN_TARGET(NIBBLE_AVX2)

namespace nibble::kernels {
namespace avx2 {

template <unsigned B> struct HadamardRegisters {
  static constexpr int min_run = 3, max_run = 6, max_radix = 3;

  template <int S> static void runs(const float* in, float* out, std::ptrdiff_t count, float scale) {
    scale == 1 ? runs<S, false>(in, out, count, scale) : runs<S, true>(in, out, count, scale);
  }
  template <int R> static void across(const float* in, float* out, std::ptrdiff_t stride, float scale) {
    scale == 1 ? across<R, false>(in, out, stride, scale) : across<R, true>(in, out, stride, scale);
  }

 private:
  template <int S, bool Scaled> static void runs(const float* in, float* out, std::ptrdiff_t count, float scale) {
    constexpr int registers = 1 << (S - 3);
    const __m256 one = opaque_one(), factor = _mm256_set1_ps(scale);
    for (; count > 0; --count, in += 1 << S, out += 1 << S) {
      __m256 v[registers];
#pragma GCC unroll 8
      for (int i = 0; i < registers; ++i) v[i] = inside(_mm256_loadu_ps(in + 8 * i));
      butterflies<registers>(v, one);
#pragma GCC unroll 8
      for (int i = 0; i < registers; ++i) _mm256_storeu_ps(out + 8 * i, Scaled ? _mm256_mul_ps(v[i], factor) : v[i]);
    }
  }

  template <int R, bool Scaled> static void across(const float* in, float* out, std::ptrdiff_t stride, float scale) {
    constexpr int registers = 1 << R;
    const __m256 one = opaque_one(), factor = _mm256_set1_ps(scale);
    for (std::ptrdiff_t j = 0; j < stride; j += 8) {
      __m256 v[registers];
#pragma GCC unroll 8
      for (int i = 0; i < registers; ++i) v[i] = _mm256_loadu_ps(in + i * stride + j);
      butterflies<registers>(v, one);
#pragma GCC unroll 8
      for (int i = 0; i < registers; ++i)
        _mm256_storeu_ps(out + i * stride + j, Scaled ? _mm256_mul_ps(v[i], factor) : v[i]);
    }
  }

  /// 1, unknown to the compiler, which would else turn the products by it into plain sums.
  static __m256 opaque_one() {
    __m256 one = _mm256_set1_ps(1);
    __asm__("" : "+x"(one));
    return one;
  }

  /// The three steps whose pairs lie in one register. A product by 1 or -1 is exact.
  [[gnu::always_inline]] static __m256 inside(__m256 v) {
    const __m256 step0 = _mm256_setr_ps(1, -1, 1, -1, 1, -1, 1, -1);
    const __m256 step1 = _mm256_setr_ps(1, 1, -1, -1, 1, 1, -1, -1);
    const __m256 step2 = _mm256_setr_ps(1, 1, 1, 1, -1, -1, -1, -1);
    v = _mm256_fmadd_ps(v, step0, _mm256_permute_ps(v, 0xb1));
    v = _mm256_fmadd_ps(v, step1, _mm256_permute_ps(v, 0x4e));
    return _mm256_fmadd_ps(v, step2, _mm256_permute2f128_ps(v, v, 1));
  }

  /// The steps across N registers; see avx512::HadamardRegisters.
  template <int N, int H = 1> [[gnu::always_inline]] static void butterflies(__m256* v, __m256 one) {
    if constexpr (H < N) {
#pragma GCC unroll 8
      for (int i = 0; i < N / 2; ++i) {
        __m256 &a = v[i / H * 2 * H + i % H], &b = v[i / H * 2 * H + i % H + H];
        const __m256 sum = _mm256_add_ps(a, b);
        b = _mm256_fnmadd_ps(b, one, a);
        a = sum;
      }
      butterflies<N, 2 * H>(v, one);
    }
  }
};

}  // namespace avx2

template <unsigned B> struct HadamardColumn<isa::Avx2Tag<B>> {
  static void run(const float* in, float* out, int steps, float scale) {
    using Registers = avx2::HadamardRegisters<B>;
    if (steps < Registers::min_run)
      HadamardColumn<isa::PortableTag<B>>::run(in, out, steps, scale);
    else
      HadamardPasses<Registers>::run(in, out, steps, scale);
  }
};

}  // namespace nibble::kernels

NIBBLE_END_TARGET

#endif
