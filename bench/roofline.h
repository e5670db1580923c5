// What one core, and the memory, can do at most: measured by short loops that do nothing else.
#pragma once

#include <nibble/core/aligned.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <new>
#include <string>

#include "executor.h"

#if defined __linux__
#include <sys/mman.h>
#endif
#if defined __x86_64__
#include <immintrin.h>
#endif

namespace nibble::bench {

/// Seconds that `call`, which runs on `threads` threads, takes: of one thread the CPU's time, which what else runs on
/// the machine does not lengthen; of several the time on the wall.
template <class Call> double seconds_of(int threads, Call&& call) {
  const auto now = [threads] {
#ifdef CLOCK_THREAD_CPUTIME_ID
    if (threads == 1) {
      std::timespec t{};
      clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
      return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
    }
#endif
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
  };
  const double start = now();
  call();
  return now() - start;
}

/// What a loop leaves behind, so that no compiler can drop it.
inline volatile std::uint64_t sink = 0;

/// Bytes of the largest cache that the kernel reports of core 0 up to `level`; 32 MiB where it reports none.
inline std::ptrdiff_t cache_bytes(int level) {
  std::ptrdiff_t size = 0;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator("/sys/devices/system/cpu/cpu0/cache", none)) {
    int at = 0;
    std::ptrdiff_t count = 0;
    char unit = ' ';
    std::ifstream(entry.path() / "level") >> at;
    std::ifstream(entry.path() / "size") >> count >> unit;
    if (at > 0 && at <= level) size = std::max(size, count * (unit == 'K' ? 1 << 10 : unit == 'M' ? 1 << 20 : 1));
  }
  return size > 0 ? size : std::ptrdiff_t{32} << 20;
}

/// Bytes that operands must span so that they come from memory: four times the last-level cache.
inline std::ptrdiff_t beyond_caches() {
  return 4 * cache_bytes(9);
}

/// One limit of the machine, in operations or bytes per second. `loop(rounds)` does `work` of them per round.
class Limit {
 public:
  /// No limit: what the CPU cannot do.
  Limit() = default;
  Limit(double work, std::function<void(long rounds)> loop, int threads = 1)
      : work_(work), loop_(std::move(loop)), threads_(threads) {
    constexpr double seconds = 5e-3;
    for (double took = 0; took < seconds / 2;) {
      took = seconds_of(threads_, [&] { loop_(rounds_); });
      rounds_ = took < seconds / 8 ? 4 * rounds_ : std::max(1L, static_cast<long>(seconds / took * double(rounds_)));
    }
    for (int i = 0; i < 8; ++i) sample();
  }

  /// Runs the loop for about 5 ms and returns its rate; 0 where there is no limit.
  double sample() {
    if (!loop_) return 0;
    const double rate = work_ * static_cast<double>(rounds_) / seconds_of(threads_, [&] { loop_(rounds_); });
    best_ = std::max(best_, rate);
    return rate;
  }

  /// The highest rate that any sample in this process had; 0 where there is no limit.
  double best() const { return best_; }

 private:
  double work_ = 0;
  std::function<void(long)> loop_;
  int threads_ = 1;
  long rounds_ = 1;
  double best_ = 0;
};

// Each loop has more independent sums than latency times throughput asks for. An empty asm statement makes an operand
// unknown, so that no product can be computed once and used again.
#if defined __x86_64__

NIBBLE_BEGIN_TARGET("avx2,fma")
namespace loops {

/// 12 x 8 multiply-adds of floats a round.
inline void fma_avx2(long rounds) {
  __m256 sums[12];
  __m256 x = _mm256_set1_ps(0.5f);
#pragma GCC unroll 12
  for (int i = 0; i < 12; ++i) sums[i] = _mm256_set1_ps(static_cast<float>(i));
  for (long r = 0; r < rounds; ++r) {
#pragma GCC unroll 12
    for (int i = 0; i < 12; ++i) {
      __asm__ volatile("" : "+x"(x));
      sums[i] = _mm256_fmadd_ps(sums[i], x, x);
    }
  }
#pragma GCC unroll 12
  for (int i = 1; i < 12; ++i) sums[0] = _mm256_add_ps(sums[0], sums[i]);
  sink = static_cast<std::uint64_t>(_mm_cvtsi128_si64(_mm_castps_si128(_mm256_castps256_ps128(sums[0]))));
}

/// 8 x 32 multiply-adds of bytes a round.
inline void int8_avx2(long rounds) {
  __m256i sums[8];
  __m256i x = _mm256_set1_epi8(3);
  const __m256i ones = _mm256_set1_epi16(1);
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) sums[i] = _mm256_set1_epi32(i);
  for (long r = 0; r < rounds; ++r) {
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) {
      __asm__ volatile("" : "+x"(x));
      sums[i] = _mm256_add_epi32(sums[i], _mm256_madd_epi16(_mm256_maddubs_epi16(x, x), ones));
    }
  }
