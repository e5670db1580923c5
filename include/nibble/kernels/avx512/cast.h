// AVX-512: casts of arrays. Minifloats of any shape are encoded 16 at a time (see EncodePlan); codes of at most 8 bits,
// of whatever format, are decoded 64 at a time by tables of the bytes of their values, wider minifloats 16 at a time.
#pragma once
#if defined __x86_64__ || defined _M_X64

#include <immintrin.h>

#include "nibble/kernels/avx512/bytes.h"
#include "nibble/kernels/minifloat_cast.h"

namespace nibble::kernels::avx512 {

/// plane[b][c] = byte b of the float that code c of F stands for.
template <class Tag, class F> struct ValueBytes {
  alignas(64) std::uint8_t plane[4][code_count<F>];

  static const ValueBytes& get() {
    static const ValueBytes bytes = [] {
      ValueBytes all;
      for (std::uint32_t c = 0; c < code_count<F>; ++c)
        for (int b = 0; b < 4; ++b)
          all.plane[b][c] = static_cast<std::uint8_t>(std::bit_cast<std::uint32_t>(value_table<Tag, F>()[c]) >> 8 * b);
      return all;
    }();
    return bytes;
  }
};

/// Whether the lower 16 bits of every value of F are 0.
template <class F> inline constexpr bool has_short_values = false;
template <int E, int M, int Bias, formats::Special S, formats::Sign Sg>
inline constexpr bool has_short_values<formats::MiniFloat<E, M, Bias, S, Sg>> =
    formats::MiniFloat<E, M, Bias, S, Sg>::min_exponent - M >= -133;

/// The numbers 0, Step, 2 Step, ..., modulo 128.
template <class T, std::size_t Step> constexpr std::array<T, 64 / sizeof(T)> multiples() {
  std::array<T, 64 / sizeof(T)> all{};
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<T>(Step * i % 128);
  return all;
}
alignas(64) inline constexpr auto every_second = multiples<std::uint16_t, 2>();
alignas(64) inline constexpr auto every_fourth = multiples<std::uint8_t, 4>();

}  // namespace nibble::kernels::avx512

NIBBLE_BEGIN_TARGET(NIBBLE_AVX512)

