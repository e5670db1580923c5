// HiFloat8 against the golden tables: every code, every half, every edge, both overflow rules.
#include "nibble/formats/hifloat8.h"

#include "formats/golden.h"

namespace nibble {
namespace {

using formats::HiFloat8;
using formats::Overflow;

TEST(HiFloat8, Values) {
  test::expect_golden_values<HiFloat8>("hif8");
}

TEST(HiFloat8, Codes) {
  test::expect_golden_codes("hif8", "saturate", [](float x) { return HiFloat8::encode(x); });
  test::expect_golden_codes("hif8", "saturate", [](float x) { return HiFloat8::encode<Overflow::Saturate>(x); });
  test::expect_golden_codes("hif8", "standard", [](float x) { return HiFloat8::encode<Overflow::Standard>(x); });
}

// The facts of the HiFloat8 paper: range, gaps and the rounding at the ends.
TEST(HiFloat8, Limits) {
  EXPECT_EQ(HiFloat8::max(), 32768);
  EXPECT_EQ(HiFloat8::decode(0x6e), 32768);
  EXPECT_EQ(HiFloat8::decode(1), 0x1p-22f);
  EXPECT_EQ(HiFloat8::decode(0x08), 1);
  EXPECT_EQ(HiFloat8::encode<Overflow::Standard>(40960), 0x6f);
  EXPECT_EQ(HiFloat8::encode<Overflow::Standard>(40959), 0x6e);
  EXPECT_EQ(HiFloat8::encode(1e9f), 0x6e);
  EXPECT_EQ(HiFloat8::encode(-1e9f), 0xee);
  EXPECT_EQ(HiFloat8::encode(0x1p-23f), 1);
  EXPECT_EQ(HiFloat8::encode(-0.0f), 0);
}

TEST(HiFloat8, WorksAtCompileTime) {
  static_assert(HiFloat8::encode(1.0625f) == 0x09);
  static_assert(HiFloat8::decode(0x09) == 1.125f);
}

}  // namespace
}  // namespace nibble
