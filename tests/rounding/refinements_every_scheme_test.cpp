// Every refinement after nearest and GPTQ, for every kind of scheme of integers and the like.
#include "rounding/refinements.h"

namespace nibble {
namespace {

template <class S> class Refinements : public testing::Test {};
using Schemes = testing::Types<Int<3>, UInt<2, PerTensor>, UInt<4, Group<16>>, Int<4, Group<128>, formats::Half>,
                               SuperBlock<3>, Progressive<32>, Ternary<PerRow>, Ternary5in8<PerRow>>;
TYPED_TEST_SUITE(Refinements, Schemes);

TYPED_TEST(Refinements, NeverIncreaseTheLoss) {
  test::expect_refinements<TypeParam>();
}

}  // namespace
}  // namespace nibble
