// AVX-512 kernels of integer products: a register holds 16 rows x 4 inputs, a column of X is a broadcast of 4 inputs,
// vpdpbusd multiplies them.
#pragma once
#if defined __x86_64__ || defined _M_X64

#include <immintrin.h>

#include "nibble/kernels/avx512/bytes.h"
#include "nibble/kernels/avx512/scales.h"

NIBBLE_BEGIN_TARGET(NIBBLE_AVX512)

namespace nibble::kernels {

/// One panel times 1 to 12 columns; all sums stay in registers. Long steps of few columns use several chains of sums
/// each, so that the latency of vpdpbusd (4 to 5 cycles) is hidden; short steps overlap by themselves.
template <unsigned B, class Code, int Run, class Scale, bool Affine, bool Grouped>
struct IntegerDot<isa::Avx512Tag<B>, Code, Run, Scale, Affine, Grouped> {
  using Bytes = avx512::CodeBytes<B, Code>;
  static constexpr bool integer_scale = integer_scales<Scale>;

  static void run(const IntegerTile& tile, int columns) { multiply_columns<IntegerDot>(tile, columns); }

  template <int C> static void multiply(const IntegerTile& tile) {
    const Bytes bytes(tile.lookup);
    __m512 sum[C];
    __m512i whole[C];
#pragma GCC unroll 16
    for (int c = 0; c < C; ++c) {
      sum[c] = _mm512_setzero_ps();
      whole[c] = _mm512_setzero_si512();
    }
    std::ptrdiff_t q = 0, s = 0;
    Flush flush{tile.flush, static_cast<const SuperCode*>(tile.w_supers)};
    if constexpr (Run > 0)
      for (; q + Run <= tile.quanta; q += Run, ++s) step<C, Run>(tile, bytes, q, q + Run, s, flush, sum, whole);
    for (; q < tile.quanta; q += tile.step, ++s)
      step<C, 0>(tile, bytes, q, q + tile.step < tile.quanta ? q + tile.step : tile.quanta, s, flush, sum, whole);
    if (integer_scale && tile.totals != nullptr) {
#pragma GCC unroll 16
      for (int c = 0; c < C; ++c) _mm512_storeu_si512(tile.totals + c * lanes, whole[c]);
      return;
    }
    if (integer_scale && flush.left < tile.flush) apply_supers<C>(flush.supers, sum, whole);
#pragma GCC unroll 16
    for (int c = 0; c < C; ++c)
      _mm512_storeu_ps(tile.y + c * lanes, _mm512_mul_ps(sum[c], _mm512_set1_ps(tile.factors[c])));
  }

 private:
  /// With integer scales, how many steps are left to the next super-scales, and where those are.
  using SuperCode = typename Super<Scale>::code_type;
  struct Flush {
    std::ptrdiff_t left;
    const SuperCode* supers;
  };

  template <int C>
  [[gnu::always_inline]] static void apply_supers(const SuperCode* supers, __m512 (&sum)[C], __m512i (&whole)[C]) {
    if constexpr (integer_scale) {
      const __m512 super = ScaleLanes<isa::Avx512Tag<B>, Super<Scale>>::load(supers);
#pragma GCC unroll 16
      for (int c = 0; c < C; ++c) {
        sum[c] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(whole[c]), super, sum[c]);
        whole[c] = _mm512_setzero_si512();
      }
    }
  }

  /// Step s, quanta q .. end - 1: Count of them, or any number where Count is 0.
  template <int C, int Count>
  [[gnu::always_inline]] static void step(const IntegerTile& tile, const Bytes& bytes, std::ptrdiff_t q,
                                          std::ptrdiff_t end, std::ptrdiff_t s, Flush& flush, __m512 (&sum)[C],
                                          __m512i (&whole)[C]) {
    constexpr int chains = Count > 0 ? 1 : C >= 6 ? 1 : C >= 3 ? 2 : 4;
    constexpr int span = Count > 0 ? Count : Code::block > chains ? Code::block : chains;
    __m512i total[chains][C];
    const __m512i zero =
        Affine ? _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(tile.w_zeros + s * lanes)))
               : _mm512_setzero_si512();