namespace nibble::kernels {
namespace avx512 {

/// The codes of 16 floats: the lowest 8 or 16 bits of each lane, as F::code_type has.
template <unsigned B, class F, Overflow O, RoundTo R> struct EncodeLanes {
  using P = EncodePlan<F, O, R>;
  static constexpr int direction =
      (R == RoundTo::Zero || P::away ? _MM_FROUND_TO_ZERO : _MM_FROUND_TO_NEAREST_INT) | _MM_FROUND_NO_EXC;

  static __m512i set(std::uint32_t x) { return _mm512_set1_epi32(static_cast<int>(x)); }

  static __m512i run(__m512 x) {
    constexpr int infinities = 0x18, nans = 0x81;  // of _mm512_fpclass_ps_mask
    if constexpr (!F::is_signed) x = without_negatives(x);
    __m512i word = _mm512_castps_si512(x);
    if constexpr (!F::has_nan) {  // the zero of the other sign
      word = _mm512_mask_andnot_epi32(word, _mm512_fpclass_ps_mask(x, nans), word, set(0x80000000));
      x = _mm512_castsi512_ps(word);
    }
    __m512i magnitude = limited(x);
    __mmask16 high = 0;
    if constexpr (P::wide) {
      high = _mm512_cmpge_epu32_mask(magnitude, set(0x40000000));
      magnitude = _mm512_mask_sub_epi32(lifted(magnitude), high, magnitude, set(P::drop << 23));
    } else if constexpr (P::lift != 0) {
      magnitude = lifted(magnitude);
    }
    __m512i code = rounded(magnitude);
    if constexpr (P::wide) code = _mm512_mask_add_epi32(code, high, code, set((P::lift + P::drop) << P::precision));
    if constexpr (P::away) code = _mm512_srli_epi32(_mm512_add_epi32(code, set(1)), 1);
    if constexpr (P::is_scale) code = _mm512_max_epi32(code, _mm512_setzero_si512());

    if constexpr (P::saturates && !P::finite)
      code = _mm512_mask_mov_epi32(code, _mm512_fpclass_ps_mask(x, infinities | nans), set(F::max_code + 1));
    if constexpr (F::has_nan && F::has_infinity)
      code = _mm512_mask_mov_epi32(code, _mm512_fpclass_ps_mask(x, nans), set(P::nan_code));

    if constexpr (!F::is_signed) return _mm512_and_si512(code, set(P::code_mask));
    if constexpr (F::special == formats::Special::Fnuz) {
      if constexpr (F::bits < 8 * sizeof(typename F::code_type)) code = _mm512_and_si512(code, set(P::code_mask));
      const __mmask16 nonzero = _mm512_test_epi32_mask(code, set(P::code_mask));
      const __m512i moved = _mm512_maskz_srli_epi32(nonzero, word, 32 - F::bits);
      return _mm512_ternarylogic_epi32(code, moved, set(F::magnitude_mask), 0xf4);  // code | (moved & ~mask)
    }
    const __m512i moved = _mm512_srli_epi32(word, 32 - F::bits);
    return _mm512_ternarylogic_epi32(code, moved, set(F::magnitude_mask), 0xe4);  // mask ? code : moved
  }

 private:
  /// Negative numbers, and zeros where the format has none, as 0 or NaN.
  static __m512 without_negatives(__m512 x) {
    const __m512i word = _mm512_castps_si512(x);
    __m512i positive = _mm512_max_epi32(word, _mm512_setzero_si512());
    if constexpr (F::has_nan) {
      __mmask16 bad = _mm512_cmpge_epu32_mask(word, set(P::first_bad));
      if constexpr (P::is_scale && O == Overflow::Standard) bad |= _mm512_testn_epi32_mask(word, word);
      positive = _mm512_mask_mov_epi32(positive, bad, set(0x7fc00000));
    }
    return _mm512_castsi512_ps(positive);
  }

  /// |x|, at most P::limit; anything for NaN where P::sets_nan.
  static __m512i limited(__m512 x) {
    constexpr int smaller_magnitude_positive = 0b1010;
    if constexpr (P::sets_nan)
      return _mm512_castps_si512(_mm512_range_ps(x, _mm512_castsi512_ps(set(P::limit)), smaller_magnitude_positive));
    return _mm512_min_epu32(_mm512_and_si512(_mm512_castps_si512(x), set(0x7fffffff)), set(P::limit));
  }

  static __m512i rounded(__m512i magnitude) {
    if constexpr (P::as_float) {
      if constexpr (R == RoundTo::NearestEven) {
        const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(magnitude, P::shift), set(1));
        magnitude = _mm512_add_epi32(_mm512_add_epi32(magnitude, odd), set((1u << (P::shift - 1)) - 1));
      }
      return _mm512_srli_epi32(magnitude, P::shift);
    }
    const __m512i exponent = _mm512_max_epu32(_mm512_and_si512(magnitude, set(P::infinity)),
                                              set(static_cast<std::uint32_t>(P::min_field) << 23));
    const __m512i field = _mm512_srli_epi32(exponent, P::shift);
    const __m512 x = _mm512_castsi512_ps(magnitude);
    if constexpr (P::exact) {
      const __m512i base = _mm512_add_epi32(exponent, set(P::step));
      const __m512i magic = P::is_scale ? base : _mm512_add_epi32(base, field);
      const __m512 sum = _mm512_add_round_ps(x, _mm512_castsi512_ps(magic), direction);
      const __m512i steps = _mm512_sub_epi32(_mm512_castps_si512(sum), base);
      return _mm512_sub_epi32(P::is_scale ? _mm512_add_epi32(steps, field) : steps, set(P::rebias));
    } else {
      const __m512 factor = _mm512_castsi512_ps(set(P::factor));
      const __m512 sum = _mm512_fmadd_round_ps(_mm512_castsi512_ps(exponent), factor, x, direction);
      return _mm512_add_epi32(_mm512_sub_epi32(_mm512_castps_si512(sum), exponent), field);
    }
  }

