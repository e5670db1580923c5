// AVX2: casts of arrays. Minifloats of any shape, 8 at a time: see EncodePlan and DecodePlan.
#pragma once
#if defined __x86_64__ || defined _M_X64

#include <immintrin.h>

#include "nibble/kernels/avx2/bytes.h"
#include "nibble/kernels/minifloat_cast.h"

NIBBLE_BEGIN_TARGET(NIBBLE_AVX2)

namespace nibble::kernels {
namespace avx2 {

/// The codes of 8 floats, in lanes of 32 bits.
template <unsigned B, class F, Overflow O, RoundTo R> struct EncodeLanes {
  using P = EncodePlan<F, O, R>;

  static __m256i set(std::uint32_t x) { return _mm256_set1_epi32(static_cast<int>(x)); }

  static __m256i run(__m256 x) {
    __m256i word = _mm256_castps_si256(x);
    if constexpr (!F::is_signed) word = without_negatives(word);
    const __m256i all = F::is_signed ? _mm256_and_si256(word, set(0x7fffffff)) : word;
    __m256i magnitude = _mm256_min_epu32(all, set(P::limit));

    __m256i high = _mm256_setzero_si256();
    if constexpr (P::wide) {
      high = _mm256_cmpgt_epi32(magnitude, set(0x3fffffff));
      magnitude = _mm256_blendv_epi8(lifted(magnitude), _mm256_sub_epi32(magnitude, set(P::drop << 23)), high);
    } else if constexpr (P::lift != 0) {
      magnitude = lifted(magnitude);
    }
    __m256i code = rounded(magnitude);
    if constexpr (P::wide)
      code = _mm256_add_epi32(code, _mm256_and_si256(high, set((P::lift + P::drop) << P::precision)));
    if constexpr (P::away) code = _mm256_srli_epi32(_mm256_add_epi32(code, set(1)), 1);
    if constexpr (P::is_scale) code = _mm256_max_epi32(code, _mm256_setzero_si256());
    if constexpr (!P::exact) code = _mm256_and_si256(code, set(P::code_mask));

    if constexpr (P::saturates && !P::finite)
      code = _mm256_blendv_epi8(code, set(F::max_code + 1), _mm256_cmpgt_epi32(all, set(P::infinity - 1)));
    if constexpr (!F::has_nan) {
      const __m256i nan = _mm256_cmpgt_epi32(all, set(P::infinity));
      code = _mm256_andnot_si256(nan, code);
      word = _mm256_xor_si256(word, _mm256_slli_epi32(nan, 31));
    } else if constexpr (F::has_infinity) {
      code = _mm256_blendv_epi8(code, set(P::nan_code), _mm256_cmpgt_epi32(all, set(P::infinity)));
    }
    if constexpr (!F::is_signed) return code;
    __m256i sign = _mm256_and_si256(_mm256_srli_epi32(word, 32 - F::bits), set(F::sign_bit));
    if constexpr (F::special == formats::Special::Fnuz)
      sign = _mm256_andnot_si256(_mm256_cmpeq_epi32(code, _mm256_setzero_si256()), sign);
    return _mm256_or_si256(code, sign);
  }

 private:
  /// Negative numbers, and zeros where the format has none, as 0 or NaN.
  static __m256i without_negatives(__m256i word) {
    const __m256i zero = _mm256_setzero_si256();
    __m256i positive = _mm256_max_epi32(word, zero);
    if constexpr (F::has_nan) {
      __m256i bad = _mm256_cmpeq_epi32(_mm256_max_epu32(word, set(P::first_bad)), word);
      if constexpr (P::is_scale && O == Overflow::Standard) bad = _mm256_or_si256(bad, _mm256_cmpeq_epi32(word, zero));
      positive = _mm256_blendv_epi8(positive, set(0x7fc00000), bad);
    }
    return positive;
  }

  static __m256i lifted(__m256i magnitude) {
    if constexpr (P::lift < 0) {
      constexpr auto fields = static_cast<std::uint32_t>(-P::lift) << 23;
      return _mm256_sub_epi32(_mm256_max_epu32(magnitude, set(fields)), set(fields));
    }
    constexpr auto factor = static_cast<float>(formats::power_of_two(P::lift));
    return _mm256_castps_si256(_mm256_mul_ps(_mm256_castsi256_ps(magnitude), _mm256_set1_ps(factor)));
  }

  static __m256i rounded(__m256i magnitude) {
    if constexpr (P::as_float) {
      if constexpr (R == RoundTo::NearestEven) {
        const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(magnitude, P::shift), set(1));
        magnitude = _mm256_add_epi32(_mm256_add_epi32(magnitude, odd), set((1u << (P::shift - 1)) - 1));
      }
      return _mm256_srli_epi32(magnitude, P::shift);
    }
    const __m256i exponent = _mm256_max_epu32(_mm256_and_si256(magnitude, set(P::infinity)),
                                              set(static_cast<std::uint32_t>(P::min_field) << 23));
    const __m256i field = _mm256_srli_epi32(exponent, P::shift);
    const __m256 x = _mm256_castsi256_ps(magnitude);
    if constexpr (P::exact) {
      const __m256i base = _mm256_add_epi32(exponent, set(P::step));
      const __m256 magic = _mm256_castsi256_ps(P::is_scale ? base : _mm256_add_epi32(base, field));
      const __m256 sum = _mm256_add_ps(x, magic);
      const __m256i steps = _mm256_sub_epi32(cut(sum, _mm256_sub_ps(sum, magic), x), base);
      return _mm256_sub_epi32(P::is_scale ? _mm256_add_epi32(steps, field) : steps, set(P::rebias));
    } else {
      const __m256 e = _mm256_castsi256_ps(exponent), factor = _mm256_castsi256_ps(set(P::factor));
      const __m256 sum = _mm256_fmadd_ps(e, factor, x);
      const __m256i whole = cut(sum, _mm256_fnmadd_ps(e, factor, sum), x);
      return _mm256_add_epi32(_mm256_sub_epi32(whole, exponent), field);
    }
  }