#pragma GCC unroll 16
    for (int c = 0; c < C; ++c) {
      total[0][c] = _mm512_set1_epi32(tile.x_starts[s * C + c]);
      if (Affine)
        total[0][c] =
            _mm512_add_epi32(total[0][c], _mm512_mullo_epi32(zero, _mm512_set1_epi32(tile.x_zeros[s * C + c])));
#pragma GCC unroll 16
      for (int u = 1; u < chains; ++u) total[u][c] = _mm512_setzero_si512();
    }
    if (tile.w_sums != nullptr) {
      const __m512i w_sum = _mm512_loadu_si512(tile.w_sums + s * lanes);
#pragma GCC unroll 16
      for (int c = 0; c < C; ++c)
        total[0][c] =
            _mm512_add_epi32(total[0][c], _mm512_mullo_epi32(w_sum, _mm512_set1_epi32(tile.x_offsets[s * C + c])));
    }
    for (; q + span <= end; q += span) {
      Bytes::template prefetch<(C > 1)>(tile.panel, q, span);
#pragma GCC unroll 32
      for (int j = 0; j < span; ++j) {
        const __m512i w = bytes.load(tile.panel, q, j);
#pragma GCC unroll 16
        for (int c = 0; c < C; ++c)
          total[j % chains][c] = _mm512_dpbusd_epi32(total[j % chains][c], w, input<C>(tile, q + j, c));
      }
      if (Count > 0) break;
    }
    if constexpr (Count == 0 && span > Code::block) {
      for (; q < end; q += Code::block) {
#pragma GCC unroll 32
        for (int j = 0; j < Code::block; ++j) {
          const __m512i w = bytes.load(tile.panel, q, j);
#pragma GCC unroll 16
          for (int c = 0; c < C; ++c) total[0][c] = _mm512_dpbusd_epi32(total[0][c], w, input<C>(tile, q + j, c));
        }
      }
    }
#pragma GCC unroll 16
    for (int c = 0; c < C; ++c)
#pragma GCC unroll 16
      for (int u = 1; u < chains; ++u) total[0][c] = _mm512_add_epi32(total[0][c], total[u][c]);
    const auto* scales = static_cast<const typename Scale::code_type*>(tile.w_scales) + s * lanes;
    _mm_prefetch(reinterpret_cast<const char*>(scales) + 1024, _MM_HINT_T0);
    if (Affine) _mm_prefetch(reinterpret_cast<const char*>(tile.w_zeros + s * lanes) + 1024, _MM_HINT_T0);
    if constexpr (integer_scale) {
      const __m512i scale = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(scales)));
#pragma GCC unroll 16
      for (int c = 0; c < C; ++c) whole[c] = _mm512_add_epi32(whole[c], _mm512_mullo_epi32(total[0][c], scale));
      if (--flush.left == 0 && tile.totals == nullptr) {
        apply_supers<C>(flush.supers, sum, whole);
        flush.left = tile.flush;
        flush.supers += tile.super_stride;
      }
    } else {
      const __m512 scale = ScaleLanes<isa::Avx512Tag<B>, Scale>::load(scales);
#pragma GCC unroll 16
      for (int c = 0; c < C; ++c) {
        const __m512 both = Grouped ? _mm512_mul_ps(scale, _mm512_set1_ps(tile.x_scales[s * C + c])) : scale;
        sum[c] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(total[0][c]), both, sum[c]);
      }
    }
  }

  template <int C> static __m512i input(const IntegerTile& tile, std::ptrdiff_t q, int c) {
    std::int32_t four;
    __builtin_memcpy(&four, tile.x + 4 * (q * C + c), sizeof four);
    return _mm512_set1_epi32(four);
  }
};

template <unsigned B> struct ActivationSums<isa::Avx512Tag<B>> {
  static void run(const std::int8_t* x, int columns, std::ptrdiff_t quanta, std::ptrdiff_t step, std::int32_t* sums) {
    // Lanes are columns, 4 inputs each.
    const __mmask16 mask = static_cast<__mmask16>((1u << columns) - 1);
    const __m512i ones = _mm512_set1_epi8(1);
    for (std::ptrdiff_t first = 0; first < quanta; first += step, sums += columns) {
      const std::ptrdiff_t end = first + step < quanta ? first + step : quanta;
      __m512i sum = _mm512_setzero_si512();
      for (std::ptrdiff_t q = first; q < end; ++q)
        sum = _mm512_dpbusd_epi32(sum, ones, _mm512_maskz_loadu_epi32(mask, x + 4 * q * columns));
      _mm512_mask_storeu_epi32(sums, mask, sum);
    }
  }
};

template <unsigned B, class Code> struct UnpackBytes<isa::Avx512Tag<B>, Code> {
  static void run(const Panel& panel, const std::uint8_t* lookup, std::ptrdiff_t quanta, std::uint8_t* out) {
    const avx512::CodeBytes<B, Code> bytes(lookup);
    for (std::ptrdiff_t q = 0; q < quanta; q += Code::block) {
      avx512::CodeBytes<B, Code>::template prefetch<true>(panel, q, Code::block);
#pragma GCC unroll 32
      for (int j = 0; j < Code::block; ++j) _mm512_storeu_si512(out + (q + j) * 64, bytes.load(panel, q, j));
    }
  }
};

}  // namespace nibble::kernels

NIBBLE_END_TARGET

#endif