  static __m512i lifted(__m512i magnitude) {
    if constexpr (P::lift < 0) {
      constexpr auto fields = static_cast<std::uint32_t>(-P::lift) << 23;
      return _mm512_sub_epi32(_mm512_max_epu32(magnitude, set(fields)), set(fields));
    }
    constexpr auto factor = static_cast<float>(formats::power_of_two(P::lift));
    return _mm512_castps_si512(_mm512_mul_ps(_mm512_castsi512_ps(magnitude), _mm512_set1_ps(factor)));
  }
};

/// The values of 16 codes, in lanes of 32 bits.
template <unsigned B, class F> struct DecodeLanes {
  using P = DecodePlan<F>;

  static __m512i set(std::uint32_t x) { return _mm512_set1_epi32(static_cast<int>(x)); }

  static __m512 run(__m512i code) {
    const __m512i magnitude = _mm512_and_si512(code, set(F::magnitude_mask));
    const __m512i read = P::is_scale ? _mm512_add_epi32(magnitude, set(1)) : magnitude;
    __m512i value = _mm512_slli_epi32(read, 23 - P::M);
    if constexpr (P::bias < 127) {
      const __mmask16 subnormal = _mm512_cmplt_epu32_mask(value, set(0x00800000));
      value = _mm512_add_epi32(value, set(static_cast<std::uint32_t>(127 - P::bias) << 23));
      const __m512 v = _mm512_castsi512_ps(value);
      constexpr auto unit = static_cast<float>(formats::power_of_two(1 - P::bias));
      value = _mm512_castps_si512(_mm512_mask_fmsub_ps(v, subnormal, _mm512_set1_ps(2), _mm512_set1_ps(unit)));
    } else if constexpr (P::bias > 127) {
      constexpr auto excess = static_cast<std::uint32_t>(P::bias - 127) << 23;
      constexpr auto factor = static_cast<float>(formats::power_of_two(127 - P::bias));
      const __mmask16 normal = _mm512_cmpge_epu32_mask(value, set(excess + 0x00800000));
      const __m512 product = _mm512_mul_ps(_mm512_castsi512_ps(value), _mm512_set1_ps(factor));
      value = _mm512_mask_sub_epi32(_mm512_castps_si512(product), normal, value, set(excess));
    }
    if constexpr (P::has_infinity)
      value = _mm512_mask_mov_epi32(value, _mm512_cmpge_epu32_mask(magnitude, set(P::beyond)), set(0x7f800000));
    if constexpr (F::is_signed) {
      const __m512i sign = _mm512_slli_epi32(code, 32 - F::bits);
      value = _mm512_ternarylogic_epi32(value, sign, set(0x80000000), 0xf8);
    }
    if constexpr (F::special == formats::Special::Fnuz) {
      const __m512i all = _mm512_and_si512(code, set(F::sign_bit | F::magnitude_mask));
      value = _mm512_mask_mov_epi32(value, _mm512_cmpeq_epu32_mask(all, set(F::sign_bit)), set(0x7fc00000));
    } else if constexpr (F::has_nan) {
      constexpr int first = P::beyond + (P::has_infinity ? 1 : 0);
      value = _mm512_mask_mov_epi32(value, _mm512_cmpge_epu32_mask(magnitude, set(first)), set(0x7fc00000));
    }
    return _mm512_castsi512_ps(value);
  }
};

/// The lower half of each lane of a, then of b.
template <unsigned B> __m512i lowest_words(__m512i a, __m512i b) {
  return _mm512_permutex2var_epi16(a, _mm512_load_si512(every_second.data()), b);
}
/// The lowest byte of each lane of a, then of b, c and d.
template <unsigned B> __m512i lowest_bytes(__m512i a, __m512i b, __m512i c, __m512i d) {
  const __m512i order = _mm512_load_si512(every_fourth.data());
  const __m512i ab = _mm512_permutex2var_epi8(a, order, b), cd = _mm512_permutex2var_epi8(c, order, d);
  return _mm512_shuffle_i64x2(ab, cd, 0x44);
}

/// `count` set bits, none for less than 0, all 16 for more.
template <unsigned B> __mmask16 first_lanes(std::ptrdiff_t count) {
  return count >= 16 ? static_cast<__mmask16>(0xffff) : static_cast<__mmask16>((1u << (count > 0 ? count : 0)) - 1);
}

}  // namespace avx512

template <unsigned B, int E, int M, int Bias, formats::Special S, formats::Sign Sg, Overflow O, RoundTo R>
  requires(R != RoundTo::Stochastic)
struct EncodeArray<isa::Avx512Tag<B>, formats::MiniFloat<E, M, Bias, S, Sg>, O, R> {
  using Lanes = avx512::EncodeLanes<B, formats::MiniFloat<E, M, Bias, S, Sg>, O, R>;

  static void run(const float* in, std::ptrdiff_t count, std::uint8_t* out, const Random&, std::uint64_t) {
    std::ptrdiff_t i = 0;
    for (; i + 64 <= count; i += 64) {
      const __m512i a = Lanes::run(_mm512_loadu_ps(in + i)), b = Lanes::run(_mm512_loadu_ps(in + i + 16));
      const __m512i c = Lanes::run(_mm512_loadu_ps(in + i + 32)), d = Lanes::run(_mm512_loadu_ps(in + i + 48));
      _mm512_storeu_si512(out + i, avx512::lowest_bytes<B>(a, b, c, d));
    }
    for (; i < count; i += 16) {
      const __mmask16 some = avx512::first_lanes<B>(count - i);
      _mm_mask_storeu_epi8(out + i, some, _mm512_cvtepi32_epi8(Lanes::run(_mm512_maskz_loadu_ps(some, in + i))));
    }
  }

