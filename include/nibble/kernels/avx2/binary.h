// AVX2 kernels of products over bits: a panel is two registers of a word of 32 inputs of each of 8 rows, a column of X
// a broadcast word. Bits are counted byte by byte, by a look-up of each nibble; counts of bytes are added up in bytes.
#pragma once
#if defined __x86_64__ || defined _M_X64

#include <immintrin.h>

#include "nibble/kernels/avx2/bytes.h"
#include "nibble/kernels/portable/binary.h"

NIBBLE_BEGIN_TARGET(NIBBLE_AVX2)

namespace nibble::kernels {

namespace avx2 {

/// What is counted of two words: see BitOp. Nonzero and Opposite are the two counts of ternary operands.
enum class Meet { Xor, And, Nonzero, Opposite };

/// A tile from column `first` on, of `columns` in all.
struct BitPart {
  const BinaryTile& tile;
  int columns;
  int first;
};

/// The counts of one panel and C columns: total[column][half].
template <unsigned B, BitOp Op, int C> struct BitCounts {
  /// Words whose counts fit a byte.
  static constexpr std::ptrdiff_t run = 31;
  __m256i total[C][2];

  /// Sets the counts to those of words first .. end - 1. Pairs of bits are taken in the order of their weights,
  /// greatest first: doubling the sum between weights costs less than weighing each count.
  [[gnu::always_inline]] void sum(const BitPart& part, std::ptrdiff_t first, std::ptrdiff_t end) {
    const BinaryTile& tile = part.tile;
#pragma GCC unroll 4
    for (int c = 0; c < C; ++c) total[c][0] = total[c][1] = _mm256_setzero_si256();
    if (Op == BitOp::Ternary) {
      pair<Meet::Opposite, true>(part, 0, 0, first, end);
      twice();
      pair<Meet::Nonzero, false>(part, 0, 0, first, end);
      return;
    }
    constexpr Meet meet = Op == BitOp::Xor ? Meet::Xor : Meet::And;
    const int top = tile.w_bits + tile.x_bits - 2;
    for (int weight = top; weight >= 0; --weight) {
      if (weight < top) twice();
      const BitPairs pairs = bit_pairs(weight, tile.w_bits, tile.x_bits);
      for (int i = pairs.first; i <= pairs.last; ++i) {
        if (Op == BitOp::And && tile.x_signed && weight - i == tile.x_bits - 1)
          pair<meet, true>(part, i, weight - i, first, end);
        else
          pair<meet, false>(part, i, weight - i, first, end);
      }
    }
  }

  [[gnu::always_inline]] void twice() {
#pragma GCC unroll 4
    for (int c = 0; c < C; ++c) {
#pragma GCC unroll 2
      for (int h = 0; h < 2; ++h) total[c][h] = _mm256_add_epi32(total[c][h], total[c][h]);
    }
  }

 private:
  template <Meet M, bool Minus>
  [[gnu::always_inline]] void pair(const BitPart& part, int i, int j, std::ptrdiff_t first, std::ptrdiff_t end) {
    const BinaryTile& tile = part.tile;
    const std::ptrdiff_t stride = static_cast<std::ptrdiff_t>(tile.x_bits) * part.columns;
    const std::uint32_t* x = tile.x + first * stride + j * part.columns + part.first;
    for (std::ptrdiff_t k = first; k < end;) {
      __m256i bytes[C][2];
#pragma GCC unroll 4
      for (int c = 0; c < C; ++c) bytes[c][0] = bytes[c][1] = _mm256_setzero_si256();
      for (const std::ptrdiff_t stop = k + run < end ? k + run : end; k < stop; ++k, x += stride) {
        _mm_prefetch(reinterpret_cast<const char*>(tile.w[static_cast<std::size_t>(i)] + k * lanes) + 4096,
                     _MM_HINT_T0);
#pragma GCC unroll 4
        for (int c = 0; c < C; ++c) {
#pragma GCC unroll 2
          for (int h = 0; h < 2; ++h)
            bytes[c][h] = _mm256_add_epi8(bytes[c][h], count(meet<M>(tile, i, k, h, x + c, part.columns)));
        }
      }
#pragma GCC unroll 4
      for (int c = 0; c < C; ++c) {
#pragma GCC unroll 2
        for (int h = 0; h < 2; ++h) {
          const __m256i counts =
              _mm256_madd_epi16(_mm256_maddubs_epi16(bytes[c][h], _mm256_set1_epi8(1)), _mm256_set1_epi16(1));
          total[c][h] = Minus ? _mm256_sub_epi32(total[c][h], counts) : _mm256_add_epi32(total[c][h], counts);
        }
      }
    }
  }

  template <Meet M>
  static __m256i meet(const BinaryTile& tile, int i, std::ptrdiff_t k, int h, const std::uint32_t* x, int columns) {
    const __m256i w = load(tile.w[static_cast<std::size_t>(i)], k, h);
    const __m256i column = _mm256_set1_epi32(static_cast<int>(*x));
    if (M == Meet::Xor) return _mm256_xor_si256(w, column);
    if (M == Meet::And) return _mm256_and_si256(w, column);
    const __m256i both = _mm256_andnot_si256(w, column);
    if (M == Meet::Nonzero) return both;
    const __m256i sign = _mm256_set1_epi32(static_cast<int>(x[columns]));
    return _mm256_andnot_si256(_mm256_xor_si256(load(tile.w[1], k, h), sign), both);
  }

  static __m256i load(const std::uint32_t* w, std::ptrdiff_t k, int h) {
    return _mm256_load_si256(reinterpret_cast<const __m256i*>(w + k * lanes + 8 * h));
  }

  /// The bits set in each byte.
  static __m256i count(__m256i bits) {
    const __m256i counts = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,  //
                                            0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
    const __m256i low = _mm256_set1_epi8(15);
    return _mm256_add_epi8(_mm256_shuffle_epi8(counts, _mm256_and_si256(bits, low)),
                           _mm256_shuffle_epi8(counts, _mm256_and_si256(_mm256_srli_epi16(bits, 4), low)));
  }
};

}  // namespace avx2

/// One panel times up to 2 columns at a time.
template <unsigned B, BitOp Op, int Terms, bool Grouped> struct BinaryDot<isa::Avx2Tag<B>, Op, Terms, Grouped> {
  static void run(const BinaryTile& tile, int columns) {
    for (int c = 0; c < columns; c += 2)
      multiply_columns<BinaryDot, 2>(avx2::BitPart{tile, columns, c}, columns - c < 2 ? columns - c : 2);
  }

  template <int C> static void multiply(const avx2::BitPart& part) {
    const BinaryTile& tile = part.tile;
    __m256 sum[C][2];
#pragma GCC unroll 4
    for (int c = 0; c < C; ++c) sum[c][0] = sum[c][1] = _mm256_setzero_ps();
    for (std::ptrdiff_t first = 0, s = 0; first < tile.words; first += tile.step, ++s) {
      avx2::BitCounts<B, Op, C> count;
      count.sum(part, first, first + tile.step < tile.words ? first + tile.step : tile.words);
      if (tile.slope == 2) count.twice();
      const std::ptrdiff_t at = s * part.columns + part.first;
#pragma GCC unroll 4
      for (int c = 0; c < C; ++c) {
        const __m256i start = Op == BitOp::Ternary ? _mm256_setzero_si256() : _mm256_set1_epi32(tile.starts[at + c]);
#pragma GCC unroll 2
        for (int h = 0; h < 2; ++h) {
          const __m256i counts = count.total[c][h];
          __m256i total = Op == BitOp::Xor ? _mm256_sub_epi32(start, counts) : _mm256_add_epi32(start, counts);
#pragma GCC unroll 2
          for (std::size_t t = 0; t < Terms; ++t) {
            const __m256i row =
                _mm256_loadu_si256(reinterpret_cast<const __m256i*>(tile.term_rows[t] + s * lanes + 8 * h));
            total = _mm256_add_epi32(total, _mm256_mullo_epi32(row, _mm256_set1_epi32(tile.term_columns[t][at + c])));
          }
          __m256 scale = _mm256_loadu_ps(tile.w_scales + s * lanes + 8 * h);
          if (Grouped) scale = _mm256_mul_ps(scale, _mm256_set1_ps(tile.x_scales[at + c]));
          sum[c][h] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(total), scale, sum[c][h]);
        }
      }
    }
#pragma GCC unroll 4
    for (int c = 0; c < C; ++c) {
#pragma GCC unroll 2
      for (int h = 0; h < 2; ++h)
        _mm256_storeu_ps(tile.y + (part.first + c) * lanes + 8 * h,
                         _mm256_mul_ps(sum[c][h], _mm256_set1_ps(tile.factors[part.first + c])));
    }
  }
};

