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
  static __m512i load(const Panel& panel, std::ptrdiff_t q, int j) {
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
      const __m512i mask = _mm512_set1_epi8(static_cast<char>(((1 << width) - 1) << below));
      codes = p == 0 ? _mm512_and_si512(moved, mask) : _mm512_ternarylogic_epi32(codes, moved, mask, 0xf8);
    }
    return codes;
  }

  /// Asks for lines that will be needed some time after quanta q .. q + quanta - 1. Panels follow each other, so that
  /// what lies ahead is the next panel; beyond the last one the request has no effect. Inlined by force: GCC 12 takes a
  /// function that only asks for lines to do nothing, and drops the call.
  [[gnu::always_inline]] static void prefetch(const Panel& panel, std::ptrdiff_t q, int quanta) {
    constexpr std::ptrdiff_t ahead = 4096;
#pragma GCC unroll 4
    for (std::size_t p = 0; p < planes.count; ++p) {
      const int width = planes.width[p];
#pragma GCC unroll 8
      for (int l = 0; l < quanta * width / 8; ++l)
        _mm_prefetch(reinterpret_cast<const char*>(panel.plane[p] + quantum_line(q, width) + l * 64 + ahead),
                     _MM_HINT_T0);
    }
  }
};

/// The bytes of `table` (2^Bits of them) that `codes` point at.
template <unsigned B, int Bits> struct ByteTable {
  __m512i part[4];

  explicit ByteTable(const std::uint8_t* table) {
    constexpr int count = 1 << Bits;
    const __mmask64 mask = count < 64 ? (__mmask64{1} << count % 64) - 1 : ~__mmask64{0};
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i)
      part[i] = i * 64 < count ? _mm512_maskz_loadu_epi8(mask, table + i * 64) : _mm512_setzero_si512();
  }

  __m512i operator()(__m512i codes) const {
    if (Bits <= 6) return _mm512_permutexvar_epi8(codes, part[0]);
    const __m512i low = _mm512_permutex2var_epi8(part[0], codes, part[1]);
    if (Bits <= 7) return low;
    return _mm512_mask_blend_epi8(_mm512_movepi8_mask(codes), low, _mm512_permutex2var_epi8(part[2], codes, part[3]));
  }
};

}  // namespace nibble::kernels::avx512

NIBBLE_END_TARGET

#endif
