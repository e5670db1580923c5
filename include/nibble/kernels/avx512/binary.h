// AVX-512 kernels of products over bits: a register holds a word of 32 inputs of each of 16 rows, a column of X is a
// broadcast word; vpopcntd counts what an and, an xor or a vpternlogd leaves. CPUs without VPOPCNTDQ run AVX2's kernel.
#pragma once
#if defined __x86_64__ || defined _M_X64

#include <immintrin.h>

#include "nibble/kernels/avx2/binary.h"
#include "nibble/kernels/avx512/bytes.h"

/// The features of isa::Avx512 and VPOPCNTDQ.
#define NIBBLE_AVX512_POPCNT "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi,avx512vpopcntdq,avx2,fma,f16c"

NIBBLE_BEGIN_TARGET(NIBBLE_AVX512_POPCNT)

namespace nibble::kernels {

namespace avx512 {

/// The counts of one panel and C columns; all stay in registers.
template <unsigned B, BitOp Op, int C> struct BitCounts {
  __m512i total[C];
  __m512i minus[Op == BitOp::Ternary ? C : 1];

  /// Sets the counts to those of words first .. end - 1. Pairs of bits are taken in the order of their weights,
  /// greatest first: doubling the sum between weights costs less than weighing each count.
  [[gnu::always_inline]] void sum(const BinaryTile& tile, std::ptrdiff_t first, std::ptrdiff_t end) {
#pragma GCC unroll 16
    for (int c = 0; c < C; ++c) total[c] = _mm512_setzero_si512();
    if (Op == BitOp::Ternary) {
#pragma GCC unroll 16
      for (int c = 0; c < C; ++c) minus[c] = _mm512_setzero_si512();
      for (std::ptrdiff_t k = first; k < end; ++k) {
        const __m512i w0 = _mm512_load_si512(tile.w[0] + k * lanes);
        const __m512i w1 = _mm512_load_si512(tile.w[1] + k * lanes);
        const std::uint32_t* x = tile.x + k * 2 * C;
#pragma GCC unroll 16
        for (int c = 0; c < C; ++c) {
          const __m512i both = _mm512_andnot_si512(w0, word(x + c));
          const __m512i differ = _mm512_ternarylogic_epi32(both, w1, word(x + C + c), 0x90);  // a & ~(b ^ c)
          total[c] = _mm512_add_epi32(total[c], _mm512_popcnt_epi32(both));
          minus[c] = _mm512_add_epi32(minus[c], _mm512_popcnt_epi32(differ));
          __asm__("" : "+v"(total[c]), "+v"(minus[c]));
        }
      }
#pragma GCC unroll 16
      for (int c = 0; c < C; ++c) total[c] = _mm512_sub_epi32(total[c], _mm512_add_epi32(minus[c], minus[c]));
      return;
    }
    const int top = tile.w_bits + tile.x_bits - 2;
    if (top == 0 && !tile.x_signed) return pair<false>(tile, 0, 0, first, end);
    for (int weight = top; weight >= 0; --weight) {
      if (weight < top) twice();
      const BitPairs pairs = bit_pairs(weight, tile.w_bits, tile.x_bits);
      for (int i = pairs.first; i <= pairs.last; ++i) {
        if (Op == BitOp::And && tile.x_signed && weight - i == tile.x_bits - 1)
          pair<true>(tile, i, weight - i, first, end);
        else
          pair<false>(tile, i, weight - i, first, end);
      }
    }
  }

  [[gnu::always_inline]] void twice() {
#pragma GCC unroll 16
    for (int c = 0; c < C; ++c) total[c] = _mm512_add_epi32(total[c], total[c]);
  }

 private:
  static __m512i word(const std::uint32_t* x) {
    return _mm512_set1_epi32(static_cast<int>(*x));
  }

  template <bool Minus>
  [[gnu::always_inline]] void pair(const BinaryTile& tile, int i, int j, std::ptrdiff_t first, std::ptrdiff_t end) {
    const std::ptrdiff_t stride = tile.x_bits * C;
    const std::uint32_t* w = tile.w[static_cast<std::size_t>(i)] + first * lanes;
    const std::uint32_t* x = tile.x + first * stride + j * C;
    for (std::ptrdiff_t k = first; k < end; ++k, w += lanes, x += stride) {
      const __m512i row = _mm512_load_si512(w);
      _mm_prefetch(reinterpret_cast<const char*>(w) + 4096, _MM_HINT_T0);
#pragma GCC unroll 16
      for (int c = 0; c < C; ++c) {
        const __m512i bits = Op == BitOp::Xor ? _mm512_xor_si512(row, word(x + c)) : _mm512_and_si512(row, word(x + c));
        const __m512i count = _mm512_popcnt_epi32(bits);
        total[c] = Minus ? _mm512_sub_epi32(total[c], count) : _mm512_add_epi32(total[c], count);
        __asm__("" : "+v"(total[c]));
      }
    }
  }
};

}  // namespace avx512

template <unsigned B, BitOp Op, int Terms, bool Grouped> struct BinaryDot<isa::Avx512Tag<B>, Op, Terms, Grouped> {
  static void run(const BinaryTile& tile, int columns) {
    if (__builtin_cpu_supports("avx512vpopcntdq"))
      multiply_columns<BinaryDot>(tile, columns);
    else
      BinaryDot<isa::Avx2Tag<B>, Op, Terms, Grouped>::run(tile, columns);
  }

  template <int C> static void multiply(const BinaryTile& tile) {
    __m512 sum[C];
#pragma GCC unroll 16
    for (int c = 0; c < C; ++c) sum[c] = _mm512_setzero_ps();
    for (std::ptrdiff_t first = 0, s = 0; first < tile.words; first += tile.step, ++s) {
      avx512::BitCounts<B, Op, C> count;
      count.sum(tile, first, first + tile.step < tile.words ? first + tile.step : tile.words);
      if (tile.slope == 2) count.twice();
      const __m512 scale = _mm512_loadu_ps(tile.w_scales + s * lanes);
#pragma GCC unroll 16
      for (int c = 0; c < C; ++c) {
        const __m512i start = Op == BitOp::Ternary ? _mm512_setzero_si512() : _mm512_set1_epi32(tile.starts[s * C + c]);
        __m512i total =
            Op == BitOp::Xor ? _mm512_sub_epi32(start, count.total[c]) : _mm512_add_epi32(start, count.total[c]);
#pragma GCC unroll 2
        for (std::size_t t = 0; t < Terms; ++t)
          total = _mm512_add_epi32(total, _mm512_mullo_epi32(_mm512_loadu_si512(tile.term_rows[t] + s * lanes),
                                                             _mm512_set1_epi32(tile.term_columns[t][s * C + c])));
        const __m512 both = Grouped ? _mm512_mul_ps(scale, _mm512_set1_ps(tile.x_scales[s * C + c])) : scale;
        sum[c] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(total), both, sum[c]);
      }
    }
#pragma GCC unroll 16
    for (int c = 0; c < C; ++c)
      _mm512_storeu_ps(tile.y + c * lanes, _mm512_mul_ps(sum[c], _mm512_set1_ps(tile.factors[c])));
  }
};

