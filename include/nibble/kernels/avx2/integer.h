// AVX2 kernels of integer products: a panel is two registers of 8 rows x 4 inputs, a column of X a broadcast of 4
// inputs; vpmaddubsw multiplies them to sums of two in 16 bits, vpmaddwd widens those to 32.
#pragma once
#if defined __x86_64__ || defined _M_X64

#include <immintrin.h>

#include "nibble/kernels/avx2/bytes.h"
#include "nibble/kernels/avx2/scales.h"
#include "nibble/kernels/avx2/vnni.h"

NIBBLE_BEGIN_TARGET(NIBBLE_AVX2)

namespace nibble::kernels {

/// Integers and codes of up to 4 bits.
template <unsigned B, class Code>
inline constexpr bool decodes_in_place<isa::Avx2Tag<B>, Code> = Code::dim == 1 &&
                                                                (Code::identity ||
                                                                 (Code::bits <= 4 && Code::top <= 128));

namespace avx2 {

/// Sums of products by vpmaddubsw. Sums of 16 bits hold as many products as the largest byte allows. Whole bytes are
/// made signed, |w| <= 128, and their sign is moved to the activation, so that 2 * 128 * 127 fits.
template <unsigned B, class Code> struct MaddSums {
  using Bytes = PanelBytes<B, Code::bits>;
  static constexpr int block = Code::block;
  /// Whether 128 was taken off all bytes.
  static constexpr bool whole_bytes = Code::largest > 129;
  /// Quanta whose products a sum of 16 bits can hold, as a power of two.
  static constexpr int run_length = [] {
    int n = 1;
    while (2 * n * 2 * 127 * Code::largest <= 32767) n *= 2;
    return n < 8 ? n : 8;
  }();
  static constexpr int span = block > run_length ? block : run_length;

  /// Adds the products of quanta q .. end - 1 to total[column][half].
  template <int C>
  [[gnu::always_inline]] static void add(__m256i (&total)[C][2], const Part<B>& part, __m256i lookup, std::ptrdiff_t q,
                                         std::ptrdiff_t end) {
    for (; q + span <= end; q += span) add_run<C, span>(total, part, lookup, q);
    if constexpr (span > block)
      for (; q < end; q += block) add_run<C, block>(total, part, lookup, q);
  }

 private:
  template <int C, int Count>
  [[gnu::always_inline]] static void add_run(__m256i (&total)[C][2], const Part<B>& part, __m256i lookup,
                                             std::ptrdiff_t q) {
    constexpr int length = run_length < Count ? run_length : Count;
    const __m256i ones = _mm256_set1_epi16(1);
    Bytes::prefetch(part.tile.panel, q, Count);
    __m256i sum[C][2];
#pragma GCC unroll 8
    for (int j = 0; j < Count; ++j) {
      __m256i w[2], magnitude[2];
#pragma GCC unroll 2
      for (int h = 0; h < 2; ++h) {
        w[h] = Bytes::load(part.tile.panel, q, j, h);
        if (!Code::identity) w[h] = _mm256_shuffle_epi8(lookup, w[h]);
        if (whole_bytes) w[h] = _mm256_xor_si256(w[h], _mm256_set1_epi8(-128));
        magnitude[h] = whole_bytes ? _mm256_abs_epi8(w[h]) : w[h];
      }
#pragma GCC unroll 4
      for (int c = 0; c < C; ++c) {
        const __m256i inputs = part.input(q + j, c);
#pragma GCC unroll 2
        for (int h = 0; h < 2; ++h) {
          const __m256i pairs =
              _mm256_maddubs_epi16(magnitude[h], whole_bytes ? _mm256_sign_epi8(inputs, w[h]) : inputs);
          sum[c][h] = j % length == 0 ? pairs : _mm256_add_epi16(sum[c][h], pairs);
          // GCC would add up in a tree, and keep all leaves in memory.
          if (length > 1) asm("" : "+x"(sum[c][h]));
          if (j % length == length - 1) total[c][h] = _mm256_add_epi32(total[c][h], _mm256_madd_epi16(sum[c][h], ones));
        }
      }
    }
  }
};

/// One panel times up to 4 columns at a time, the products summed by Sums.
template <unsigned B, class Code, class Scale, bool Affine, bool Grouped, class Sums> struct Dot {
  static constexpr bool integer_scale = integer_scales<Scale>;

  static void run(const IntegerTile& tile, int columns) {
    for (int c = 0; c < columns; c += 4)
      multiply_columns<Dot, 4>(Part<B>{tile, columns, c}, columns - c < 4 ? columns - c : 4);
  }

  template <int C> static void multiply(const Part<B>& part) {
    const IntegerTile& tile = part.tile;
    const __m256i lookup =
        Code::identity ? _mm256_setzero_si256()
                       : _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(tile.lookup)));
    alignas(32) float sum[C * lanes];
    alignas(32) std::int32_t whole[C * lanes];
#pragma GCC unroll 8
    for (int i = 0; i < 2 * C; ++i) {
      _mm256_store_ps(sum + 8 * i, _mm256_setzero_ps());
      store(whole + 8 * i, _mm256_setzero_si256());
    }
    std::ptrdiff_t flush = tile.flush;
    const auto* supers = static_cast<const typename Super<Scale>::code_type*>(tile.w_supers);
    for (std::ptrdiff_t first = 0, s = 0; first < tile.quanta; first += tile.step, ++s) {
      const std::ptrdiff_t at = s * part.columns + part.first;
      __m256i total[C][2];
#pragma GCC unroll 4
      for (int c = 0; c < C; ++c) {
#pragma GCC unroll 2
        for (int h = 0; h < 2; ++h) {
          total[c][h] = _mm256_set1_epi32(tile.x_starts[at + c]);
          if (Affine) {
            const __m256i zero = bytes(tile.w_zeros + s * lanes + 8 * h);
            total[c][h] =
                _mm256_add_epi32(total[c][h], _mm256_mullo_epi32(zero, _mm256_set1_epi32(tile.x_zeros[at + c])));
          }
          if (tile.w_sums != nullptr) {
            const __m256i w_sum = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(tile.w_sums + s * lanes + 8 * h));
            total[c][h] =
                _mm256_add_epi32(total[c][h], _mm256_mullo_epi32(w_sum, _mm256_set1_epi32(tile.x_offsets[at + c])));
          }
          if (Sums::whole_bytes)
            total[c][h] = _mm256_add_epi32(total[c][h], _mm256_slli_epi32(_mm256_set1_epi32(tile.x_sums[at + c]), 7));
        }
      }
      const std::ptrdiff_t end = first + tile.step < tile.quanta ? first + tile.step : tile.quanta;
      Sums::template add<C>(total, part, lookup, first, end);
      const auto* scales = static_cast<const typename Scale::code_type*>(tile.w_scales) + s * lanes;
      const bool flushes = integer_scale && tile.totals == nullptr && (--flush == 0 || end == tile.quanta);
#pragma GCC unroll 4
      for (int c = 0; c < C; ++c) {
#pragma GCC unroll 2
        for (int h = 0; h < 2; ++h) {
          float* const out = sum + c * lanes + 8 * h;
          if constexpr (integer_scale) {
            std::int32_t* const ints = whole + c * lanes + 8 * h;
            const __m256i scaled = _mm256_add_epi32(_mm256_load_si256(reinterpret_cast<const __m256i*>(ints)),
                                                    _mm256_mullo_epi32(total[c][h], bytes(scales + 8 * h)));
            store(ints, flushes ? _mm256_setzero_si256() : scaled);
            if (flushes)
              _mm256_store_ps(out, _mm256_fmadd_ps(_mm256_cvtepi32_ps(scaled),
                                                   ScaleLanes<isa::Avx2Tag<B>, Super<Scale>>::load(supers + 8 * h),
                                                   _mm256_load_ps(out)));
          } else {
            __m256 scale = ScaleLanes<isa::Avx2Tag<B>, Scale>::load(scales + 8 * h);
            if (Grouped) scale = _mm256_mul_ps(scale, _mm256_set1_ps(tile.x_scales[at + c]));
            _mm256_store_ps(out, _mm256_fmadd_ps(_mm256_cvtepi32_ps(total[c][h]), scale, _mm256_load_ps(out)));
          }
        }
      }
      if (flushes) {
        flush = tile.flush;
        supers += tile.super_stride;
      }
    }
#pragma GCC unroll 8
    for (int i = 0; i < 2 * C; ++i) {
      const std::ptrdiff_t at = part.first * lanes + 8 * i;
      if (integer_scale && tile.totals != nullptr) {
        store(tile.totals + at, _mm256_load_si256(reinterpret_cast<const __m256i*>(whole + 8 * i)));
        continue;
      }
      _mm256_storeu_ps(tile.y + at,
                       _mm256_mul_ps(_mm256_load_ps(sum + 8 * i), _mm256_set1_ps(tile.factors[part.first + i / 2])));
    }
  }

 private:
  /// 8 bytes as integers.
  static __m256i bytes(const void* in) {
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64(static_cast<const __m128i*>(in)));
  }
  static void store(std::int32_t* out, __m256i x) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), x);
  }
};

}  // namespace avx2