  static void run(const float* in, std::ptrdiff_t count, std::uint16_t* out, const Random&, std::uint64_t) {
    std::ptrdiff_t i = 0;
    for (; i + 32 <= count; i += 32) {
      const __m512i a = Lanes::run(_mm512_loadu_ps(in + i)), b = Lanes::run(_mm512_loadu_ps(in + i + 16));
      _mm512_storeu_si512(out + i, avx512::lowest_words<B>(a, b));
    }
    for (; i < count; i += 16) {
      const __mmask16 some = avx512::first_lanes<B>(count - i);
      _mm256_mask_storeu_epi16(out + i, some, _mm512_cvtepi32_epi16(Lanes::run(_mm512_maskz_loadu_ps(some, in + i))));
    }
  }
};

template <unsigned B, int E, int M, int Bias, formats::Special S, formats::Sign Sg>
  requires(formats::MiniFloat<E, M, Bias, S, Sg>::bits > 8 && Bias > -127)
struct DecodeArray<isa::Avx512Tag<B>, formats::MiniFloat<E, M, Bias, S, Sg>> {
  using Lanes = avx512::DecodeLanes<B, formats::MiniFloat<E, M, Bias, S, Sg>>;

  static void run(const std::uint16_t* in, std::ptrdiff_t count, float* out) {
    std::ptrdiff_t i = 0;
    for (; i + 16 <= count; i += 16) {
      const __m256i codes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(in + i));
      _mm512_storeu_ps(out + i, Lanes::run(_mm512_cvtepu16_epi32(codes)));
    }
    if (i == count) return;
    const __mmask16 rest = avx512::first_lanes<B>(count - i);
    const __m256i codes = _mm256_maskz_loadu_epi16(rest, in + i);
    _mm512_mask_storeu_ps(out + i, rest, Lanes::run(_mm512_cvtepu16_epi32(codes)));
  }
};

template <unsigned B, class F>
  requires(F::bits <= 8 && sizeof(typename F::code_type) == 1)
struct DecodeArray<isa::Avx512Tag<B>, F> {
  using Table = avx512::ByteTable<B, F::bits>;
  static constexpr bool is_short = avx512::has_short_values<F>;

  static void run(const std::uint8_t* in, std::ptrdiff_t count, float* out) {
    const auto& bytes = avx512::ValueBytes<isa::Avx512Tag<B>, F>::get();
    const Table table0(bytes.plane[0]), table1(bytes.plane[1]), table2(bytes.plane[2]), table3(bytes.plane[3]);
    // Unpacking works within 128 bits: 4 codes of each register of values come to lie in each.
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __m512i zero = _mm512_setzero_si512();
    for (std::ptrdiff_t i = 0; i < count; i += 64) {
      const std::ptrdiff_t left = count - i;
      __m512i codes;
      if (left >= 64)
        codes = _mm512_loadu_si512(in + i);
      else
        codes = _mm512_maskz_loadu_epi8((__mmask64{1} << left) - 1, in + i);
      codes = _mm512_permutexvar_epi32(order, codes);
      if (F::bits < 6) codes = _mm512_and_si512(codes, _mm512_set1_epi8((1 << F::bits) - 1));
      const __m512i byte2 = table2(codes), byte3 = table3(codes);
      const __m512i high0 = _mm512_unpacklo_epi8(byte2, byte3), high1 = _mm512_unpackhi_epi8(byte2, byte3);
      __m512i low0 = zero, low1 = zero;
      if (!is_short) {
        const __m512i byte0 = table0(codes), byte1 = table1(codes);
        low0 = _mm512_unpacklo_epi8(byte0, byte1);
        low1 = _mm512_unpackhi_epi8(byte0, byte1);
      }
      store(out + i, left, _mm512_unpacklo_epi16(low0, high0), _mm512_unpackhi_epi16(low0, high0),
            _mm512_unpacklo_epi16(low1, high1), _mm512_unpackhi_epi16(low1, high1));
    }
  }

 private:
  static void store(float* out, std::ptrdiff_t left, __m512i a, __m512i b, __m512i c, __m512i d) {
    if (left >= 64) {
      _mm512_storeu_si512(out, a);
      _mm512_storeu_si512(out + 16, b);
      _mm512_storeu_si512(out + 32, c);
      _mm512_storeu_si512(out + 48, d);
    } else {
      _mm512_mask_storeu_epi32(out, avx512::first_lanes<B>(left), a);
      _mm512_mask_storeu_epi32(out + 16, avx512::first_lanes<B>(left - 16), b);
      _mm512_mask_storeu_epi32(out + 32, avx512::first_lanes<B>(left - 32), c);
      _mm512_mask_storeu_epi32(out + 48, avx512::first_lanes<B>(left - 48), d);
    }
  }
};

}  // namespace nibble::kernels

NIBBLE_END_TARGET

#endif
