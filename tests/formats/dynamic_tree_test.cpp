// The dynamic maps against the golden tables.
#include "nibble/formats/dynamic_tree.h"

#include "formats/golden.h"

namespace nibble {
namespace {

using formats::DynamicSigned;
using formats::DynamicUnsigned;

// A tie goes to the even one of the codes that the tables for ties downwards and upwards give.
template <class F> void expect_golden(const std::string& name) {
  test::expect_golden_values<F>(name);
  for (const std::string kind : {"edge", "half"}) {
    std::vector<float> inputs = kind == "edge" ? test::golden_floats(name + ".edge_x") : test::every_half();
    const auto lower = test::golden(name + "." + kind + ".lower");
    const auto upper = test::golden(name + "." + kind + ".upper");
    ASSERT_EQ(inputs.size(), lower.size());
    std::vector<std::uint32_t> expected;
    int ties = 0;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      expected.push_back(lower[i] % 2 == 0 ? lower[i] : upper[i]);
      ties += lower[i] != upper[i];
    }
    if (kind == "edge") {
      EXPECT_GT(ties, 0);
    }
    test::expect_codes(inputs, expected, [](float x) { return F::encode(x); });
  }
}

TEST(DynamicTree, Signed) {
  expect_golden<DynamicSigned>("dynamic_signed");
  EXPECT_EQ(DynamicSigned::max(), 1);
}

TEST(DynamicTree, Unsigned) {
  expect_golden<DynamicUnsigned>("dynamic_unsigned");
  EXPECT_EQ(DynamicUnsigned::max(), 1);
}

// The largest magnitudes below 1 are the means of 64 (128) steps of 0.9 from 0.1: 0.55 + 0.45 (1 - 1 / 64).
TEST(DynamicTree, ClosedForm) {
  EXPECT_EQ(DynamicSigned::decode(0), -0.99296875f);
  EXPECT_EQ(DynamicSigned::decode(127), 0);
  EXPECT_EQ(DynamicSigned::decode(128), 0.55e-6f);
  EXPECT_EQ(DynamicSigned::decode(255), 1);
  EXPECT_EQ(DynamicUnsigned::decode(0), 0);
  EXPECT_EQ(DynamicUnsigned::decode(1), 0.325e-6f);
  EXPECT_EQ(DynamicUnsigned::decode(254), 0.996484375f);
}

}  // namespace
}  // namespace nibble