template <unsigned B, BitOp Op> struct BinaryCount<isa::Avx2Tag<B>, Op> {
  static void run(const BinaryTile& tile, int columns) {
    for (int c = 0; c < columns; c += 2)
      multiply_columns<BinaryCount, 2>(avx2::BitPart{tile, columns, c}, columns - c < 2 ? columns - c : 2);
  }

  template <int C> static void multiply(const avx2::BitPart& part) {
    avx2::BitCounts<B, Op, C> count;
    count.sum(part, 0, part.tile.words);
#pragma GCC unroll 4
    for (int c = 0; c < C; ++c) {
#pragma GCC unroll 2
      for (int h = 0; h < 2; ++h)
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(part.tile.counts + (part.first + c) * lanes + 8 * h),
                            count.total[c][h]);
    }
  }
};

/// Lines and bits are transposed by halves: pairs of lines 1, 2 and 4 apart swap the bits that lie 1, 2 and 4 apart.
template <unsigned B, int Width> struct CutPlanes<isa::Avx2Tag<B>, Width> {
  static void run(const std::uint8_t* lines, std::ptrdiff_t words, std::ptrdiff_t plane, std::uint32_t* out) {
    for (std::ptrdiff_t k = 0; k < words; ++k, lines += 64 * Width) {
#pragma GCC unroll 2
      for (int h = 0; h < 2; ++h) {
        __m256i line[Width];
#pragma GCC unroll 8
        for (int t = 0; t < Width; ++t) {
          line[t] = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(lines + 64 * t + 32 * h));
          if (h == 0) _mm_prefetch(reinterpret_cast<const char*>(lines) + 64 * t + 4096, _MM_HINT_T0);
        }
        swap<1>(line);
        if constexpr (Width > 2) swap<2>(line);
        if constexpr (Width > 4) swap<4>(line);
#pragma GCC unroll 8
        for (int p = 0; p < Width; ++p)
          _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + p * plane + k * lanes + 8 * h), line[p]);
      }
    }
  }

 private:
  template <int D> [[gnu::always_inline]] static void swap(__m256i (&line)[Width]) {
    const __m256i low = _mm256_set1_epi8(D == 1 ? 0x55 : D == 2 ? 0x33 : 0x0f);
#pragma GCC unroll 8
    for (int t = 0; t < Width; ++t) {
      if ((t & D) != 0) continue;
      const __m256i a = line[t];
      const __m256i b = line[t + D];
      line[t] = _mm256_or_si256(_mm256_and_si256(low, a), _mm256_andnot_si256(low, _mm256_slli_epi16(b, D)));
      line[t + D] = _mm256_or_si256(_mm256_and_si256(low, _mm256_srli_epi16(a, D)), _mm256_andnot_si256(low, b));
    }
  }
};

}  // namespace nibble::kernels

NIBBLE_END_TARGET

#endif