#pragma GCC unroll 8
  for (int i = 1; i < 8; ++i) sums[0] = _mm256_add_epi32(sums[0], sums[i]);
  sink = static_cast<std::uint64_t>(_mm_cvtsi128_si64(_mm256_castsi256_si128(sums[0])));
}

/// 4 x 256 bits a round: xor, then the count by two table look-ups a byte.
inline void popcount_avx2(long rounds) {
  __m256i sums[4];
  __m256i x = _mm256_set1_epi8(0x35);
  const __m256i low = _mm256_set1_epi8(15);
  const __m256i counts = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,  //
                                          0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) sums[i] = _mm256_set1_epi64x(i);
  for (long r = 0; r < rounds; ++r) {
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      __asm__ volatile("" : "+x"(x));
      const __m256i y = _mm256_xor_si256(x, low);
      const __m256i count =
          _mm256_add_epi8(_mm256_shuffle_epi8(counts, _mm256_and_si256(y, low)),
                          _mm256_shuffle_epi8(counts, _mm256_and_si256(_mm256_srli_epi16(y, 4), low)));
      sums[i] = _mm256_add_epi64(sums[i], _mm256_sad_epu8(count, _mm256_setzero_si256()));
    }
  }
#pragma GCC unroll 4
  for (int i = 1; i < 4; ++i) sums[0] = _mm256_add_epi64(sums[0], sums[i]);
  sink = static_cast<std::uint64_t>(_mm_cvtsi128_si64(_mm256_castsi256_si128(sums[0])));
}

/// Reads `bytes`, a multiple of 256 Streams, once a round: as many places at a time as there are streams.
template <int Streams> void read_avx2(const std::uint8_t* data, std::ptrdiff_t bytes, long rounds) {
  const std::ptrdiff_t stride = bytes / Streams;
  __m256i sums[8];
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) sums[i] = _mm256_setzero_si256();
  for (long r = 0; r < rounds; ++r) {
    for (std::ptrdiff_t at = 0; at < stride; at += 256) {
#pragma GCC unroll 4
      for (int s = 0; s < Streams; ++s) {
#pragma GCC unroll 8
        for (int i = 0; i < 8; ++i)
          sums[i] = _mm256_xor_si256(
              sums[i], _mm256_load_si256(reinterpret_cast<const __m256i*>(data + s * stride + at + 32 * i)));
      }
    }
    __asm__ volatile("" ::: "memory");
  }
#pragma GCC unroll 8
  for (int i = 1; i < 8; ++i) sums[0] = _mm256_xor_si256(sums[0], sums[i]);
  sink = static_cast<std::uint64_t>(_mm_cvtsi128_si64(_mm256_castsi256_si128(sums[0])));
}

}  // namespace loops
NIBBLE_END_TARGET

NIBBLE_BEGIN_TARGET("avx512f,avx512bw,avx512vnni,avx512bf16,avx512vpopcntdq")
namespace loops {

/// 16 x 16 multiply-adds of floats a round.
inline void fma_avx512(long rounds) {
  __m512 sums[16];
  __m512 x = _mm512_set1_ps(0.5f);
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) sums[i] = _mm512_set1_ps(static_cast<float>(i));
  for (long r = 0; r < rounds; ++r) {
#pragma GCC unroll 16
    for (int i = 0; i < 16; ++i) {
      __asm__ volatile("" : "+v"(x));
      sums[i] = _mm512_fmadd_ps(sums[i], x, x);
    }
  }
#pragma GCC unroll 16
  for (int i = 1; i < 16; ++i) sums[0] = _mm512_add_ps(sums[0], sums[i]);
  sink = static_cast<std::uint64_t>(_mm_cvtsi128_si64(_mm_castps_si128(_mm512_castps512_ps128(sums[0]))));
}

