// AVX-512: quantization of activations, up to 4 byte columns and 16 groups at a time.
#pragma once
#if defined __x86_64__ || defined _M_X64

#include <immintrin.h>

#include "nibble/kernels/activation_blocks.h"
#include "nibble/kernels/avx512/bytes.h"

NIBBLE_BEGIN_TARGET(NIBBLE_AVX512)

namespace nibble::kernels {
namespace avx512 {

template <unsigned B, class S> struct ActivationRegisters {
  static constexpr int lanes = 16;
  using Found = ActivationGrids::Found;

  template <int C>
  static Found grids(const ActivationColumns& t, std::ptrdiff_t count, std::ptrdiff_t size, ActivationGrids& grids,
                     std::ptrdiff_t first) {
    const __m512 full = _mm512_set1_ps(top);
    const __m512i infinity = _mm512_set1_epi32(0x7f800000);
    __m512 scale, below = _mm512_setzero_ps();
    __m512i reach;
    if constexpr (S::affine) {
      const __m512i high = largest<C, Side::Positive>(t, count, size);
      const __m512i low = largest<C, Side::Negative>(t, count, size);
      reach = _mm512_max_epi32(high, low);
      below = _mm512_castsi512_ps(low);
      scale = _mm512_add_ps(_mm512_div_ps(_mm512_castsi512_ps(high), full), _mm512_div_ps(below, full));
    } else {
      reach = largest<C, Side::Both>(t, count, size);
      scale =
          t.fixed_scale != nullptr ? _mm512_set1_ps(*t.fixed_scale) : _mm512_div_ps(_mm512_castsi512_ps(reach), full);
    }
    const __mmask16 some = _mm512_cmp_ps_mask(scale, _mm512_setzero_ps(), _CMP_GT_OQ);
    const __m512 inverse = _mm512_maskz_div_ps(some, _mm512_set1_ps(1), scale);
    _mm512_storeu_ps(grids.scale + first, scale);
    _mm512_storeu_ps(grids.inverse + first, inverse);
    if constexpr (S::affine)
      _mm512_storeu_si512(grids.zero + first, _mm512_sub_epi32(_mm512_cvtps_epi32(_mm512_mul_ps(below, inverse)),
                                                               _mm512_set1_epi32(offset)));
    return {_mm512_cmpge_epi32_mask(reach, infinity) == 0,
            _mm512_cmpge_epi32_mask(_mm512_castps_si512(inverse), infinity) == 0};
  }

  template <int C, bool Clip>
  static void encode(const ActivationColumns& t, std::ptrdiff_t count, std::ptrdiff_t size,
                     const ActivationGrids& grids, std::ptrdiff_t first) {
    const std::ptrdiff_t stride = t.stride, quantum = 4 * parts * t.width;
    for (std::ptrdiff_t g = 0; g < count; ++g) {
      __m512 inverse[C];
      __m512i zero[C];
#pragma GCC unroll 4
      for (int c = 0; c < C; ++c) {
        inverse[c] = _mm512_set1_ps(grids.inverse[first + g * C + c]);
        zero[c] = S::affine ? _mm512_set1_epi32(grids.zero[first + g * C + c]) : _mm512_setzero_si512();
      }
      const float* x = t.x + g * size;
      std::int8_t* codes = t.codes + g * size / 4 * quantum;
      std::ptrdiff_t left = size;
      for (; left >= 16; left -= 16, x += 16, codes += 4 * quantum)
        rows<C, true, Clip>(x, stride, 0xffff, inverse, zero, codes, quantum);
      if (left > 0)
        rows<C, false, Clip>(x, stride, static_cast<__mmask16>((1u << left) - 1), inverse, zero, codes, quantum);
    }
  }

 private:
  using Activations = QuantizedActivations<S>;
  static constexpr int parts = Activations::parts;
  static constexpr int top = Activations::top, offset = Activations::offset;
  static constexpr int lowest = S::affine ? -offset : -top, highest = top - offset;

  /// What counts of a float: its magnitude, or that of positive or of negative ones only.
  enum class Side { Both, Positive, Negative };

  /// The largest magnitude of each lane's group as the bits of a float, 0 at least: in that order floats are integers,
  /// and infinities and NaNs come out on top.
  template <int C, Side side>
  static __m512i largest(const ActivationColumns& t, std::ptrdiff_t count, std::ptrdiff_t size) {
    const __m512i a = four<C, side, 0>(t, count, size), b = four<C, side, 1>(t, count, size);
    const __m512i c = four<C, side, 2>(t, count, size), d = four<C, side, 3>(t, count, size);
    const __m512i ab = _mm512_max_epi32(_mm512_shuffle_i32x4(a, b, 0x44), _mm512_shuffle_i32x4(a, b, 0xee));
    const __m512i cd = _mm512_max_epi32(_mm512_shuffle_i32x4(c, d, 0x44), _mm512_shuffle_i32x4(c, d, 0xee));
    return _mm512_max_epi32(_mm512_shuffle_i32x4(ab, cd, 0x88), _mm512_shuffle_i32x4(ab, cd, 0xdd));
  }

  /// The same of lanes 4 Q .. 4 Q + 3, each spread over the four lanes with its number modulo 4.
  template <int C, Side side, int Q>
  static __m512i four(const ActivationColumns& t, std::ptrdiff_t count, std::ptrdiff_t size) {
    __m512i most[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) most[i] = _mm512_setzero_si512();
    if (4 * Q / C >= count) return most[0];
    constexpr int apart = S::group_inputs == 0 ? C : 4;  // lanes that differ
    const float* x[4];
#pragma GCC unroll 4
    for (int i = 0; i < apart; ++i) {
      const std::ptrdiff_t g = (4 * Q + i) / C;
      x[i] = t.x + (g < count ? g : count - 1) * size + i % C * t.stride;
    }
    std::ptrdiff_t k = 0;
    for (; k + 16 <= size; k += 16) {
#pragma GCC unroll 4
      for (int i = 0; i < apart; ++i) most[i] = _mm512_max_epi32(most[i], magnitude<side>(_mm512_loadu_ps(x[i] + k)));
    }
    if (k < size) {
      const auto mask = static_cast<__mmask16>((1u << (size - k)) - 1);
#pragma GCC unroll 4
      for (int i = 0; i < apart; ++i)
        most[i] = _mm512_max_epi32(most[i], magnitude<side>(_mm512_maskz_loadu_ps(mask, x[i] + k)));
    }
    const __m512i ab =
        _mm512_max_epi32(_mm512_unpacklo_epi32(most[0], most[1]), _mm512_unpackhi_epi32(most[0], most[1]));
    const __m512i cd =
        _mm512_max_epi32(_mm512_unpacklo_epi32(most[2], most[3]), _mm512_unpackhi_epi32(most[2], most[3]));
    return _mm512_max_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
  }

  template <Side side> [[gnu::always_inline]] static __m512i magnitude(__m512 x) {
    const __m512i bits = _mm512_castps_si512(x);
    if (side == Side::Positive) return bits;  // the others are below 0
    if (side == Side::Negative) return _mm512_xor_si512(bits, _mm512_set1_epi32(INT32_MIN));
    return _mm512_and_si512(bits, _mm512_set1_epi32(INT32_MAX));
  }

  /// The integers of the rows of `mask`, or of all 16; 0 in the others.
  template <int C, bool All, bool Clip>
  [[gnu::always_inline]] static void rows(const float* x, std::ptrdiff_t stride, __mmask16 mask, const __m512* inverse,
                                          const __m512i* zero, std::int8_t* codes, std::ptrdiff_t quantum) {
    __m512i v[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) v[i] = _mm512_setzero_si512();
#pragma GCC unroll 4
    for (int c = 0; c < C; ++c) {
      const __m512 in = All ? _mm512_loadu_ps(x + c * stride) : _mm512_maskz_loadu_ps(mask, x + c * stride);
      __m512 steps = _mm512_mul_ps(in, inverse[c]);
      if (Clip) steps = _mm512_min_ps(steps, _mm512_set1_ps(top));
      const __m512i integer = _mm512_cvtps_epi32(steps);  // -2^31 for floats below
      if constexpr (parts == 2) {
        const __m512i held = _mm512_max_epi32(integer, _mm512_set1_epi32(-top));
        // No multiple of 1 / 255 is so close to half-way between two integers that this would round otherwise than a
        // division.
        v[2 * c] = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_cvtepi32_ps(held), _mm512_set1_ps(1.0f / 255)));
        v[2 * c + 1] = _mm512_add_epi32(_mm512_sub_epi32(held, _mm512_slli_epi32(v[2 * c], 8)), v[2 * c]);
      } else if constexpr (S::affine) {
        v[c] = _mm512_maskz_add_epi32(mask, integer, zero[c]);
      } else {
        v[c] = integer;
      }
    }
    if constexpr (C * parts == 1) {
      const __m128i bytes = _mm512_castsi512_si128(held(_mm512_castsi128_si512(_mm512_cvtsepi32_epi8(v[0]))));
      if (quantum == 4) return store<16>(codes, bytes);
      store<4>(codes, bytes);
      store<4>(codes + quantum, _mm_srli_si128(bytes, 4));
      store<4>(codes + 2 * quantum, _mm_srli_si128(bytes, 8));
      store<4>(codes + 3 * quantum, _mm_srli_si128(bytes, 12));
    } else {
      // Both packings saturate, and keep to 128-bit lanes: lane i gets 4 rows of each column.
      const __m512i bytes = held(_mm512_packs_epi16(_mm512_packs_epi32(v[0], v[1]), _mm512_packs_epi32(v[2], v[3])));
      store<4 * C * parts>(codes, _mm512_castsi512_si128(bytes));
      store<4 * C * parts>(codes + quantum, _mm512_extracti32x4_epi32(bytes, 1));
      store<4 * C * parts>(codes + 2 * quantum, _mm512_extracti32x4_epi32(bytes, 2));
      store<4 * C * parts>(codes + 3 * quantum, _mm512_extracti32x4_epi32(bytes, 3));
    }
  }

  /// Saturated bytes, held to the integers of S; in symmetric schemes no float was above.
  [[gnu::always_inline]] static __m512i held(__m512i bytes) {
    if constexpr (parts == 1) bytes = _mm512_max_epi8(bytes, _mm512_set1_epi8(lowest));
    if constexpr (S::affine && highest < 127) bytes = _mm512_min_epi8(bytes, _mm512_set1_epi8(highest));
    return bytes;
  }

  template <std::size_t Bytes> [[gnu::always_inline]] static void store(std::int8_t* out, __m128i bytes) {
    if (Bytes == 16) return _mm_storeu_si128(reinterpret_cast<__m128i*>(out), bytes);
    const long long low = _mm_cvtsi128_si64(bytes);
    __builtin_memcpy(out, &low, Bytes % 16);
  }
};

}  // namespace avx512

template <unsigned B, class S>
  requires(S::group_inputs % 16 == 0)
struct QuantizeColumns<isa::Avx512Tag<B>, S> : ActivationBlocks<avx512::ActivationRegisters<B, S>, S> {};

}  // namespace nibble::kernels

NIBBLE_END_TARGET

#endif
