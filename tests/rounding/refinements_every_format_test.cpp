// Every refinement after nearest and GPTQ, for floats, codebooks and vectors.
#include "rounding/refinements.h"

namespace nibble {
namespace {

template <class S> class Refinements : public testing::Test {};
using Schemes = testing::Types<Codebook<3>, Codebook<2, Group<32>, PerTensor>, Nf4<32>, MxFp4, NvFp4,
                               BitMod<3, Group<32>>, Nf4Double<16>, Scheme<formats::Pair11, Group<32>>>;
TYPED_TEST_SUITE(Refinements, Schemes);

TYPED_TEST(Refinements, NeverIncreaseTheLoss) {
  test::expect_refinements<TypeParam>();
}

}  // namespace
}  // namespace nibble
