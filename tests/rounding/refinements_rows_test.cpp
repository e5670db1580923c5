// Refinements on a real layer, one scale for each row.
#include "rounding/refined_layer.h"

namespace nibble {
namespace {

TEST(RefinedLayer, OfRows) {
  test::expect_refined<UInt<2>>();
  test::expect_refined<UInt<3>>();
  test::expect_refined<UInt<4>>();
}

}  // namespace
}  // namespace nibble
