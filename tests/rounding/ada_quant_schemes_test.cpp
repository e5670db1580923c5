// AdaQuant with every kind of scheme: never above nearest, the same for any number of threads.
#include <gtest/gtest.h>
#include <nibble/rounding.h>

#include "rounding/learned.h"

namespace nibble {
namespace {

template <class S> class AdaQuantSchemes : public testing::Test {};
TYPED_TEST_SUITE(AdaQuantSchemes, test::ScalarSchemes);

TYPED_TEST(AdaQuantSchemes, BeatsNearest) {
  const Hessian h(test::correlated_inputs(70, 200, 2));
  test::expect_better<TypeParam>(test::normal(51, 70, 1), h, AdaQuant{h, {.iterations = 60, .rate = 0.03f}});
}

TEST(AdaQuant, TakesVectors) {
  const Hessian h(test::correlated_inputs(70, 200, 2));
  const AdaQuant learned{h, {.iterations = 60, .rate = 0.03f}};
  test::expect_better<Scheme<formats::Pair11, Group<32>>>(test::normal(51, 70, 1), h, learned);
  test::expect_better<Ternary5in8<PerRow>>(test::normal(51, 70, 1), h, learned);
}

}  // namespace
}  // namespace nibble
