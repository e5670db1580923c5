// AVX2: quantization of activations, up to 4 byte columns and 8 groups at a time.
#pragma once
#if defined __x86_64__ || defined _M_X64

#include <immintrin.h>

#include "nibble/kernels/activation_blocks.h"
#include "nibble/kernels/avx2/bytes.h"

NIBBLE_BEGIN_TARGET(NIBBLE_AVX2)

namespace nibble::kernels {
namespace avx2 {

/// As avx512::ActivationRegisters, with 8 lanes instead of 16.
template <unsigned B, class S> struct ActivationRegisters {
  static constexpr int lanes = 8;
  using Found = ActivationGrids::Found;

  template <int C>
  static Found grids(const ActivationColumns& t, std::ptrdiff_t count, std::ptrdiff_t size, ActivationGrids& grids,
                     std::ptrdiff_t first) {
    const __m256 full = _mm256_set1_ps(top);
    const __m256i largest_finite = _mm256_set1_epi32(0x7f7fffff);
    __m256 scale, below = _mm256_setzero_ps();
    __m256i reach;
    if constexpr (S::affine) {
      const __m256i high = largest<C, Side::Positive>(t, count, size);
      const __m256i low = largest<C, Side::Negative>(t, count, size);
      reach = _mm256_max_epi32(high, low);
      below = _mm256_castsi256_ps(low);
      scale = _mm256_add_ps(_mm256_div_ps(_mm256_castsi256_ps(high), full), _mm256_div_ps(below, full));
    } else {
      reach = largest<C, Side::Both>(t, count, size);
      scale =
          t.fixed_scale != nullptr ? _mm256_set1_ps(*t.fixed_scale) : _mm256_div_ps(_mm256_castsi256_ps(reach), full);
    }
    const __m256 some = _mm256_cmp_ps(scale, _mm256_setzero_ps(), _CMP_GT_OQ);
    const __m256 inverse = _mm256_and_ps(_mm256_div_ps(_mm256_set1_ps(1), scale), some);
    _mm256_storeu_ps(grids.scale + first, scale);
    _mm256_storeu_ps(grids.inverse + first, inverse);
    if constexpr (S::affine)
      _mm256_storeu_si256(
          reinterpret_cast<__m256i*>(grids.zero + first),
          _mm256_sub_epi32(_mm256_cvtps_epi32(_mm256_mul_ps(below, inverse)), _mm256_set1_epi32(offset)));
    return {none(_mm256_cmpgt_epi32(reach, largest_finite)),
            none(_mm256_cmpgt_epi32(_mm256_castps_si256(inverse), largest_finite))};
  }

  template <int C, bool Clip>
  static void encode(const ActivationColumns& t, std::ptrdiff_t count, std::ptrdiff_t size,
                     const ActivationGrids& grids, std::ptrdiff_t first) {
    const std::ptrdiff_t stride = t.stride, quantum = 4 * parts * t.width;
    for (std::ptrdiff_t g = 0; g < count; ++g) {
      __m256 inverse[C];
      __m256i zero[C];
#pragma GCC unroll 4
      for (int c = 0; c < C; ++c) {
        inverse[c] = _mm256_set1_ps(grids.inverse[first + g * C + c]);
        zero[c] = S::affine ? _mm256_set1_epi32(grids.zero[first + g * C + c]) : _mm256_setzero_si256();
      }
      const float* x = t.x + g * size;
      std::int8_t* codes = t.codes + g * size / 4 * quantum;
      std::ptrdiff_t left = size;
      for (; left >= 8; left -= 8, x += 8, codes += 2 * quantum)
        rows<C, true, Clip>(x, stride, _mm256_setzero_si256(), inverse, zero, codes, quantum);
      if (left > 0) rows<C, false, Clip>(x, stride, first_lanes(left), inverse, zero, codes, quantum);
    }
  }

 private:
  using Activations = QuantizedActivations<S>;
  static constexpr int parts = Activations::parts;
  static constexpr int top = Activations::top, offset = Activations::offset;
  static constexpr int lowest = S::affine ? -offset : -top, highest = top - offset;

  enum class Side { Both, Positive, Negative };

  static bool none(__m256i mask) {
    return _mm256_testz_si256(mask, mask) != 0;
  }

  template <int C, Side side>
  static __m256i largest(const ActivationColumns& t, std::ptrdiff_t count, std::ptrdiff_t size) {
    const __m256i a = four<C, side, 0>(t, count, size), b = four<C, side, 1>(t, count, size);
    return _mm256_max_epi32(_mm256_permute2x128_si256(a, b, 0x20), _mm256_permute2x128_si256(a, b, 0x31));
  }

  template <int C, Side side, int Q>
  static __m256i four(const ActivationColumns& t, std::ptrdiff_t count, std::ptrdiff_t size) {
    __m256i most[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) most[i] = _mm256_setzero_si256();
    if (4 * Q / C >= count) return most[0];
    constexpr int apart = S::group_inputs == 0 ? C : 4;  // lanes that differ
    const float* x[4];
#pragma GCC unroll 4
    for (int i = 0; i < apart; ++i) {
      const std::ptrdiff_t g = (4 * Q + i) / C;
      x[i] = t.x + (g < count ? g : count - 1) * size + i % C * t.stride;
    }
    std::ptrdiff_t k = 0;
    for (; k + 8 <= size; k += 8) {
#pragma GCC unroll 4
      for (int i = 0; i < apart; ++i) most[i] = _mm256_max_epi32(most[i], magnitude<side>(_mm256_loadu_ps(x[i] + k)));
    }
    if (k < size) {
      const __m256i mask = first_lanes(size - k);
#pragma GCC unroll 4
      for (int i = 0; i < apart; ++i)
        most[i] = _mm256_max_epi32(most[i], magnitude<side>(_mm256_maskload_ps(x[i] + k, mask)));
    }
    const __m256i ab =
        _mm256_max_epi32(_mm256_unpacklo_epi32(most[0], most[1]), _mm256_unpackhi_epi32(most[0], most[1]));
    const __m256i cd =
        _mm256_max_epi32(_mm256_unpacklo_epi32(most[2], most[3]), _mm256_unpackhi_epi32(most[2], most[3]));
    return _mm256_max_epi32(_mm256_unpacklo_epi64(ab, cd), _mm256_unpackhi_epi64(ab, cd));
  }

  /// The first `count` lanes.
  static __m256i first_lanes(std::ptrdiff_t count) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }

