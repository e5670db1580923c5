// The layout: every bit of every plane belongs to one place, as the drawing has it.
#include "nibble/matrix/layout.h"

#include <set>
#include <vector>

#include "matrix/schemes.h"

namespace nibble {
namespace {

TEST(PlaneWidths, AddUpMostSignificantFirst) {
  for (int bits = 1; bits <= 16; ++bits) {
    const PlaneWidths planes = plane_widths(bits);
    int sum = 0;
    for (std::size_t p = 0; p < planes.count; ++p) {
      const int w = planes.width[p];
      EXPECT_TRUE(w == 1 || w == 2 || w == 4 || w == 8);
      if (p > 0) {
        EXPECT_LE(w, planes.width[p - 1]);
      }
      sum += w;
    }
    EXPECT_EQ(sum, bits);
  }
  EXPECT_EQ(plane_widths(7).width, (std::array{4, 2, 1, 0}));
  EXPECT_EQ(plane_widths(8).count, 1U);
  EXPECT_EQ(plane_widths(16).width, (std::array{8, 8, 0, 0}));
}

template <class S> class LayoutOf : public testing::Test {};
TYPED_TEST_SUITE(LayoutOf, test::EveryKind);

TYPED_TEST(LayoutOf, EveryBitOfAPlaneBelongsToOnePlace) {
  using L = Layout<TypeParam>;
  for (const auto& [n, k] : test::awkward_shapes) {
    const L layout(n, k);
    for (std::size_t p = 0; p < L::planes.count; ++p) {
      const int width = L::planes.width[p];
      std::vector<int> owners(static_cast<std::size_t>(layout.panels * layout.panel_bytes(p) * 8));
      for (Index row = 0; row < layout.panels * L::height; ++row) {
        for (Index at = 0; at < layout.places; ++at) {
          const auto field = layout.field(p, row, at);
          ASSERT_TRUE(field.shift >= 0 && field.shift + width <= 8);
          for (int b = 0; b < width; ++b) ++owners.at(static_cast<std::size_t>(8 * field.byte + field.shift + b));
        }
      }
      for (int count : owners) ASSERT_EQ(count, 1) << n << " x " << k << ", plane " << p;
    }
  }
}

TYPED_TEST(LayoutOf, CodesHavePlacesInOrderAndGroupsStartOnLanes) {
  using L = Layout<TypeParam>;
  for (const auto& [n, k] : test::awkward_shapes) {
    const L layout(n, k);
    EXPECT_EQ(layout.codes, (k + TypeParam::dim - 1) / TypeParam::dim);
    EXPECT_EQ(layout.places % L::block, 0);
    EXPECT_EQ(layout.panels * L::height, round_up(n, L::height));
    Index last = -1;
    for (Index c = 0; c < layout.codes; ++c) {
      const Index place = L::place(c);
      ASSERT_GT(place, last);
      ASSERT_LT(place, layout.places);
      const bool starts = c == 0 || L::group_of(c) != L::group_of(c - 1);
      if (starts && L::height == 16) {
        ASSERT_EQ(place % 4, 0);
      }
      if (!starts) {
        ASSERT_EQ(place, last + 1);
      }
      ASSERT_EQ(L::group_of(c), TypeParam::group_inputs == 0 ? 0 : c * TypeParam::dim / TypeParam::group_inputs);
      ASSERT_LT(L::group_of(c), layout.groups);
      last = place;
    }
  }
}

TYPED_TEST(LayoutOf, SectionsFollowEachOtherOnCacheLines) {
  for (const auto& [n, k] : test::awkward_shapes) {
    const Layout<TypeParam> layout(n, k);
    Index end = 0;
    for (std::size_t p = 0; p < layout.planes.count; ++p) {
      EXPECT_EQ(layout.plane_offset[p], end);
      end += layout.panels * layout.panel_bytes(p);
    }
    EXPECT_EQ(layout.scale_offset, end);
    for (Index offset : {layout.scale_offset, layout.zero_offset, layout.table_offset, layout.size}) {
      EXPECT_GE(offset, end);
      EXPECT_EQ(offset % 64, 0);
      end = offset;
    }
  }
}

// The drawing in layout.h.
TEST(Layout, DrawingOfHeight16) {
  using L = Layout<Int<4, Group<32>>>;
  const L layout(40, 100);
  for (Index row = 0; row < 40; ++row) {
    for (Index k = 0; k < 100; ++k) {
      const auto field = layout.field(0, row, L::place(k));
      const Index panel = row / 16 * layout.panel_bytes(0);
      EXPECT_EQ(field.byte, panel + 64 * (k / 8) + 4 * (row % 16) + k % 4);
      EXPECT_EQ(field.shift, k % 8 < 4 ? 0 : 4);
    }
  }
}

struct Vectors : test::Grid {
  static constexpr int bits = 4;
};

TEST(Layout, DrawingOfHeight1) {
  using L = Layout<Scheme<Vectors>>;
  const L layout(3, 600);
  for (Index row = 0; row < 3; ++row) {
    for (Index c = 0; c < 300; ++c) {
      const auto field = layout.field(0, row, c);
      EXPECT_EQ(field.byte, row * layout.panel_bytes(0) + 64 * (c / 128) + c % 64);
      EXPECT_EQ(field.shift, c % 128 < 64 ? 0 : 4);
    }
  }
}

// 16 rows x 8 inputs of 4 bits in a line, 16 inputs of 2 bits, 32 of 1 bit; a group of 10 takes 12 places.
TEST(Layout, Sizes) {
  EXPECT_EQ((Layout<Int<4, Group<32>>>(16, 8).panel_bytes(0)), 64);
  EXPECT_EQ((Layout<Int<2, Group<32>>>(16, 16).panel_bytes(0)), 64);
  EXPECT_EQ((Layout<UInt<1, Group<32>>>(16, 32).panel_bytes(0)), 64);
  EXPECT_EQ((Layout<Int<4, Group<10>>>(16, 40).places), 48);
  EXPECT_EQ((Layout<Int<3, Group<10>>>::place(23)), 27);
  EXPECT_EQ((Layout<Int<4, Group<32>>>(0, 0).size), 0);
}

}  // namespace
}  // namespace nibble
