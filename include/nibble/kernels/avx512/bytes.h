// AVX-512: from the planes of a panel to registers of bytes, one code each.
#pragma once
#if defined __x86_64__ || defined _M_X64

#include <immintrin.h>

#include "nibble/kernels/portable/kernels.h"

/// The features of isa::Avx512.
#define NIBBLE_AVX512 "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi,avx2,fma,f16c"

NIBBLE_BEGIN_TARGET(NIBBLE_AVX512)

namespace nibble::kernels::avx512 {

typedef unsigned short Words __attribute__((vector_size(64)));

template <unsigned B, int Bits> struct PanelBytes {
  static constexpr PlaneWidths planes = plane_widths(Bits);

  /// The codes of quantum q + j, in the order of Layout: byte 4 r + i is input i of row r. q is a multiple of
  /// block_quanta(Bits) and j a constant once the caller's loop is unrolled.
  /// Unless Masked, the bits above a code that lies in one plane are those of others.
  template <bool Masked = true> static __m512i load(const Panel& panel, std::ptrdiff_t q, int j) {
    __m512i codes = _mm512_setzero_si512();
    int below = Bits;
#pragma GCC unroll 4
    for (std::size_t p = 0; p < planes.count; ++p) {
      const int width = planes.width[p];
      const int per_line = 8 / width;
      below -= width;
      const __m512i line = _mm512_load_si512(panel.plane[p] + quantum_line(q, width) + j / per_line * 64);
      if (width == 8) return line;
      const int shift = j % per_line * width;
      const Words words = reinterpret_cast<Words>(line);
      const __m512i moved =
          reinterpret_cast<__m512i>(shift > below ? words >> (shift - below) : words << (below - shift));
      if (!Masked && planes.count == 1) return moved;
      const __m512i mask = _mm512_set1_epi8(static_cast<char>(((1 << width) - 1) << below));
      codes = p == 0 ? _mm512_and_si512(moved, mask) : _mm512_ternarylogic_epi32(codes, moved, mask, 0xf8);
    }
    return codes;
  }

  /// Asks for lines (those of planes of whole bytes only if WholeBytes: read without much work between them, these
  /// stream faster by the CPU's own prefetching) that will be needed some time after quanta q .. q + quanta - 1. Panels
  /// follow each other, so that what lies ahead is the next panel; beyond the last one the request has no effect.
  /// Inlined by force: GCC 12 takes a function that only asks for lines to do nothing, and drops the call.
  template <bool WholeBytes = true>
  [[gnu::always_inline]] static void prefetch(const Panel& panel, std::ptrdiff_t q, int quanta) {
    constexpr std::ptrdiff_t ahead = 4096;
#pragma GCC unroll 4
    for (std::size_t p = 0; p < planes.count; ++p) {
      const int width = planes.width[p];
      if (width == 8 && !WholeBytes) continue;
#pragma GCC unroll 8
      for (int l = 0; l < quanta * width / 8; ++l)
        _mm_prefetch(reinterpret_cast<const char*>(panel.plane[p] + quantum_line(q, width) + l * 64 + ahead),
                     _MM_HINT_T0);
    }
  }
};

/// The bytes of `table` (2^Bits of them) that the low bits of each byte of `codes` point at; below 7 bits, all above
/// them are ignored.
template <unsigned B, int Bits> struct ByteTable {
  __m512i part[4];

  ByteTable() = default;
  explicit ByteTable(const std::uint8_t* table) {
    if (Bits <= 6) {
      alignas(64) std::uint8_t repeated[64];
      for (int i = 0; i < 64; ++i) repeated[i] = table[i % (1 << Bits)];
      part[0] = part[1] = part[2] = part[3] = _mm512_load_si512(repeated);
      return;
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i)
      part[i] = i * 64 < 1 << Bits ? _mm512_loadu_si512(table + i * 64) : _mm512_setzero_si512();
  }

  __m512i operator()(__m512i codes) const {
    if (Bits <= 6) return _mm512_permutexvar_epi8(codes, part[0]);
    const __m512i low = _mm512_permutex2var_epi8(part[0], codes, part[1]);
    if (Bits <= 7) return low;
    return _mm512_mask_blend_epi8(_mm512_movepi8_mask(codes), low, _mm512_permutex2var_epi8(part[2], codes, part[3]));
  }
};

/// The bytes of a CodeMap.
template <unsigned B, class Code> struct CodeBytes {
  using Plane = PanelBytes<B, Code::bits>;
  ByteTable<B, Code::bits> table[Code::tables];

  explicit CodeBytes(const std::uint8_t* lookup) {
#pragma GCC unroll 4
    for (int t = 0; t < Code::tables; ++t)
      if (!Code::identity) table[t] = ByteTable<B, Code::bits>(lookup + (t << Code::bits));
  }

  /// Quantum q + j of the numbers, in the order of PanelBytes::load. q is a multiple of Code::block.
  __m512i load(const Panel& panel, std::ptrdiff_t q, int j) const {
    if (Code::identity) return Plane::load(panel, q, j);
    const __m512i codes = Plane::template load<(Code::bits > 6)>(panel, q / Code::dim, j / Code::dim);
    const int d = j % Code::dim;
    const __m512i bytes = table[d / Code::fields](codes);
    if (Code::dim == 1) return bytes;
    const __m512i field = _mm512_srli_epi16(bytes, static_cast<unsigned>(d % Code::fields * Code::width));
    return _mm512_and_si512(field, _mm512_set1_epi8(static_cast<char>((1 << Code::width) - 1)));
  }

  template <bool WholeBytes>
  [[gnu::always_inline]] static void prefetch(const Panel& panel, std::ptrdiff_t q, int quanta) {
    Plane::template prefetch<WholeBytes>(panel, q / Code::dim, quanta / Code::dim);
  }
};

}  // namespace nibble::kernels::avx512

NIBBLE_END_TARGET

#endif
