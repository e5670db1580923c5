// AdaRound with every kind of scheme: up and down only, never above nearest, the same for any number of threads.
#include <gtest/gtest.h>
#include <nibble/rounding.h>

#include "rounding/learned.h"

namespace nibble {
namespace {

template <class S> class AdaRoundSchemes : public testing::Test {};
TYPED_TEST_SUITE(AdaRoundSchemes, test::ScalarSchemes);

TYPED_TEST(AdaRoundSchemes, BeatsNearest) {
  const Hessian h(test::correlated_inputs(70, 200, 2));
  test::expect_better<TypeParam>(test::normal(51, 70, 1), h, AdaRound{h, {.iterations = 60}});
}

TYPED_TEST(AdaRoundSchemes, GoesUpOrDown) {
  using S = TypeParam;
  const Eigen::MatrixXf w = test::normal(51, 37, 3);
  const Hessian h(test::correlated_inputs(37, 100, 4));
  const auto nearest = quantize<S>(w), q = quantize<S>(w, AdaRound{h, {.iterations = 40}});
  const auto parts = q.parts();
  EXPECT_EQ(parts.scales, nearest.parts().scales);
  const Eigen::MatrixXf dense = q.dequantize(), other = nearest.dequantize();
  Index moved = 0;
  for (Index i = 0; i < w.rows(); ++i) {
    for (Index j = 0; j < w.cols(); ++j) {
      const Index g = S::group_inputs == 0 ? 0 : j / std::max(S::group_inputs, 1);
      const auto params = parts.group(i, g);
      const Quantizer<S> quantizer(parts, i, g);
      // All values that encode chooses there, and the nearest of them on either side.
      float below = -std::numeric_limits<float>::infinity(), above = -below;
      for (std::uint32_t code = 0; code < code_count<typename S::format>; ++code) {
        float value = 0;
        Quantizer<S> of_choice = quantizer;
        of_choice.side.choice = params.choice;
        of_choice.decode(static_cast<typename S::code_type>(code), params, &value);
        if (of_choice.encode(&value, params) != code) continue;
        if (value <= w(i, j)) below = std::max(below, value);
        if (value >= w(i, j)) above = std::min(above, value);
      }
      const float slack = 1e-5f * (std::abs(w(i, j)) + params.scale);
      EXPECT_TRUE(std::abs(dense(i, j) - below) <= slack || std::abs(dense(i, j) - above) <= slack)
          << S::name() << ' ' << w(i, j) << ": " << below << ", " << above << ", got " << dense(i, j);
      moved += dense(i, j) != other(i, j);
    }
  }
  EXPECT_GT(moved, 0);
}

}  // namespace
}  // namespace nibble
