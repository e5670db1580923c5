// AVX-512: from the planes of a panel to registers of floats, one input of 16 rows each.
#pragma once
#if defined __x86_64__ || defined _M_X64

#include <immintrin.h>

#include "nibble/kernels/avx512/cast.h"
#include "nibble/kernels/portable/float.h"

NIBBLE_BEGIN_TARGET(NIBBLE_AVX512)

namespace nibble::kernels::avx512 {

/// Byte 4 r + b of a register that takes, for input i of row r, byte b from `from[b]`: 4 r + i of the first operand of
/// vpermt2b where from[b] is 0, of the second where it is 64; 128 + n means byte n of the second.
struct Gather {
  alignas(64) std::uint8_t byte[4][64];
  constexpr Gather(int b0, int b1, int b2, int b3) : byte{} {
    const int from[4] = {b0, b1, b2, b3};
    for (int i = 0; i < 4; ++i)
      for (int at = 0; at < 64; ++at) {
        const int f = from[at % 4];
        byte[i][at] = static_cast<std::uint8_t>(f >= 128 ? f - 64 : f + at / 4 * 4 + i);
      }
  }
  __m512i operator[](int i) const { return _mm512_load_si512(byte[i]); }
};

/// Byte `shift` / 8 of each of 2^Bits floats.
template <unsigned B, int Bits> ByteTable<B, Bits> value_bytes(const float* values, unsigned shift) {
  std::uint8_t column[1 << Bits];
  for (int i = 0; i < 1 << Bits; i += 16) {
    const __m512i words = _mm512_srli_epi32(_mm512_loadu_si512(values + i), shift);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(column + i), _mm512_cvtepi32_epi8(words));
  }
  return ByteTable<B, Bits>(column);
}

/// The bfloat16 in the words of `even` (inputs 0 and 2 of each row) and `odd` (1 and 3), as floats.
template <unsigned B> void from_words(__m512i even, __m512i odd, __m512 (&v)[4]) {
  const __m512i top = _mm512_set1_epi32(static_cast<int>(0xffff0000));
  v[0] = _mm512_castsi512_ps(_mm512_slli_epi32(even, 16));
  v[1] = _mm512_castsi512_ps(_mm512_slli_epi32(odd, 16));
  v[2] = _mm512_castsi512_ps(_mm512_and_si512(even, top));
  v[3] = _mm512_castsi512_ps(_mm512_and_si512(odd, top));
}

/// The bfloat16 whose bytes are those of `low` and `high`, as floats. Shifts and blends rather than vpermt2b: on Zen 4
/// instructions of three operands hinder the multiply-adds.
template <unsigned B> void from_bytes(__m512i low, __m512i high, __m512 (&v)[4]) {
  constexpr __mmask64 first = 0x5555555555555555;
  from_words<B>(_mm512_mask_blend_epi8(first, _mm512_slli_epi16(high, 8), low),
                _mm512_mask_blend_epi8(first, high, _mm512_srli_epi16(low, 8)), v);
}

/// The codes of quantum q + j, below their choices.
template <unsigned B, class C> __m512i indices(const Panel& panel, std::ptrdiff_t q, int j, __m512i above) {
  const __m512i codes = PanelBytes<B, C::bits>::load(panel, q, j);
  return C::index > C::bits ? _mm512_or_si512(codes, above) : codes;
}

/// Values<B, C>::load(panel, q, j, above, v): v[i] = the values of the codes of register i of quantum q + j, plus
/// `bias`; see DecodeTile.
template <unsigned B, class C> struct Values;

/// The code itself plus 2^23, by setting the exponent of that number above it.
template <unsigned B, int Bits>
  requires(Bits <= 8)
struct Values<B, Codec<Bits, Decode::Integer>> {
  static constexpr float bias = 0x1p23f;
  explicit Values(const float*) {}
  void load(const Panel& panel, std::ptrdiff_t q, int j, __m512i, __m512 (&v)[4]) const {
    static constexpr Gather gather(0, 128, 128, 129);
    const __m512i codes = PanelBytes<B, Bits>::load(panel, q, j);
    const __m512i exponent = _mm512_set1_epi16(0x4b00);
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) v[i] = _mm512_castsi512_ps(_mm512_permutex2var_epi8(codes, gather[i], exponent));
  }
};