/// 16 x 64 multiply-adds of bytes a round.
inline void int8_avx512(long rounds) {
  __m512i sums[16];
  __m512i x = _mm512_set1_epi32(0x03030303);
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) sums[i] = _mm512_set1_epi32(i);
  for (long r = 0; r < rounds; ++r) {
#pragma GCC unroll 16
    for (int i = 0; i < 16; ++i) {
      __asm__ volatile("" : "+v"(x));
      sums[i] = _mm512_dpbusd_epi32(sums[i], x, x);
    }
  }
#pragma GCC unroll 16
  for (int i = 1; i < 16; ++i) sums[0] = _mm512_add_epi32(sums[0], sums[i]);
  sink = static_cast<std::uint64_t>(_mm_cvtsi128_si64(_mm512_castsi512_si128(sums[0])));
}

/// 16 x 32 multiply-adds of bfloat16 a round.
inline void bf16_avx512(long rounds) {
  __m512 sums[16];
  __m512 x = _mm512_set1_ps(0.5f);
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) sums[i] = _mm512_set1_ps(static_cast<float>(i));
  for (long r = 0; r < rounds; ++r) {
#pragma GCC unroll 16
    for (int i = 0; i < 16; ++i) {
      __asm__ volatile("" : "+v"(x));
      sums[i] = _mm512_dpbf16_ps(sums[i], (__m512bh)(x), (__m512bh)(x));
    }
  }
#pragma GCC unroll 16
  for (int i = 1; i < 16; ++i) sums[0] = _mm512_add_ps(sums[0], sums[i]);
  sink = static_cast<std::uint64_t>(_mm_cvtsi128_si64(_mm_castps_si128(_mm512_castps512_ps128(sums[0]))));
}

/// 16 x 512 bits a round: xor, then vpopcntq.
inline void popcount_avx512(long rounds) {
  __m512i sums[16];
  __m512i x = _mm512_set1_epi32(0x12345678);
  const __m512i y = _mm512_set1_epi32(0x0F0F0F0F);
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) sums[i] = _mm512_set1_epi64(i);
  for (long r = 0; r < rounds; ++r) {
#pragma GCC unroll 16
    for (int i = 0; i < 16; ++i) {
      __asm__ volatile("" : "+v"(x));
      sums[i] = _mm512_add_epi64(sums[i], _mm512_popcnt_epi64(_mm512_xor_si512(x, y)));
    }
  }
#pragma GCC unroll 16
  for (int i = 1; i < 16; ++i) sums[0] = _mm512_add_epi64(sums[0], sums[i]);
  sink = static_cast<std::uint64_t>(_mm_cvtsi128_si64(_mm512_castsi512_si128(sums[0])));
}

}  // namespace loops
NIBBLE_END_TARGET

#endif

/// Bytes in pages of 2 MiB where the system grants them: looking up small pages costs a third of the memory's speed.
class LargePages {
 public:
  explicit LargePages(std::ptrdiff_t bytes) {
    constexpr std::ptrdiff_t page = std::ptrdiff_t{2} << 20;
    const auto size = static_cast<std::size_t>(round_up(bytes, page));
    data_.reset(static_cast<std::uint8_t*>(std::aligned_alloc(page, size)));
    if (!data_) raise(std::bad_alloc());
#ifdef MADV_HUGEPAGE
    madvise(data_.get(), size, MADV_HUGEPAGE);
#endif
    std::memset(data_.get(), 1, size);
  }
  const std::uint8_t* data() const {
    return data_.get();
  }

 private:
  struct Free {
    void operator()(std::uint8_t* p) const { std::free(p); }
  };
  std::unique_ptr<std::uint8_t, Free> data_;
};

namespace loops {

/// Reads `bytes`, a multiple of 512, once. Two streams without prefetch are the fastest found here; one stream with
/// prefetch comes close.
inline void read_memory(const std::uint8_t* data, std::ptrdiff_t bytes) {
#if defined __x86_64__
  if (isa::Avx2::available()) return read_avx2<2>(data, bytes, 1);
#endif
  std::uint64_t sum = 0;
  for (std::ptrdiff_t at = 0; at < bytes; at += 8) {
    std::uint64_t word;
    std::memcpy(&word, data + at, 8);
    sum += word;
  }
  sink = sum;
}

}  // namespace loops

