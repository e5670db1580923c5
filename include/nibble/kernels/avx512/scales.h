// AVX-512: from codes of scales to registers of floats.
#pragma once
#if defined __x86_64__ || defined _M_X64

#include <immintrin.h>

#include "nibble/kernels/avx512/bytes.h"

NIBBLE_BEGIN_TARGET(NIBBLE_AVX512)

namespace nibble::kernels {

template <unsigned B> struct ScaleLanes<isa::Avx512Tag<B>, formats::Float32> {
  static constexpr bool exists = true;
  static __m512 load(const std::uint32_t* codes) { return _mm512_loadu_ps(reinterpret_cast<const float*>(codes)); }
};

template <unsigned B, int Bits>
  requires(Bits <= 8)
struct ScaleLanes<isa::Avx512Tag<B>, formats::UInt<Bits>> {
  static constexpr bool exists = true;
  static __m512 load(const std::uint8_t* codes) {
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(codes))));
  }
};

template <unsigned B> struct ScaleLanes<isa::Avx512Tag<B>, formats::E8M0> {
  static constexpr bool exists = true;
  static __m512 load(const std::uint8_t* codes) {
    const __m512i code = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(codes)));
    // The float 2^-127 has no exponent bits.
    return _mm512_castsi512_ps(_mm512_max_epu32(_mm512_slli_epi32(code, 23), _mm512_set1_epi32(0x00400000)));
  }
};

/// Finite codes only: the fields move to where a float has them, and a product mends the bias and the subnormals.
template <unsigned B, int E, int M, int Bias, formats::Special S, formats::Sign Sg>
  requires(E < 8)
struct ScaleLanes<isa::Avx512Tag<B>, formats::MiniFloat<E, M, Bias, S, Sg>> {
  using Format = formats::MiniFloat<E, M, Bias, S, Sg>;
  static constexpr bool exists = true;
  /// Where a half has the sign and the fields.
  static constexpr int half = M <= 10 ? 0x8000 | ((1 << (E + M)) - 1) << (M <= 10 ? 10 - M : 0) : 0;
  static __m512 load(const typename Format::code_type* codes) {
    if constexpr (sizeof(typename Format::code_type) == 1 && E <= 5 && Format::is_signed) {
      // By way of halves: the sign at the top, copies of it and the fields below, the copies wiped.
      const __m256i words = _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(codes)));
      const __m256i top = _mm256_slli_epi16(words, 15 - E - M);
      const __m256i fields =
          _mm256_and_si256(_mm256_srai_epi16(top, 5 - E), _mm256_set1_epi16(static_cast<short>(half)));
      return _mm512_mul_ps(_mm512_cvtph_ps(fields),
                           _mm512_set1_ps(static_cast<float>(formats::power_of_two(15 - Bias))));
    }
    __m512i code;
    if constexpr (sizeof(typename Format::code_type) == 1)
      code = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(codes)));
    else
      code = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(codes)));
    const __m512i magnitude = _mm512_and_si512(code, _mm512_set1_epi32(static_cast<int>(Format::magnitude_mask)));
    const __m512 value = _mm512_mul_ps(_mm512_castsi512_ps(_mm512_slli_epi32(magnitude, 23 - M)),
                                       _mm512_set1_ps(static_cast<float>(formats::power_of_two(127 - Bias))));
    if (!Format::is_signed) return value;
    const __m512i sign = _mm512_and_si512(code, _mm512_set1_epi32(static_cast<int>(Format::sign_bit)));
    return _mm512_or_ps(value, _mm512_castsi512_ps(_mm512_slli_epi32(sign, 31 - E - M)));
  }
};

template <unsigned B, class F>
  requires(ScaleLanes<isa::Avx512Tag<B>, F>::exists)
struct DecodeScales<isa::Avx512Tag<B>, F> {
  static void run(const typename F::code_type* codes, std::ptrdiff_t count, float* out) {
    for (std::ptrdiff_t i = 0; i < count; i += 16)
      _mm512_storeu_ps(out + i, ScaleLanes<isa::Avx512Tag<B>, F>::load(codes + i));
  }
};

}  // namespace nibble::kernels

NIBBLE_END_TARGET

#endif
