// Refinements on a real layer, one scale for each group.
#include "rounding/refined_layer.h"

namespace nibble {
namespace {

TEST(RefinedLayer, OfGroups) {
  test::expect_refined<UInt<2, Group<128>>>();
  test::expect_refined<UInt<3, Group<128>>>();
  test::expect_refined<UInt<4, Group<128>>>();
}

}  // namespace
}  // namespace nibble
