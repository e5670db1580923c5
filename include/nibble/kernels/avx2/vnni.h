// AVX-VNNI: sums of products of bytes for the AVX2 kernels, on CPUs that have vpdpbusd but not AVX-512.
#pragma once
#if defined __x86_64__ || defined _M_X64

#include <cpuid.h>
#include <immintrin.h>

#include "nibble/kernels/avx2/bytes.h"

namespace nibble::isa {

/// Whether the CPU has AVX-VNNI, which compilers of 2022 cannot ask for.
inline bool has_avx_vnni() {
  static const bool has = [] {
    unsigned a = 0, b = 0, c = 0, d = 0;
    return __builtin_cpu_supports("avx2") && __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a >> 4 & 1) != 0;
  }();
  return has;
}

}  // namespace nibble::isa

NIBBLE_BEGIN_TARGET(NIBBLE_AVX2)

namespace nibble::kernels::avx2 {

/// A tile, and which of its columns are multiplied at a time.
template <unsigned B> struct Part {
  const IntegerTile& tile;
  int columns;
  int first;

  __m256i input(std::ptrdiff_t q, int c) const {
    std::int32_t four;
    __builtin_memcpy(&four, tile.x + 4 * (q * columns + first + c), sizeof four);
    return _mm256_set1_epi32(four);
  }
};

}  // namespace nibble::kernels::avx2

NIBBLE_END_TARGET

NIBBLE_BEGIN_TARGET(NIBBLE_AVX2 ",avxvnni")

namespace nibble::kernels::avx2 {

/// See MaddSums. Called once per step: a function for AVX2 alone cannot take this one in.
template <unsigned B, class Code> struct VnniSums {
  static constexpr bool whole_bytes = false;

  template <int C>
  static void add(__m256i (&total)[C][2], const Part<B>& part, __m256i lookup, std::ptrdiff_t q, std::ptrdiff_t end) {
    __m256i sum[C][2];
#pragma GCC unroll 4
    for (int c = 0; c < C; ++c)
#pragma GCC unroll 2
      for (int h = 0; h < 2; ++h) sum[c][h] = total[c][h];
    for (; q < end; q += Code::block) {
      PanelBytes<B, Code::bits>::prefetch(part.tile.panel, q, Code::block);
#pragma GCC unroll 8
      for (int j = 0; j < Code::block; ++j) {
#pragma GCC unroll 2
        for (int h = 0; h < 2; ++h) {
          __m256i w = PanelBytes<B, Code::bits>::load(part.tile.panel, q, j, h);
          if (!Code::identity) w = _mm256_shuffle_epi8(lookup, w);
#pragma GCC unroll 4
          for (int c = 0; c < C; ++c) sum[c][h] = _mm256_dpbusd_avx_epi32(sum[c][h], w, part.input(q + j, c));
        }
      }
    }
#pragma GCC unroll 4
    for (int c = 0; c < C; ++c)
#pragma GCC unroll 2
      for (int h = 0; h < 2; ++h) total[c][h] = sum[c][h];
  }
};

}  // namespace nibble::kernels::avx2

NIBBLE_END_TARGET

#endif
