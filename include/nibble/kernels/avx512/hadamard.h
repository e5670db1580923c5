// AVX-512: fast Walsh-Hadamard transform, up to 16 registers at a time.
#pragma once
#if defined __x86_64__ || defined _M_X64

#include <immintrin.h>

#include "nibble/kernels/avx512/bytes.h"
#include "nibble/kernels/hadamard_passes.h"

NIBBLE_BEGIN_TARGET(NIBBLE_AVX512)

namespace nibble::kernels {
namespace avx512 {

template <unsigned B> struct HadamardRegisters {
  static constexpr int min_run = 0, max_run = 8, max_radix = 4;

  template <int S> static void runs(const float* in, float* out, std::ptrdiff_t count, float scale) {
    scale == 1 ? runs<S, false>(in, out, count, scale) : runs<S, true>(in, out, count, scale);
  }
  template <int R> static void across(const float* in, float* out, std::ptrdiff_t stride, float scale) {
    scale == 1 ? across<R, false>(in, out, stride, scale) : across<R, true>(in, out, stride, scale);
  }

 private:
  template <int S, bool Scaled> static void runs(const float* in, float* out, std::ptrdiff_t count, float scale) {
    constexpr int registers = S > 4 ? 1 << (S - 4) : 1;
    constexpr auto mask = static_cast<__mmask16>(S < 4 ? (1u << (1 << S % 4)) - 1 : 0xffff);
    const __m512 one = opaque_one(), factor = _mm512_set1_ps(scale);
    for (; count > 0; --count, in += 1 << S, out += 1 << S) {
      __m512 v[registers];
#pragma GCC unroll 16
      for (int i = 0; i < registers; ++i)
        v[i] = inside<S>(S < 4 ? _mm512_maskz_loadu_ps(mask, in) : _mm512_loadu_ps(in + 16 * i));
      butterflies<registers>(v, one);
#pragma GCC unroll 16
      for (int i = 0; i < registers; ++i) {
        if (Scaled) v[i] = _mm512_mul_ps(v[i], factor);
        if (S < 4)
          _mm512_mask_storeu_ps(out, mask, v[i]);
        else
          _mm512_storeu_ps(out + 16 * i, v[i]);
      }
    }
  }

  template <int R, bool Scaled> static void across(const float* in, float* out, std::ptrdiff_t stride, float scale) {
    const __m512 one = opaque_one(), factor = _mm512_set1_ps(scale);
    // In long rows most accesses to `out` are aligned: a register that spans two lines of the cache costs twice.
    const auto ahead =
        stride < 2048 ? 0u : static_cast<unsigned>(reinterpret_cast<std::uintptr_t>(out) / sizeof(float) % 16);
    std::ptrdiff_t j = 0;
    if (ahead != 0) {
      j = 16 - static_cast<std::ptrdiff_t>(ahead);
      across_part<R, Scaled, false>(in, out, stride, static_cast<__mmask16>(0xffffu >> ahead), one, factor);
    }
    for (; j + 16 <= stride; j += 16) across_part<R, Scaled, true>(in + j, out + j, stride, 0xffff, one, factor);
    if (ahead != 0)
      across_part<R, Scaled, false>(in + j, out + j, stride, static_cast<__mmask16>((1u << ahead) - 1), one, factor);
  }

  /// R steps on the elements of `mask`, or all, of the registers at in, in + stride, ...
  template <int R, bool Scaled, bool All>
  [[gnu::always_inline]] static void across_part(const float* in, float* out, std::ptrdiff_t stride, __mmask16 mask,
                                                 __m512 one, __m512 factor) {
    constexpr int registers = 1 << R;
    __m512 v[registers];
#pragma GCC unroll 16
    for (int i = 0; i < registers; ++i)
      v[i] = All ? _mm512_loadu_ps(in + i * stride) : _mm512_maskz_loadu_ps(mask, in + i * stride);
    butterflies<registers>(v, one);
#pragma GCC unroll 16
    for (int i = 0; i < registers; ++i) {
      if (Scaled) v[i] = _mm512_mul_ps(v[i], factor);
      All ? _mm512_storeu_ps(out + i * stride, v[i]) : _mm512_mask_storeu_ps(out + i * stride, mask, v[i]);
    }
  }

  /// 1, unknown to the compiler, which would else turn the products by it into plain sums.
  static __m512 opaque_one() {
    __m512 one = _mm512_set1_ps(1);
    __asm__("" : "+v"(one));
    return one;
  }

  /// The first of the steps, up to four of `S`, whose pairs lie in one register. A product by 1 or -1 is exact.
  template <int S> [[gnu::always_inline]] static __m512 inside(__m512 v) {
    if (S > 0) v = _mm512_fmadd_ps(v, signs(0xaaaa), _mm512_permute_ps(v, 0xb1));
    if (S > 1) v = _mm512_fmadd_ps(v, signs(0xcccc), _mm512_permute_ps(v, 0x4e));
    if (S > 2) v = _mm512_fmadd_ps(v, signs(0xf0f0), _mm512_shuffle_f32x4(v, v, 0xb1));
    if (S > 3) v = _mm512_fmadd_ps(v, signs(0xff00), _mm512_shuffle_f32x4(v, v, 0x4e));
    return v;
  }
  [[gnu::always_inline]] static __m512 signs(unsigned negative) {
    return _mm512_mask_mov_ps(_mm512_set1_ps(1), static_cast<__mmask16>(negative), _mm512_set1_ps(-1));
  }

  /// The steps across N registers. Sums run on the adders and differences on the multipliers of a core that, like
  /// Zen 4, has both.
  template <int N, int H = 1> [[gnu::always_inline]] static void butterflies(__m512* v, __m512 one) {
    if constexpr (H < N) {
#pragma GCC unroll 16
      for (int i = 0; i < N / 2; ++i) {
        __m512 &a = v[i / H * 2 * H + i % H], &b = v[i / H * 2 * H + i % H + H];
        const __m512 sum = _mm512_add_ps(a, b);
        b = _mm512_fnmadd_ps(b, one, a);
        a = sum;
      }
      butterflies<N, 2 * H>(v, one);
    }
  }
};

}  // namespace avx512

template <unsigned B> struct HadamardColumn<isa::Avx512Tag<B>> : HadamardPasses<avx512::HadamardRegisters<B>> {};

}  // namespace nibble::kernels

NIBBLE_END_TARGET

#endif