  template <Side side> [[gnu::always_inline]] static __m256i magnitude(__m256 x) {
    const __m256i bits = _mm256_castps_si256(x);
    if (side == Side::Positive) return bits;
    if (side == Side::Negative) return _mm256_xor_si256(bits, _mm256_set1_epi32(INT32_MIN));
    return _mm256_and_si256(bits, _mm256_set1_epi32(INT32_MAX));
  }

  /// The integers of the rows of `mask`, or of all 8; 0 in the others.
  template <int C, bool All, bool Clip>
  [[gnu::always_inline]] static void rows(const float* x, std::ptrdiff_t stride, __m256i mask, const __m256* inverse,
                                          const __m256i* zero, std::int8_t* codes, std::ptrdiff_t quantum) {
    __m256i v[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) v[i] = _mm256_setzero_si256();
#pragma GCC unroll 4
    for (int c = 0; c < C; ++c) {
      const __m256 in = All ? _mm256_loadu_ps(x + c * stride) : _mm256_maskload_ps(x + c * stride, mask);
      __m256 steps = _mm256_mul_ps(in, inverse[c]);
      if (Clip) steps = _mm256_min_ps(steps, _mm256_set1_ps(top));
      const __m256i integer = _mm256_cvtps_epi32(steps);
      if constexpr (parts == 2) {
        const __m256i held = _mm256_max_epi32(integer, _mm256_set1_epi32(-top));
        v[2 * c] = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_cvtepi32_ps(held), _mm256_set1_ps(1.0f / 255)));
        v[2 * c + 1] = _mm256_add_epi32(_mm256_sub_epi32(held, _mm256_slli_epi32(v[2 * c], 8)), v[2 * c]);
      } else if constexpr (S::affine) {
        v[c] = _mm256_add_epi32(integer, zero[c]);
        if (!All) v[c] = _mm256_and_si256(v[c], mask);
      } else {
        v[c] = integer;
      }
    }
    __m256i bytes = _mm256_packs_epi16(_mm256_packs_epi32(v[0], v[1]), _mm256_packs_epi32(v[2], v[3]));
    if constexpr (parts == 1) bytes = _mm256_max_epi8(bytes, _mm256_set1_epi8(lowest));
    if constexpr (S::affine && highest < 127) bytes = _mm256_min_epi8(bytes, _mm256_set1_epi8(highest));
    constexpr std::size_t width = 4 * C * parts;
    const __m128i upper = _mm256_extracti128_si256(bytes, 1);
    if (width == 4 && quantum == 4) return store<8>(codes, _mm_unpacklo_epi32(_mm256_castsi256_si128(bytes), upper));
    store<width>(codes, _mm256_castsi256_si128(bytes));
    store<width>(codes + quantum, upper);
  }

  template <std::size_t Bytes> [[gnu::always_inline]] static void store(std::int8_t* out, __m128i bytes) {
    if (Bytes == 16) return _mm_storeu_si128(reinterpret_cast<__m128i*>(out), bytes);
    const long long low = _mm_cvtsi128_si64(bytes);
    __builtin_memcpy(out, &low, Bytes % 16);
  }
};

}  // namespace avx2

template <unsigned B, class S>
  requires(S::group_inputs % 16 == 0)
struct QuantizeColumns<isa::Avx2Tag<B>, S> : ActivationBlocks<avx2::ActivationRegisters<B, S>, S> {};

}  // namespace nibble::kernels

NIBBLE_END_TARGET

#endif
