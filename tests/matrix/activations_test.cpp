// The layout of quantized activations: every byte of a tile belongs to one input of one column.
#include "nibble/matrix/activations.h"

#include <gtest/gtest.h>

#include <vector>

namespace nibble {
namespace {

template <class S> class Activations : public testing::Test {};
using Schemes = testing::Types<Int<8>, Int<4>, Int<8, Group<32>>, Int<8, Group<5>>>;
TYPED_TEST_SUITE(Activations, Schemes);

const std::pair<Index, Index> shapes[] = {{0, 0}, {0, 5}, {5, 0}, {1, 1}, {63, 11}, {64, 12}, {65, 13}, {131, 25}};

/// Codes and scales that say where they are.
template <class S> QuantizedActivations<S> numbered(Index k, Index m) {
  const typename QuantizedActivations<S>::Shape shape{k, m};
  AlignedArray<std::int8_t> codes(static_cast<std::size_t>(shape.padded_rows() * m));
  AlignedArray<float> scales(static_cast<std::size_t>(shape.groups() * m));
  for (Index c = 0; c < m; ++c) {
    for (Index r = 0; r < k; ++r)
      codes[static_cast<std::size_t>(shape.code_index(r, c))] = static_cast<std::int8_t>((r + 3 * c) % 15 - 7);
    for (Index g = 0; g < shape.groups(); ++g)
      scales[static_cast<std::size_t>(shape.scale_index(g, c))] = static_cast<float>(1 + g + 100 * c);
  }
  return {shape, std::move(codes), std::move(scales)};
}

TYPED_TEST(Activations, EveryPlaceIsTakenOnce) {
  for (const auto& [k, m] : shapes) {
    const typename QuantizedActivations<TypeParam>::Shape shape{k, m};
    EXPECT_EQ(shape.padded_rows(), round_up(k, 64));
    EXPECT_EQ(shape.tiles(), (m + 11) / 12);
    std::vector<int> codes(static_cast<std::size_t>(shape.padded_rows() * m));
    std::vector<int> scales(static_cast<std::size_t>(shape.groups() * m));
    for (Index c = 0; c < m; ++c) {
      for (Index r = 0; r < shape.padded_rows(); ++r) ++codes.at(static_cast<std::size_t>(shape.code_index(r, c)));
      for (Index g = 0; g < shape.groups(); ++g) ++scales.at(static_cast<std::size_t>(shape.scale_index(g, c)));
    }
    for (int count : codes) ASSERT_EQ(count, 1);
    for (int count : scales) ASSERT_EQ(count, 1);
  }
}

// The drawing in activations.h: in a tile of width w, byte 4 (w (k / 4) + c) + k % 4.
TYPED_TEST(Activations, Drawing) {
  const typename QuantizedActivations<TypeParam>::Shape shape{70, 17};
  for (Index k = 0; k < 70; ++k) {
    for (Index m = 0; m < 17; ++m) {
      const Index w = m < 12 ? 12 : 5;
      EXPECT_EQ(shape.width(m / 12), w);
      EXPECT_EQ(shape.code_index(k, m), (m < 12 ? 0 : 12 * 128) + 4 * (w * (k / 4) + m % 12) + k % 4);
    }
  }
}

TYPED_TEST(Activations, HoldWhatTheyAreGiven) {
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
      for (Index r = 0; r < k; ++r) {
        const Index g = size == 0 ? 0 : r / size;
        ASSERT_EQ(x.code(r, c), (r + 3 * c) % 15 - 7);
        ASSERT_EQ(x.scale(g, c), static_cast<float>(1 + g + 100 * c));
        ASSERT_EQ(x.at(r, c), static_cast<float>(((r + 3 * c) % 15 - 7) * (1 + g + 100 * c)));
        ASSERT_EQ(dense(r, c), x.at(r, c));
        ASSERT_EQ(x.codes(c / 12)[4 * (x.shape().width(c / 12) * (r / 4) + c % 12) + r % 4], x.code(r, c));
        ASSERT_EQ(x.scales(c / 12)[x.shape().width(c / 12) * g + c % 12], x.scale(g, c));
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