/// Float multiply-adds of one core, 2 operations each, with the registers of `isa`.
inline Limit& fma_limit([[maybe_unused]] Isa isa) {
#if defined __x86_64__
  static Limit avx512 = isa::Avx512::available() ? Limit(16 * 32, loops::fma_avx512) : Limit();
  static Limit avx2 = isa::Avx2::available() ? Limit(12 * 16, loops::fma_avx2) : Limit();
  if (isa == Isa::Avx512) return avx512;
  if (isa == Isa::Avx2) return avx2;
#endif
  static Limit none;
  return none;
}

/// Multiply-adds of bytes into 32 bits of one core, 2 operations each: vpdpbusd, with AVX2 vpmaddubsw + vpmaddwd +
/// vpaddd.
inline Limit& int8_limit([[maybe_unused]] Isa isa) {
#if defined __x86_64__
  static Limit avx512 = isa::Avx512::available() ? Limit(16 * 128, loops::int8_avx512) : Limit();
  static Limit avx2 = isa::Avx2::available() ? Limit(8 * 64, loops::int8_avx2) : Limit();
  if (isa == Isa::Avx512) return avx512;
  if (isa == Isa::Avx2) return avx2;
#endif
  static Limit none;
  return none;
}

/// Multiply-adds of bfloat16 into float of one core, 2 operations each; AVX-512 BF16 only.
inline Limit& bf16_limit([[maybe_unused]] Isa isa) {
#if defined __x86_64__
  static Limit avx512 =
      isa::Avx512::available() && __builtin_cpu_supports("avx512bf16") ? Limit(16 * 64, loops::bf16_avx512) : Limit();
  if (isa == Isa::Avx512) return avx512;
#endif
  static Limit none;
  return none;
}

/// Bits xored and counted by one core, 2 operations each: vpopcntq, with AVX2 table look-ups.
inline Limit& popcount_limit([[maybe_unused]] Isa isa) {
#if defined __x86_64__
  static Limit avx512 = isa::Avx512::available() && __builtin_cpu_supports("avx512vpopcntdq")
                            ? Limit(16 * 1024, loops::popcount_avx512)
                            : Limit();
  static Limit avx2 = isa::Avx2::available() ? Limit(4 * 512, loops::popcount_avx2) : Limit();
  if (isa == Isa::Avx512) return avx512;
  if (isa == Isa::Avx2) return avx2;
#endif
  static Limit none;
  return none;
}

/// Bytes that one core reads from its L2 cache: half of it, over and over.
inline Limit& l2_read_limit() {
#if defined __x86_64__
  static const std::ptrdiff_t bytes = cache_bytes(2) / 2 / 256 * 256;
  static const AlignedArray<std::uint8_t> data(static_cast<std::size_t>(bytes));
  static Limit limit = isa::Avx2::available()
                           ? Limit(double(bytes), [](long rounds) { loops::read_avx2<1>(data.data(), bytes, rounds); })
                           : Limit();
#else
  static Limit limit;
#endif
  return limit;
}

/// Bytes that `threads` cores together read from memory.
inline Limit& dram_read_limit(int threads) {
  constexpr std::ptrdiff_t block = 512;
  static const std::ptrdiff_t blocks = beyond_caches() / block;
  static const LargePages data(blocks * block);
  static std::map<int, Limit> limits;
  const auto found = limits.find(threads);
  if (found != limits.end()) return found->second;
  const auto loop = [spread = Parallel(threads, executor())](long rounds) {
    for (long r = 0; r < rounds; ++r)
      parallel_for(blocks, spread, [](std::ptrdiff_t begin, std::ptrdiff_t end) {
        loops::read_memory(data.data() + begin * block, (end - begin) * block);
      });
  };
  return limits.emplace(threads, Limit(static_cast<double>(blocks * block), loop, threads)).first->second;
}

/// The best rates per second seen so far; 0 where the CPU lacks the instructions.
inline double dram_read_bytes_per_second(int threads) {
  return dram_read_limit(threads).best();
}
inline double l2_read_bytes_per_second() {
  return l2_read_limit().best();
}
inline double fma_ops_per_second(Isa isa = resolve()) {
  return fma_limit(isa).best();
}
inline double int8_ops_per_second(Isa isa = resolve()) {
  return int8_limit(isa).best();
}
inline double bf16_ops_per_second(Isa isa = resolve()) {
  return bf16_limit(isa).best();
}
inline double popcount_ops_per_second(Isa isa = resolve()) {
  return popcount_limit(isa).best();
}

}  // namespace nibble::bench