  /// The bits of `sum`, one step less where x is to be rounded toward zero and `part`, what it became, is above it.
  static __m256i cut(__m256 sum, __m256 part, __m256 x) {
    if constexpr (R != RoundTo::Zero && !P::away) return _mm256_castps_si256(sum);
    return _mm256_add_epi32(_mm256_castps_si256(sum), _mm256_castps_si256(_mm256_cmp_ps(part, x, _CMP_GT_OQ)));
  }
};

/// The values of 8 codes, in lanes of 32 bits.
template <unsigned B, class F> struct DecodeLanes {
  using P = DecodePlan<F>;

  static __m256i set(std::uint32_t x) { return _mm256_set1_epi32(static_cast<int>(x)); }

  static __m256 run(__m256i code) {
    const __m256i magnitude = _mm256_and_si256(code, set(F::magnitude_mask));
    const __m256i read = P::is_scale ? _mm256_add_epi32(magnitude, set(1)) : magnitude;
    __m256i value = _mm256_slli_epi32(read, 23 - P::M);
    if constexpr (P::bias < 127) {
      const __m256i subnormal = _mm256_cmpgt_epi32(set(0x00800000), value);
      value = _mm256_add_epi32(value, set(static_cast<std::uint32_t>(127 - P::bias) << 23));
      const __m256 v = _mm256_castsi256_ps(value);
      constexpr auto unit = static_cast<float>(formats::power_of_two(1 - P::bias));
      const __m256 mended = _mm256_fmsub_ps(v, _mm256_set1_ps(2), _mm256_set1_ps(unit));
      value = _mm256_blendv_epi8(value, _mm256_castps_si256(mended), subnormal);
    } else if constexpr (P::bias > 127) {
      constexpr auto excess = static_cast<std::uint32_t>(P::bias - 127) << 23;
      constexpr auto factor = static_cast<float>(formats::power_of_two(127 - P::bias));
      const __m256i subnormal = _mm256_cmpgt_epi32(set(excess + 0x00800000), value);
      const __m256 product = _mm256_mul_ps(_mm256_castsi256_ps(value), _mm256_set1_ps(factor));
      value = _mm256_blendv_epi8(_mm256_sub_epi32(value, set(excess)), _mm256_castps_si256(product), subnormal);
    }
    if constexpr (P::has_infinity)
      value = _mm256_blendv_epi8(value, set(0x7f800000), _mm256_cmpgt_epi32(magnitude, set(P::beyond - 1)));
    if constexpr (F::is_signed) {
      const __m256i sign = _mm256_and_si256(_mm256_slli_epi32(code, 32 - F::bits), set(0x80000000));
      value = _mm256_or_si256(value, sign);
    }
    if constexpr (F::special == formats::Special::Fnuz) {
      const __m256i all = _mm256_and_si256(code, set(F::sign_bit | F::magnitude_mask));
      value = _mm256_blendv_epi8(value, set(0x7fc00000), _mm256_cmpeq_epi32(all, set(F::sign_bit)));
    } else if constexpr (F::has_nan) {
      constexpr unsigned last = P::beyond - (P::has_infinity ? 0 : 1);
      value = _mm256_blendv_epi8(value, set(0x7fc00000), _mm256_cmpgt_epi32(magnitude, set(last)));
    }
    return _mm256_castsi256_ps(value);
  }

  static __m256 load(const std::uint8_t* in) {
    return run(_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(in))));
  }
  static __m256 load(const std::uint16_t* in) {
    return run(_mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(in))));
  }
};

