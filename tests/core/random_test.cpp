// Philox4x32-10 against the known answers of its authors, and the numbers made from it.
#include "nibble/core/random.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <vector>

namespace nibble {
namespace {

using Block = std::array<std::uint32_t, 4>;

// Source: kat_vectors of the Random123 distribution, philox4x32 with 10 rounds.
TEST(Random, KnownAnswers) {
  static_assert(Random(0).block(0, 0) == Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  constexpr std::uint64_t ones = ~std::uint64_t{0};
  EXPECT_EQ(Random(ones).block(ones, ones), (Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  // Digits of pi: counter 243f6a88 85a308d3 13198a2e 03707344, key a4093822 299f31d0, low words first.
  EXPECT_EQ(Random(0x299f31d0a4093822).block(0x85a308d3243f6a88, 0x0370734413198a2e),
            (Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Random, BitsAreTheWordsOfBlocks) {
  const Random random(42);
  for (std::uint64_t index : {std::uint64_t{0}, std::uint64_t{5}, std::uint64_t{4294967295}, ~std::uint64_t{0}})
    EXPECT_EQ(random.bits(index, 3), random.block(index / 4, 3)[index % 4]);
}

TEST(Random, UniformIsTheTop24Bits) {
  const Random random(1);
  for (std::uint64_t i = 0; i < 1000; ++i) {
    const float u = random.uniform(i, 9);
    ASSERT_TRUE(u >= 0 && u < 1);
    ASSERT_EQ(u, static_cast<float>(std::ldexp(random.bits(i, 9) >> 8, -24)));
  }
}

TEST(Random, SeedsPositionsAndStreamsDiffer) {
  std::set<Block> seen;
  for (std::uint64_t seed = 0; seed < 10; ++seed)
    for (std::uint64_t stream = 0; stream < 10; ++stream)
      for (std::uint64_t position = 0; position < 10; ++position) seen.insert(Random(seed).block(position, stream));
  EXPECT_EQ(seen.size(), 1000U);
}

// n uniform numbers: the mean of u^p is 1 / (p + 1), within 5 standard errors (a fault 1 time in 1.7 million).
TEST(Random, Moments) {
  constexpr int n = 100000;
  const Random random(3);
  for (int p = 1; p <= 4; ++p) {
    double sum = 0;
    for (int i = 0; i < n; ++i) sum += std::pow(static_cast<double>(random.uniform(static_cast<std::uint64_t>(i))), p);
    const double variance = 1.0 / (2 * p + 1) - 1.0 / ((p + 1) * (p + 1));
    EXPECT_NEAR(sum / n, 1.0 / (p + 1), 5 * std::sqrt(variance / n)) << p;
  }
}

// Chi square of 256 bins of numbers and of 16 x 16 bins of pairs of neighbours, in one stream and across streams: 255
// degrees of freedom, so below 255 + 6 sqrt(510).
TEST(Random, Uniformity) {
  constexpr int n = 51200;
  const Random random(4);
  const auto chi_square = [](const std::vector<int>& counts) {
    double sum = 0;
    for (int count : counts) sum += (count - n / 256.0) * (count - n / 256.0) / (n / 256.0);
    return sum;
  };
  std::vector<int> single(256), pairs(256), streams(256);
  const auto bin = [](float u, int bins) { return static_cast<std::size_t>(u * static_cast<float>(bins)); };
  for (std::uint64_t i = 0; i < n; ++i) {
    ++single[bin(random.uniform(i), 256)];
    ++pairs[16 * bin(random.uniform(2 * i, 1), 16) + bin(random.uniform(2 * i + 1, 1), 16)];
    ++streams[16 * bin(random.uniform(0, i), 16) + bin(random.uniform(0, i + 1), 16)];
  }
  EXPECT_LT(chi_square(single), 255 + 6 * std::sqrt(510));
  EXPECT_LT(chi_square(pairs), 255 + 6 * std::sqrt(510));
  EXPECT_LT(chi_square(streams), 255 + 6 * std::sqrt(510));
}

}  // namespace
}  // namespace nibble