template <unsigned B, class Code, int Run, class Scale, bool Affine, bool Grouped>
  requires(decodes_in_place<isa::Avx2Tag<B>, Code>)
struct IntegerDot<isa::Avx2Tag<B>, Code, Run, Scale, Affine, Grouped> {
  static void run(const IntegerTile& tile, int columns) {
    if (isa::has_avx_vnni())
      avx2::Dot<B, Code, Scale, Affine, Grouped, avx2::VnniSums<B, Code>>::run(tile, columns);
    else
      avx2::Dot<B, Code, Scale, Affine, Grouped, avx2::MaddSums<B, Code>>::run(tile, columns);
  }
};

template <unsigned B> struct ActivationSums<isa::Avx2Tag<B>> {
  static void run(const std::int8_t* x, int columns, std::ptrdiff_t quanta, std::ptrdiff_t step, std::int32_t* sums) {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    for (std::ptrdiff_t first = 0; first < quanta; first += step, sums += columns) {
      const std::ptrdiff_t end = first + step < quanta ? first + step : quanta;
      for (int c = 0; c < columns; c += 8) {
        const __m256i mask = _mm256_cmpgt_epi32(_mm256_set1_epi32(columns - c), lane);
        __m256i sum = _mm256_setzero_si256();
        for (std::ptrdiff_t q = first; q < end; ++q) {
          const __m256i four = _mm256_maskload_epi32(reinterpret_cast<const int*>(x + 4 * (q * columns + c)), mask);
          const __m256i pairs = _mm256_maddubs_epi16(_mm256_set1_epi8(1), four);
          sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
        }
        _mm256_maskstore_epi32(sums + c, mask, sum);
      }
    }
  }
};

