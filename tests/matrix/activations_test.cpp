// The layout of quantized activations: every byte of a tile belongs to one input of one column.
#include "nibble/matrix/activations.h"

#include <gtest/gtest.h>

#include <vector>

namespace nibble {
namespace {

template <class S> class Activations : public testing::Test {};
using Schemes = testing::Types<Int<8>, Int<4>, Int<8, Group<32>>, Int<8, Group<5>>, Int<16>, Int<16, Group<32>>,
                               UInt<8>, UInt<4, Group<20>>>;
TYPED_TEST_SUITE(Activations, Schemes);

const std::pair<Index, Index> shapes[] = {{0, 0}, {0, 5}, {5, 0}, {1, 1}, {63, 11}, {64, 12}, {65, 13}, {131, 25}};

/// The integer at (r, c), in one byte or two.
int integer_at(int parts, Index r, Index c) {
  const int byte = static_cast<int>((r + 3 * c) % 15 - 7);
  return parts == 1 ? byte : 255 * byte + 2 * byte;
}

/// Codes, scales and zeros that say where they are.
template <class S> QuantizedActivations<S> numbered(Index k, Index m) {
  constexpr int parts = QuantizedActivations<S>::parts;
  const typename QuantizedActivations<S>::Shape shape(k, m);
  AlignedArray<std::int8_t> codes(static_cast<std::size_t>(shape.bytes()));
  AlignedArray<float> scales(static_cast<std::size_t>(shape.scales()));
  AlignedArray<std::int8_t> zeros(static_cast<std::size_t>(S::affine ? shape.scales() : 0));
  for (Index c = 0; c < m; ++c) {
    for (Index r = 0; r < k; ++r)
      for (int part = 0; part < parts; ++part)
        codes[static_cast<std::size_t>(shape.code_index(r, c, part))] =
            static_cast<std::int8_t>((1 + part) * integer_at(1, r, c));
    for (Index g = 0; g < shape.groups(); ++g) {
      const auto at = static_cast<std::size_t>(shape.scale_index(g, c));
      scales[at] = static_cast<float>(1 + g + 100 * c);
      if (S::affine) zeros[at] = static_cast<std::int8_t>(g % 5 - 2);
    }
  }
  return {shape, std::move(codes), std::move(scales), std::move(zeros)};
}

TYPED_TEST(Activations, EveryPlaceIsTakenOnce) {
  constexpr int parts = QuantizedActivations<TypeParam>::parts;
  for (const auto& [k, m] : shapes) {
    const typename QuantizedActivations<TypeParam>::Shape shape(k, m);
    EXPECT_EQ(shape.padded_rows(), round_up(k, 64));
    std::vector<int> codes(static_cast<std::size_t>(shape.bytes()));
    std::vector<int> scales(static_cast<std::size_t>(shape.scales()));
    for (Index c = 0; c < m; ++c) {
      for (Index r = 0; r < shape.padded_rows(); ++r)
        for (int part = 0; part < parts; ++part) ++codes.at(static_cast<std::size_t>(shape.code_index(r, c, part)));
      for (Index g = 0; g < shape.groups(); ++g) ++scales.at(static_cast<std::size_t>(shape.scale_index(g, c)));
    }
    for (int count : codes) ASSERT_EQ(count, 1);
    for (int count : scales) ASSERT_EQ(count, 1);
  }
}

// The drawing in activations.h: in a tile of width w, byte 4 parts (w (k / 4) + c) + 4 part + k % 4.
TYPED_TEST(Activations, Drawing) {
  constexpr int parts = QuantizedActivations<TypeParam>::parts;
  const typename QuantizedActivations<TypeParam>::Shape shape(70, 17);
  for (Index k = 0; k < 70; ++k) {
    for (Index m = 0; m < 17; ++m) {
      const Index first = parts == 1 ? m / 9 * 9 : m / 6 * 6;
      const Index w = parts == 1 ? (m < 9 ? 9 : 8) : (m < 12 ? 6 : 5);
      for (int part = 0; part < parts; ++part)
        EXPECT_EQ(shape.code_index(k, m, part),
                  parts * first * 128 + 4 * parts * (w * (k / 4) + m - first) + 4 * part + k % 4);
    }
  }
}

TEST(ColumnTiles, AreFewAndNearlyEqual) {
  for (Index widest : {1, 6, 12}) {
    for (Index cols = 0; cols < 100; ++cols) {
      const ColumnTiles tiles(cols, widest);
      EXPECT_EQ(tiles.count, (cols + widest - 1) / widest);
      Index next = 0;
      for (Index t = 0; t < tiles.count; ++t) {
        EXPECT_EQ(tiles.first(t), next);
        EXPECT_LE(tiles.width(t), widest);
        EXPECT_LE(tiles.width(0) - tiles.width(t), 1);
        for (Index m = next; m < next + tiles.width(t); ++m) EXPECT_EQ(tiles.tile_of(m), t);
        next += tiles.width(t);
      }
      EXPECT_EQ(next, cols);
    }
  }
}

TYPED_TEST(Activations, HoldWhatTheyAreGiven) {
  constexpr int parts = QuantizedActivations<TypeParam>::parts;
  const Index size = TypeParam::group_inputs;
  for (const auto& [k, m] : shapes) {
    const auto x = numbered<TypeParam>(k, m);
    EXPECT_EQ(x.rows(), k);
    EXPECT_EQ(x.cols(), m);
    EXPECT_EQ(x.shape().groups(), k == 0 ? 0 : size == 0 ? 1 : (k + size - 1) / size);
    const Eigen::MatrixXf dense = x.dequantize();
    ASSERT_EQ(dense.rows(), k);
    ASSERT_EQ(dense.cols(), m);
    for (Index c = 0; c < m; ++c) {
      const Index t = x.shape().tiles.tile_of(c), first = x.shape().tiles.first(t), w = x.shape().tiles.width(t);
      for (Index r = 0; r < k; ++r) {
        const Index g = size == 0 ? 0 : r / size;
        const Index zero = TypeParam::affine ? g % 5 - 2 : 0;
        ASSERT_EQ(x.integer(r, c), integer_at(parts, r, c));
        ASSERT_EQ(x.zero(g, c), zero);
        ASSERT_EQ(x.scale(g, c), static_cast<float>(1 + g + 100 * c));
        ASSERT_EQ(x.at(r, c), static_cast<float>((integer_at(parts, r, c) - zero) * (1 + g + 100 * c)));
        ASSERT_EQ(dense(r, c), x.at(r, c));
        ASSERT_EQ(x.codes(t)[4 * parts * (w * (r / 4) + c - first) + r % 4], integer_at(1, r, c));
        ASSERT_EQ(x.scales(t)[w * g + c - first], x.scale(g, c));
        if (TypeParam::affine) {
          ASSERT_EQ(x.zeros(t)[w * g + c - first], zero);
        }
      }
    }
  }
}

TYPED_TEST(Activations, AtChecksItsIndices) {
  const auto x = numbered<TypeParam>(3, 4);
  for (const auto& [k, m] : {std::pair(-1, 0), {0, -1}, {3, 0}, {0, 4}}) {
    try {
      x.at(k, m);
      ADD_FAILURE() << k << ", " << m;
    } catch (const std::invalid_argument& error) {
      EXPECT_EQ(error.what(),
                text("nibble::QuantizedActivations::at: expected an index inside 3 x 4, got (", k, ", ", m, ")"));
    }
  }
}

}  // namespace
}  // namespace nibble
