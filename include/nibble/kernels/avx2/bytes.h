// AVX2: from the planes of a panel to registers of bytes, one code each. Half h of a panel is its rows 8 h .. 8 h + 7.
#pragma once
#if defined __x86_64__ || defined _M_X64

#include <immintrin.h>

#include "nibble/kernels/portable/kernels.h"

/// The features of isa::Avx2.
#define NIBBLE_AVX2 "avx2,fma,f16c"

NIBBLE_BEGIN_TARGET(NIBBLE_AVX2)

namespace nibble::kernels::avx2 {

typedef unsigned short Words __attribute__((vector_size(32)));

template <unsigned B, int Bits> struct PanelBytes {
  static constexpr PlaneWidths planes = plane_widths(Bits);

  /// The codes of half h of quantum q + j; see avx512::PanelBytes::load.
  static __m256i load(const Panel& panel, std::ptrdiff_t q, int j, int h) {
    __m256i codes = _mm256_setzero_si256();
    int below = Bits;
#pragma GCC unroll 4
    for (std::size_t p = 0; p < planes.count; ++p) {
      const int width = planes.width[p];
      const int per_line = 8 / width;
      below -= width;
      const __m256i line = _mm256_load_si256(
          reinterpret_cast<const __m256i*>(panel.plane[p] + quantum_line(q, width) + j / per_line * 64 + 32 * h));
      if (width == 8) return line;
      const int shift = j % per_line * width;
      const Words words = reinterpret_cast<Words>(line);
      const __m256i moved =
          reinterpret_cast<__m256i>(shift > below ? words >> (shift - below) : words << (below - shift));
      const __m256i mask = _mm256_set1_epi8(static_cast<char>(((1 << width) - 1) << below));
      codes = _mm256_or_si256(codes, _mm256_and_si256(moved, mask));
    }
    return codes;
  }

  /// See avx512::PanelBytes::prefetch.
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

}  // namespace nibble::kernels::avx2

NIBBLE_END_TARGET

#endif
