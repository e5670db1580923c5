// AVX-512: from the planes of a panel to registers of floats, one input of 16 rows each.
#pragma once
#if defined __x86_64__ || defined _M_X64

#include <immintrin.h>

#include "nibble/kernels/avx512/bytes.h"

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

template <unsigned B, int Bits, Decode D> struct Values;

/// The code itself plus 2^23, by setting the exponent of that number above it.
template <unsigned B, int Bits> struct Values<B, Bits, Decode::Integer> {
  static constexpr float bias = 0x1p23f;
  explicit Values(const float*) {}
  void load(const Panel& panel, std::ptrdiff_t q, int j, __m512 (&v)[4]) const {
    static constexpr Gather gather(0, 128, 128, 129);
    const __m512i codes = PanelBytes<B, Bits>::load(panel, q, j);
    const __m512i exponent = _mm512_set1_epi16(0x4b00);
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) v[i] = _mm512_castsi512_ps(_mm512_permutex2var_epi8(codes, gather[i], exponent));
  }
};

/// Up to 32 floats, in two registers.
template <unsigned B, int Bits> struct Values<B, Bits, Decode::Floats> {
  static_assert(Bits <= 5);
  static constexpr float bias = 0;
  /// Codes that lie in one plane need no mask: beyond bit 4 the look-up ignores them, and below the table is repeated.
  static constexpr bool unmasked = plane_widths(Bits).count == 1;
  __m512 low, high;

  explicit Values(const float* values) {
    alignas(64) float table[32];
    for (int i = 0; i < 32; ++i) table[i] = values[i % (1 << Bits)];
    low = _mm512_load_ps(table);
    high = _mm512_load_ps(table + 16);
  }
  void load(const Panel& panel, std::ptrdiff_t q, int j, __m512 (&v)[4]) const {
    const __m512i codes =
        unmasked ? _mm512_load_si512(panel.plane[0] + quantum_line(q, Bits)) : PanelBytes<B, Bits>::load(panel, q, j);
    const int shift = unmasked ? Bits * j : 0;
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      const __m512i index = _mm512_srli_epi32(codes, static_cast<unsigned>(shift + 8 * i));
      v[i] = Bits <= 4 ? _mm512_permutexvar_ps(index, low) : _mm512_permutex2var_ps(low, index, high);
    }
  }
};

/// 64 to 256 bfloat16, their bytes in two tables.
template <unsigned B, int Bits> struct Values<B, Bits, Decode::Halves> {
  static_assert(Bits >= 6);
  static constexpr float bias = 0;
  ByteTable<B, Bits> low, high;

  explicit Values(const float* values) : low(bytes(values, 16).data), high(bytes(values, 24).data) {}
  void load(const Panel& panel, std::ptrdiff_t q, int j, __m512 (&v)[4]) const {
    static constexpr Gather gather(0, 0, 0, 64);
    const __m512i codes = PanelBytes<B, Bits>::load(panel, q, j);
    const __m512i l = low(codes), h = high(codes);
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i)
      v[i] = _mm512_castsi512_ps(_mm512_maskz_permutex2var_epi8(0xccccccccccccccccull, l, gather[i], h));
  }

 private:
  struct Column {
    std::uint8_t data[1 << Bits];
  };
  static Column bytes(const float* values, unsigned shift) {
    Column column;
    for (int i = 0; i < 1 << Bits; i += 16) {
      const __m512i words = _mm512_srli_epi32(_mm512_loadu_si512(values + i), shift);
      _mm_storeu_si128(reinterpret_cast<__m128i*>(column.data + i), _mm512_cvtepi32_epi8(words));
    }
    return column;
  }
};

/// 64 to 256 floats in memory.
template <unsigned B, int Bits> struct Values<B, Bits, Decode::Memory> {
  static constexpr float bias = 0;
  const float* values;

  explicit Values(const float* v) : values(v) {}
  void load(const Panel& panel, std::ptrdiff_t q, int j, __m512 (&v)[4]) const {
    const __m512i codes = PanelBytes<B, Bits>::load(panel, q, j);
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      const __m512i index = _mm512_srli_epi32(codes, static_cast<unsigned>(8 * i));
      v[i] = _mm512_i32gather_ps(_mm512_and_si512(index, _mm512_set1_epi32(255)), values, 4);
    }
  }
};

/// What is taken off the values of group g: its zero point (none if `zeros` is null) and the bias of V.
template <class V> __m512 zero_of(const float* zeros, std::ptrdiff_t g) {
  const __m512 bias = _mm512_set1_ps(V::bias);
  return zeros == nullptr ? bias : _mm512_add_ps(_mm512_loadu_ps(zeros + g * lanes), bias);
}

}  // namespace nibble::kernels::avx512

NIBBLE_END_TARGET

#endif