/// Up to 32 floats, in two registers.
template <unsigned B, int Bits, int Index> struct Values<B, Codec<Bits, Decode::Floats, Index>> {
  static_assert(Index <= 5);
  static constexpr float bias = 0;
  using C = Codec<Bits, Decode::Floats, Index>;
  /// Codes that lie in one plane need no mask: beyond bit 4 the look-up ignores them, and below the table is repeated.
  static constexpr bool unmasked = plane_widths(Bits).count == 1 && Index == Bits;
  __m512 low, high;

  explicit Values(const float* values) : low(table(values)), high(Index == 5 ? _mm512_loadu_ps(values + 16) : low) {}
  void load(const Panel& panel, std::ptrdiff_t q, int j, __m512i above, __m512 (&v)[4]) const {
    const __m512i codes =
        unmasked ? _mm512_load_si512(panel.plane[0] + quantum_line(q, Bits)) : indices<B, C>(panel, q, j, above);
    const int shift = unmasked ? Bits * j : 0;
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      const __m512i index = _mm512_srli_epi32(codes, static_cast<unsigned>(shift + 8 * i));
      v[i] = Index <= 4 ? _mm512_permutexvar_ps(index, low) : _mm512_permutex2var_ps(low, index, high);
    }
  }

 private:
  static __m512 table(const float* values) {
    if constexpr (Index == 1) return _mm512_mask_blend_ps(0xaaaa, _mm512_set1_ps(values[0]), _mm512_set1_ps(values[1]));
    if constexpr (Index == 2) return _mm512_broadcast_f32x4(_mm_loadu_ps(values));
    if constexpr (Index == 3) return _mm512_broadcast_f32x8(_mm256_loadu_ps(values));
    return _mm512_loadu_ps(values);
  }
};

/// 64 bfloat16; the look-up ignores what is above bit 5 of an index.
template <unsigned B, class C>
  requires(C::how == Decode::Halves && C::index == 6)
struct Values<B, C> {
  static constexpr float bias = 0;
  __m512i first, second;

  explicit Values(const float* values) : first(words(values)), second(words(values + 32)) {}
  void load(const Panel& panel, std::ptrdiff_t q, int j, __m512i above, __m512 (&v)[4]) const {
    const __m512i codes = indices<B, C>(panel, q, j, above);
    from_words<B>(_mm512_permutex2var_epi16(first, codes, second),
                  _mm512_permutex2var_epi16(first, _mm512_srli_epi16(codes, 8), second), v);
  }

 private:
  static __m512i words(const float* values) {
    const __m256i a = _mm512_cvtepi32_epi16(_mm512_srli_epi32(_mm512_loadu_si512(values), 16));
    const __m256i b = _mm512_cvtepi32_epi16(_mm512_srli_epi32(_mm512_loadu_si512(values + 16), 16));
    return _mm512_inserti64x4(_mm512_castsi256_si512(a), b, 1);
  }
};

/// 128 or 256 bfloat16, their bytes in two tables.
template <unsigned B, class C>
  requires(C::how == Decode::Halves && C::index > 6)
struct Values<B, C> {
  static constexpr float bias = 0;
  ByteTable<B, C::index> low, high;

  explicit Values(const float* values)
      : low(value_bytes<B, C::index>(values, 16)), high(value_bytes<B, C::index>(values, 24)) {}
  void load(const Panel& panel, std::ptrdiff_t q, int j, __m512i above, __m512 (&v)[4]) const {
    const __m512i codes = indices<B, C>(panel, q, j, above);
    from_bytes<B>(low(codes), high(codes), v);
  }
};