template <unsigned B, class Code> struct UnpackBytes<isa::Avx2Tag<B>, Code> {
  static void run(const Panel& panel, const std::uint8_t* lookup, std::ptrdiff_t quanta, std::uint8_t* out) {
    for (std::ptrdiff_t q = 0; q < quanta; q += Code::block) {
      avx2::PanelBytes<B, Code::bits>::prefetch(panel, q / Code::dim, Code::block / Code::dim);
#pragma GCC unroll 8
      for (int j = 0; j < Code::block / Code::dim; ++j) {
#pragma GCC unroll 2
        for (int h = 0; h < 2; ++h) {
          const __m256i codes = avx2::PanelBytes<B, Code::bits>::load(panel, q / Code::dim, j, h);
          __m256i bytes = codes;
#pragma GCC unroll 8
          for (int d = 0; d < Code::dim; ++d) {
            if (!Code::identity && d % Code::fields == 0)
              bytes = look_up(lookup + (d / Code::fields << Code::bits), codes);
            __m256i field = bytes;
            if (Code::dim > 1)
              field = _mm256_and_si256(_mm256_srli_epi16(bytes, d % Code::fields * Code::width),
                                       _mm256_set1_epi8(static_cast<char>((1 << Code::width) - 1)));
            _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + (q + j * Code::dim + d) * 64 + 32 * h), field);
          }
        }
      }
    }
  }

 private:
  static __m256i look_up(const std::uint8_t* table, __m256i codes) {
    constexpr int parts = Code::bits > 4 ? 1 << (Code::bits > 4 ? Code::bits - 4 : 0) : 1;
    std::uint8_t few[16] = {};
    if (Code::bits < 4)
      for (int i = 0; i < 1 << Code::bits; ++i) few[i] = table[i];
    __m256i bytes = _mm256_setzero_si256();
    for (int t = 0; t < parts; ++t) {
      // Codes of other parts get their top bit set, for which the shuffle gives 0.
      const __m256i index =
          _mm256_adds_epu8(_mm256_sub_epi8(codes, _mm256_set1_epi8(static_cast<char>(16 * t))), _mm256_set1_epi8(0x70));
      const __m128i part = _mm_loadu_si128(reinterpret_cast<const __m128i*>(Code::bits < 4 ? few : table + 16 * t));
      bytes = _mm256_or_si256(bytes, _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(part), index));
    }
    return bytes;
  }
};

}  // namespace nibble::kernels

NIBBLE_END_TARGET

#endif
