// Posits against the golden tables, and of other widths against the standard's rule for boundaries.
#include "nibble/formats/posit.h"

#include "formats/golden.h"

namespace nibble {
namespace {

using formats::Posit;
using formats::Posit16;
using formats::Posit8;

TEST(Posit, Values) {
  test::expect_golden_values<Posit8>("posit8");
  test::expect_golden_values<Posit16>("posit16");
}

TEST(Posit, Codes) {
  test::expect_golden_codes("posit8", "standard", [](float x) { return Posit8::encode(x); });
  test::expect_golden_codes("posit16", "standard", [](float x) { return Posit16::encode(x); });
}

// The code of n bits followed by a 1 is, as a posit of n + 1 bits, the boundary to the next code, where ties are even.
template <int N> void expect_boundaries() {
  using F = Posit<N>;
  const auto encode = [](float x) { return std::uint32_t{F::encode(x)}; };
  for (std::uint32_t c = 1; c < F::max_code; ++c) {
    const float boundary = Posit<N + 1>::decode(static_cast<typename Posit<N + 1>::code_type>(2 * c + 1));
    const std::uint32_t negative = code_count<F> - c;
    ASSERT_EQ(encode(boundary), c + c % 2) << N;
    ASSERT_EQ(encode(std::nextafter(boundary, 0.0f)), c);
    ASSERT_EQ(encode(std::nextafter(boundary, INFINITY)), c + 1);
    ASSERT_EQ(encode(-boundary), negative - c % 2);
    ASSERT_EQ(encode(F::decode(static_cast<typename F::code_type>(c))), c);
    ASSERT_EQ(encode(F::decode(static_cast<typename F::code_type>(negative))), negative);
    // Appending a 0 leaves the value as it is.
    ASSERT_EQ(F::decode(static_cast<typename F::code_type>(c)),
              Posit<N + 1>::decode(static_cast<typename Posit<N + 1>::code_type>(2 * c)));
  }
}

TEST(Posit, OtherWidths) {
  expect_boundaries<3>();
  expect_boundaries<4>();
  expect_boundaries<6>();
  expect_boundaries<8>();
  expect_boundaries<12>();
  expect_boundaries<15>();
}

// Source: Standard for Posit Arithmetic (2022).
TEST(Posit, Limits) {
  EXPECT_EQ(Posit8::max(), 0x1p24f);
  EXPECT_EQ(Posit16::max(), 0x1p56f);
  EXPECT_EQ(Posit8::decode(1), 0x1p-24f);
  EXPECT_EQ(Posit16::decode(1), 0x1p-56f);
  EXPECT_EQ(Posit8::decode(0x40), 1);
  EXPECT_EQ(Posit8::decode(0x48), 2);
  EXPECT_EQ(Posit8::decode(0x60), 16);
  EXPECT_EQ(Posit8::encode(1e-38f), 1);
  EXPECT_EQ(Posit8::encode(-1e-38f), 0xff);
  EXPECT_EQ(Posit8::encode(std::numeric_limits<float>::max()), 0x7f);
  EXPECT_EQ(Posit8::encode(std::numeric_limits<float>::denorm_min()), 1);
}

TEST(Posit, WorksAtCompileTime) {
  static_assert(Posit8::encode(4) == 0x50);
  static_assert(Posit16::decode(0x4000) == 1);
}

}  // namespace
}  // namespace nibble