/// 256 bfloat16 of which those of the upper codes are those of the lower ones, negated: tables of 128, whose look-up
/// ignores the highest bit of a code, and that bit as the sign.
template <unsigned B> struct Values<B, Codec<8, Decode::SignedHalves>> {
  static constexpr float bias = 0;
  ByteTable<B, 7> low, high;

  explicit Values(const float* values) : low(value_bytes<B, 7>(values, 16)), high(value_bytes<B, 7>(values, 24)) {}
  void load(const Panel& panel, std::ptrdiff_t q, int j, __m512i, __m512 (&v)[4]) const {
    const __m512i codes = PanelBytes<B, 8>::load(panel, q, j);
    const __m512i sign = _mm512_set1_epi8(static_cast<char>(0x80));
    from_bytes<B>(low(codes), _mm512_ternarylogic_epi32(high(codes), codes, sign, 0x78), v);  // high ^ (codes & sign)
  }
};

/// The codes of one register of a quantum, in lanes of 32 bits.
template <unsigned B, int Bits> struct CodeLanes {
  static constexpr bool wide = Bits > 8;
  __m512i high, low = _mm512_setzero_si512();

  CodeLanes(const Panel& panel, std::ptrdiff_t q, int j) : high(PanelBytes<B, Bits>::load(panel, q, j)) {
    if constexpr (wide) {
      Panel rest;
      for (std::size_t p = 1; p < plane_widths(Bits).count; ++p) rest.plane[p - 1] = panel.plane[p];
      low = PanelBytes<B, Bits - 8>::load(rest, q, j);
      low = _mm512_slli_epi16(low, 16 - Bits);
    }
  }
  __m512i operator[](int i) const {
    if constexpr (wide) {
      static constexpr Gather gather(0, 64, 0, 0);
      const __m512i words = _mm512_maskz_permutex2var_epi8(0x3333333333333333, low, gather[i], high);
      return Bits == 16 ? words : _mm512_srli_epi32(words, 16 - Bits);
    } else {
      return _mm512_and_si512(_mm512_srli_epi32(high, static_cast<unsigned>(8 * i)), _mm512_set1_epi32(255));
    }
  }
};

/// Floats in memory, integers of more than 8 bits, and minifloats.
template <unsigned B, class C>
  requires(C::how == Decode::Memory || C::how == Decode::Minifloat || (C::how == Decode::Integer && C::bits > 8))
struct Values<B, C> {
  static constexpr float bias = 0;
  const float* values;

  explicit Values(const float* v) : values(v) {}
  void load(const Panel& panel, std::ptrdiff_t q, int j, __m512i above, __m512 (&v)[4]) const {
    const CodeLanes<B, C::bits> codes(panel, q, j);
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      if constexpr (C::how == Decode::Integer) {
        v[i] = _mm512_cvtepi32_ps(codes[i]);
      } else if constexpr (C::how == Decode::Minifloat) {
        v[i] = DecodeLanes<B, typename C::format>::run(codes[i]);
      } else {
        const __m512i mask = _mm512_set1_epi32((1 << C::index) - 1);
        const __m512i choice = C::index > C::bits ? _mm512_and_si512(above, mask) : _mm512_setzero_si512();
        v[i] = _mm512_i32gather_ps(_mm512_or_si512(codes[i], choice), values, 4);
      }
    }
  }
};

/// The choices of group g.
template <unsigned B, class C> __m512i above_of(const std::uint32_t* above, std::ptrdiff_t g) {
  return C::index > C::bits ? _mm512_loadu_si512(above + g * lanes) : _mm512_setzero_si512();
}

/// The scale of lanes in group g, unless they are FineInputs.
template <unsigned B, Lanes L> __m512 scale_of(const float* scales, std::ptrdiff_t g) {
  if constexpr (L == Lanes::Rows) return _mm512_loadu_ps(scales + g * lanes);
  if constexpr (L == Lanes::Inputs) return _mm512_set1_ps(scales[g]);
  return _mm512_set1_ps(1);
}

/// What is taken off the values of group g: its zero point (none if `zeros` is null) and the bias of V.
template <class V> __m512 zero_of(const float* zeros, std::ptrdiff_t g) {
  const __m512 bias = _mm512_set1_ps(V::bias);
  return zeros == nullptr ? bias : _mm512_add_ps(_mm512_loadu_ps(zeros + g * lanes), bias);
}

}  // namespace nibble::kernels::avx512

NIBBLE_END_TARGET

#endif
