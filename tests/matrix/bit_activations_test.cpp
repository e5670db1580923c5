// The layout of activations in bits: every bit of a tile belongs to one input of one column.
#include "nibble/matrix/bit_activations.h"

#include <gtest/gtest.h>

#include <vector>

#include "message_of.h"

namespace nibble {
namespace {

const std::pair<Index, Index> shapes[] = {{0, 0}, {0, 5}, {5, 0}, {1, 1}, {31, 11}, {32, 12}, {33, 13}, {131, 25}};

template <class S> class BitLayout : public testing::Test {};
using Schemes = testing::Types<Binary<>, Bipolar<3, Group<64>>, Ternary<PerRow>, Int<8>, UInt<2, Group<32>>>;
TYPED_TEST_SUITE(BitLayout, Schemes);

TYPED_TEST(BitLayout, EveryPlaceIsTakenOnce) {
  using Bits = BitActivations<TypeParam>;
  for (const auto& [k, m] : shapes) {
    const typename Bits::Shape shape{k, m};
    EXPECT_EQ(shape.words(), (k + 31) / 32);
    std::vector<std::uint32_t> words(static_cast<std::size_t>(shape.words() * Bits::planes * m));
    std::vector<int> scales(static_cast<std::size_t>(shape.groups() * m));
    for (Index c = 0; c < m; ++c) {
      for (Index r = 0; r < 32 * shape.words(); ++r) {
        for (int p = 0; p < Bits::planes; ++p) {
          std::uint32_t& word = words.at(static_cast<std::size_t>(shape.word_index(r / 32, p, c)));
          const std::uint32_t bit = 1u << Bits::Shape::bit(r);
          ASSERT_EQ(word & bit, 0u);
          word |= bit;
        }
      }
      for (Index g = 0; g < shape.groups(); ++g) ++scales.at(static_cast<std::size_t>(shape.scale_index(g, c)));
    }
    for (std::uint32_t word : words) ASSERT_EQ(word, ~0u);
    for (int count : scales) ASSERT_EQ(count, 1);
  }
}

// The drawing: [word][bit][c] in tiles of 9 and 8, bit 8 (k % 4) + k % 32 / 4.
TEST(BitActivations, Drawing) {
  using Bits = BitActivations<Int<3>>;
  const Bits::Shape shape{70, 17};
  for (Index word = 0; word < 3; ++word) {
    for (int p = 0; p < 3; ++p) {
      for (Index m = 0; m < 17; ++m) {
        const Index w = m < 9 ? 9 : 8;
        EXPECT_EQ(shape.word_index(word, p, m), (m < 9 ? 0 : 9 * 9) + w * (3 * word + p) + m % 9);
      }
    }
  }
  for (Index k = 0; k < 70; ++k) EXPECT_EQ(Bits::Shape::bit(k), 8 * (k % 4) + (k % 32) / 4);
}

/// One column of two inputs: all ones, then all zeros.
template <class S> void expect_ends(int ones, int none) {
  using Bits = BitActivations<S>;
  const typename Bits::Shape shape{2, 1};
  AlignedArray<std::uint32_t> words(static_cast<std::size_t>(Bits::planes));
  AlignedArray<float> scales(1);
  AlignedArray<std::uint8_t> zeros(S::affine ? 1 : 0);
  for (std::size_t p = 0; p < words.size(); ++p) words[p] = 1;
  scales[0] = 0.5f;
  if (S::affine) zeros.data()[0] = 1;
  const Bits x(shape, std::move(words), std::move(scales), std::move(zeros));
  EXPECT_EQ(x.integer(0, 0), ones) << S::name();
  EXPECT_EQ(x.integer(1, 0), none) << S::name();
  const float zero = S::affine ? 1 : 0;
  EXPECT_EQ(x.at(0, 0), (static_cast<float>(ones) - zero) / 2);
  EXPECT_EQ(x.dequantize()(1, 0), (static_cast<float>(none) - zero) / 2);
}

TEST(BitActivations, WhatBitsStandFor) {
  expect_ends<Binary<>>(1, -1);
  expect_ends<Bipolar<8>>(255, -255);
  expect_ends<Ternary<PerRow>>(-1, 0);
  expect_ends<Int<8>>(-1, 0);
  expect_ends<UInt<1>>(1, 0);
  expect_ends<UInt<8>>(255, 0);
}

TEST(BitActivations, AtChecksItsIndices) {
  const BitActivations<>::Shape shape{3, 4};
  const BitActivations<> x(shape, AlignedArray<std::uint32_t>(4), AlignedArray<float>(4), {});
  for (const auto& [k, m] : {std::pair(-1, 0), {0, -1}, {3, 0}, {0, 4}})
    EXPECT_EQ(test::message_of<std::invalid_argument>([&, k = k, m = m] { x.at(k, m); }),
              text("nibble::BitActivations::at: expected an index inside 3 x 4, got (", k, ", ", m, ")"));
}

}  // namespace
}  // namespace nibble