template <unsigned B, BitOp Op> struct BinaryCount<isa::Avx512Tag<B>, Op> {
  static void run(const BinaryTile& tile, int columns) {
    if (__builtin_cpu_supports("avx512vpopcntdq"))
      multiply_columns<BinaryCount>(tile, columns);
    else
      BinaryCount<isa::Avx2Tag<B>, Op>::run(tile, columns);
  }

  template <int C> static void multiply(const BinaryTile& tile) {
    avx512::BitCounts<B, Op, C> count;
    count.sum(tile, 0, tile.words);
#pragma GCC unroll 16
    for (int c = 0; c < C; ++c) _mm512_storeu_si512(tile.counts + c * lanes, count.total[c]);
  }
};

}  // namespace nibble::kernels

NIBBLE_END_TARGET

NIBBLE_BEGIN_TARGET(NIBBLE_AVX512)

namespace nibble::kernels {

/// Lines and bits are transposed by halves: pairs of lines 1, 2 and 4 apart swap the bits that lie 1, 2 and 4 apart.
template <unsigned B, int Width> struct CutPlanes<isa::Avx512Tag<B>, Width> {
  static void run(const std::uint8_t* lines, std::ptrdiff_t words, std::ptrdiff_t plane, std::uint32_t* out) {
    for (std::ptrdiff_t k = 0; k < words; ++k, lines += 64 * Width) {
      __m512i line[Width];
#pragma GCC unroll 8
      for (int t = 0; t < Width; ++t) {
        line[t] = _mm512_loadu_si512(lines + 64 * t);
        _mm_prefetch(reinterpret_cast<const char*>(lines) + 64 * t + 4096, _MM_HINT_T0);
      }
      swap<1>(line);
      if constexpr (Width > 2) swap<2>(line);
      if constexpr (Width > 4) swap<4>(line);
#pragma GCC unroll 8
      for (int p = 0; p < Width; ++p) _mm512_storeu_si512(out + p * plane + k * lanes, line[p]);
    }
  }

 private:
  template <int D> [[gnu::always_inline]] static void swap(__m512i (&line)[Width]) {
    const __m512i low = _mm512_set1_epi8(D == 1 ? 0x55 : D == 2 ? 0x33 : 0x0f);
#pragma GCC unroll 8
    for (int t = 0; t < Width; ++t) {
      if ((t & D) != 0) continue;
      const __m512i a = line[t];
      const __m512i b = line[t + D];
      line[t] = _mm512_ternarylogic_epi32(low, a, _mm512_slli_epi16(b, D), 0xca);      // low ? a : b << D
      line[t + D] = _mm512_ternarylogic_epi32(low, _mm512_srli_epi16(a, D), b, 0xca);  // low ? a >> D : b
    }
  }
};

}  // namespace nibble::kernels

NIBBLE_END_TARGET

#endif
