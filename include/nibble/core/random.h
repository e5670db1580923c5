// Random numbers that depend on a seed and a position only: the same on every machine and for any thread count.
#pragma once

#include <array>
#include <cstdint>

namespace nibble {

/// Philox4x32-10, a counter-based generator: the numbers at a position are a function of the seed and the position.
/// Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
class Random {
 public:
  explicit constexpr Random(std::uint64_t seed = 0) : seed_(seed) {}

  /// The four 32-bit numbers at `position` of `stream`.
  constexpr std::array<std::uint32_t, 4> block(std::uint64_t position, std::uint64_t stream = 0) const {
    std::array<std::uint32_t, 4> c = {low(position), high(position), low(stream), high(stream)};
    std::uint32_t k0 = low(seed_);
    std::uint32_t k1 = high(seed_);
    for (int round = 0; round < 10; ++round) {
      const std::uint64_t p0 = std::uint64_t{0xD2511F53} * c[0];
      const std::uint64_t p1 = std::uint64_t{0xCD9E8D57} * c[2];
      c = {high(p1) ^ c[1] ^ k0, low(p1), high(p0) ^ c[3] ^ k1, low(p0)};
      k0 += 0x9E3779B9;
      k1 += 0xBB67AE85;
    }
    return c;
  }

  /// 32 random bits: element `index` of `stream`.
  constexpr std::uint32_t bits(std::uint64_t index, std::uint64_t stream = 0) const {
    return block(index / 4, stream)[index % 4];
  }

  /// A multiple of 2^-24 in [0, 1): element `index` of `stream`.
  constexpr float uniform(std::uint64_t index, std::uint64_t stream = 0) const {
    return static_cast<float>(bits(index, stream) >> 8) * 0x1p-24f;
  }

 private:
  static constexpr std::uint32_t low(std::uint64_t x) { return static_cast<std::uint32_t>(x); }
  static constexpr std::uint32_t high(std::uint64_t x) { return static_cast<std::uint32_t>(x >> 32); }

  std::uint64_t seed_;
};

}  // namespace nibble
