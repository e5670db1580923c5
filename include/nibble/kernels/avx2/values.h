// AVX2: from the planes of a panel to registers of floats, one input of 8 lanes each; see avx512/values.h.
#pragma once
#if defined __x86_64__ || defined _M_X64

#include <immintrin.h>

#include "nibble/kernels/avx2/bytes.h"
#include "nibble/kernels/avx2/cast.h"
#include "nibble/kernels/portable/float.h"

NIBBLE_BEGIN_TARGET(NIBBLE_AVX2)

namespace nibble::kernels::avx2 {

/// The codes of input i of half h of a quantum, in lanes of 32 bits.
template <unsigned B, int Bits> struct CodeLanes {
  __m256i high, low = _mm256_setzero_si256();

  CodeLanes(const Panel& panel, std::ptrdiff_t q, int j, int h) : high(PanelBytes<B, Bits>::load(panel, q, j, h)) {
    if constexpr (Bits > 8) {
      Panel rest;
      for (std::size_t p = 1; p < plane_widths(Bits).count; ++p) rest.plane[p - 1] = panel.plane[p];
      low = PanelBytes<B, Bits - 8>::load(rest, q, j, h);
    }
  }
  __m256i operator[](int i) const {
    const __m256i mask = _mm256_set1_epi32(255);
    const __m256i code = _mm256_and_si256(_mm256_srli_epi32(high, 8 * i), mask);
    if constexpr (Bits <= 8) return code;
    return _mm256_or_si256(_mm256_slli_epi32(code, Bits > 8 ? Bits - 8 : 0),
                           _mm256_and_si256(_mm256_srli_epi32(low, 8 * i), mask));
  }
};

/// load(panel, q, j, h, above, v): v[i] = the values of the codes of register i of half h of quantum q + j.
template <unsigned B, class C> struct Values {
  static constexpr bool in_registers = C::how == Decode::Floats && C::index <= 4;
  const float* values;
  __m256 low, high;

  explicit Values(const float* v) : values(v), low(_mm256_setzero_ps()), high(low) {
    if constexpr (in_registers) {
      alignas(32) float table[16];
      for (int i = 0; i < 16; ++i) table[i] = v[i & ((1 << C::index) - 1)];
      low = _mm256_load_ps(table);
      high = _mm256_load_ps(table + 8);
    }
  }
  void load(const Panel& panel, std::ptrdiff_t q, int j, int h, __m256i above, __m256 (&v)[4]) const {
    if constexpr (in_registers) {
      __m256i codes = PanelBytes<B, C::bits>::load(panel, q, j, h);
      if (C::index > C::bits) codes = _mm256_or_si256(codes, above);
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) v[i] = look_up(_mm256_srli_epi32(codes, 8 * i));
    } else {
      const CodeLanes<B, C::bits> codes(panel, q, j, h);
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) {
        if constexpr (C::how == Decode::Integer) {
          v[i] = _mm256_cvtepi32_ps(codes[i]);
        } else if constexpr (C::how == Decode::Minifloat) {
          v[i] = DecodeLanes<B, typename C::format>::run(codes[i]);
        } else {
          const __m256i mask = _mm256_set1_epi32((1 << C::index) - 1);
          const __m256i choice = C::index > C::bits ? _mm256_and_si256(above, mask) : _mm256_setzero_si256();
          v[i] = _mm256_i32gather_ps(values, _mm256_or_si256(codes[i], choice), 4);
        }
      }
    }
  }

 private:
  /// Of the indices in the lowest bytes of lanes.
  __m256 look_up(__m256i index) const {
    const __m256 lower = _mm256_permutevar8x32_ps(low, index);
    if (C::index <= 3) return lower;
    return _mm256_blendv_ps(lower, _mm256_permutevar8x32_ps(high, index),
                            _mm256_castsi256_ps(_mm256_slli_epi32(index, 28)));
  }
};

/// Half h of the choices, the zero points and the scales of group g; see avx512/values.h.
template <unsigned B, class C> __m256i above_of(const std::uint32_t* above, std::ptrdiff_t g, int h) {
  if constexpr (C::index > C::bits)
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(above + g * lanes + 8 * h));
  return _mm256_setzero_si256();
}
template <unsigned B> __m256 zero_of(const float* zeros, std::ptrdiff_t g, int h) {
  return zeros == nullptr ? _mm256_setzero_ps() : _mm256_loadu_ps(zeros + g * lanes + 8 * h);
}
template <unsigned B, Lanes L> __m256 scale_of(const float* scales, std::ptrdiff_t g, int h) {
  if constexpr (L == Lanes::Rows) return _mm256_loadu_ps(scales + g * lanes + 8 * h);
  if constexpr (L == Lanes::Inputs) return _mm256_set1_ps(scales[g]);
  return _mm256_set1_ps(1);
}

}  // namespace nibble::kernels::avx2

NIBBLE_END_TARGET

#endif
