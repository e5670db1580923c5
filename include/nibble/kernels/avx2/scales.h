// AVX2: from codes of scales to registers of floats.
#pragma once
#if defined __x86_64__ || defined _M_X64

#include <immintrin.h>

#include "nibble/kernels/avx2/bytes.h"

NIBBLE_BEGIN_TARGET(NIBBLE_AVX2)

namespace nibble::kernels {

template <unsigned B> struct ScaleLanes<isa::Avx2Tag<B>, formats::Float32> {
  static constexpr bool exists = true;
  static __m256 load(const std::uint32_t* codes) { return _mm256_loadu_ps(reinterpret_cast<const float*>(codes)); }
};

template <unsigned B, int Bits>
  requires(Bits <= 8)
struct ScaleLanes<isa::Avx2Tag<B>, formats::UInt<Bits>> {
  static constexpr bool exists = true;
  static __m256 load(const std::uint8_t* codes) {
    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(codes))));
  }
};

template <unsigned B> struct ScaleLanes<isa::Avx2Tag<B>, formats::E8M0> {
  static constexpr bool exists = true;
  static __m256 load(const std::uint8_t* codes) {
    const __m256i code = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(codes)));
    // The float 2^-127 has no exponent bits.
    return _mm256_castsi256_ps(_mm256_max_epu32(_mm256_slli_epi32(code, 23), _mm256_set1_epi32(0x00400000)));
  }
};

/// Finite codes only: the fields move to where a float has them, and a product mends the bias and the subnormals.
template <unsigned B, int E, int M, int Bias, formats::Special S, formats::Sign Sg>
  requires(E < 8)
struct ScaleLanes<isa::Avx2Tag<B>, formats::MiniFloat<E, M, Bias, S, Sg>> {
  using Format = formats::MiniFloat<E, M, Bias, S, Sg>;
  static constexpr bool exists = true;
  static __m256 load(const typename Format::code_type* codes) {
    __m256i code;
    if constexpr (sizeof(typename Format::code_type) == 1)
      code = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(codes)));
    else
      code = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(codes)));
    const __m256i magnitude = _mm256_and_si256(code, _mm256_set1_epi32(static_cast<int>(Format::magnitude_mask)));
    const __m256 value = _mm256_mul_ps(_mm256_castsi256_ps(_mm256_slli_epi32(magnitude, 23 - M)),
                                       _mm256_set1_ps(static_cast<float>(formats::power_of_two(127 - Bias))));
    if (!Format::is_signed) return value;
    const __m256i sign = _mm256_and_si256(code, _mm256_set1_epi32(static_cast<int>(Format::sign_bit)));
    return _mm256_or_ps(value, _mm256_castsi256_ps(_mm256_slli_epi32(sign, 31 - E - M)));
  }
};

template <unsigned B, class F>
  requires(ScaleLanes<isa::Avx2Tag<B>, F>::exists)
struct DecodeScales<isa::Avx2Tag<B>, F> {
  static void run(const typename F::code_type* codes, std::ptrdiff_t count, float* out) {
    for (std::ptrdiff_t i = 0; i < count; i += 8)
      _mm256_storeu_ps(out + i, ScaleLanes<isa::Avx2Tag<B>, F>::load(codes + i));
  }
};

}  // namespace nibble::kernels

NIBBLE_END_TARGET

#endif