template <unsigned B> void store_codes(__m256i codes, std::uint16_t* out) {
  const __m128i words = _mm_packus_epi32(_mm256_castsi256_si128(codes), _mm256_extracti128_si256(codes, 1));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out), words);
}
template <unsigned B> void store_codes(__m256i codes, std::uint8_t* out) {
  const __m128i words = _mm_packus_epi32(_mm256_castsi256_si128(codes), _mm256_extracti128_si256(codes, 1));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(out), _mm_packus_epi16(words, words));
}

}  // namespace avx2

template <unsigned B, int E, int M, int Bias, formats::Special S, formats::Sign Sg, Overflow O, RoundTo R>
  requires(R != RoundTo::Stochastic)
struct EncodeArray<isa::Avx2Tag<B>, formats::MiniFloat<E, M, Bias, S, Sg>, O, R> {
  using Format = formats::MiniFloat<E, M, Bias, S, Sg>;
  using Lanes = avx2::EncodeLanes<B, Format, O, R>;

  static void run(const float* in, std::ptrdiff_t count, typename Format::code_type* out, const Random&,
                  std::uint64_t) {
    std::ptrdiff_t i = 0;
    for (; i + 8 <= count; i += 8) avx2::store_codes<B>(Lanes::run(_mm256_loadu_ps(in + i)), out + i);
    if (i == count) return;
    float last[8] = {};
    typename Format::code_type codes[8];
    for (std::ptrdiff_t j = i; j < count; ++j) last[j - i] = in[j];
    avx2::store_codes<B>(Lanes::run(_mm256_loadu_ps(last)), codes);
    for (std::ptrdiff_t j = i; j < count; ++j) out[j] = codes[j - i];
  }
};

template <unsigned B, int E, int M, int Bias, formats::Special S, formats::Sign Sg>
  requires(Bias > -127)
struct DecodeArray<isa::Avx2Tag<B>, formats::MiniFloat<E, M, Bias, S, Sg>> {
  using Format = formats::MiniFloat<E, M, Bias, S, Sg>;
  using Lanes = avx2::DecodeLanes<B, Format>;

  static void run(const typename Format::code_type* in, std::ptrdiff_t count, float* out) {
    std::ptrdiff_t i = 0;
    for (; i + 8 <= count; i += 8) _mm256_storeu_ps(out + i, Lanes::load(in + i));
    if (i == count) return;
    typename Format::code_type last[8] = {};
    float values[8];
    for (std::ptrdiff_t j = i; j < count; ++j) last[j - i] = in[j];
    _mm256_storeu_ps(values, Lanes::load(last));
    for (std::ptrdiff_t j = i; j < count; ++j) out[j] = values[j - i];
  }
};

}  // namespace nibble::kernels

NIBBLE_END_TARGET

#endif
