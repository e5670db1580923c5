// Every kind of scheme through every rule and every rounding with a Hessian: codes in range, no worse than nearest, the
// same for any number of threads.
#include <gtest/gtest.h>
#include <nibble/nibble.h>

#include "rounding/correlated.h"
#include "threads.h"

namespace nibble {
namespace {

template <class S> class EveryScheme : public testing::Test {};
using Schemes = testing::Types<Int<3>, UInt<2, PerTensor>, UInt<4, Group<16>>, Int<4, Group<128>, formats::Half>,
                               Codebook<3>, Codebook<2, Group<32>, PerTensor>, Nf4<32>, MxFp4, NvFp4,
                               BitMod<3, Group<32>>, SuperBlock<3>, Nf4Double<16>, Progressive<32>, Ternary<PerRow>,
                               Ternary5in8<PerRow>, Scheme<formats::Pair11, Group<32>>>;
TYPED_TEST_SUITE(EveryScheme, Schemes);

TYPED_TEST(EveryScheme, TakesEveryRuleAndRounding) {
  using S = TypeParam;
  for (Index k : {150, 7}) {
    const Eigen::MatrixXf w = test::normal(99, k, 1);
    const Hessian h(test::correlated_inputs(k, 200, 2));
    const auto check = [&](const auto& rule, const auto& rounding, double tolerance, const char* name) {
      // The constructor of QuantizedMatrix has checked that codes, scales and choices are in range.
      const auto q = quantize<S>(w, rule, rounding);
      ASSERT_TRUE(q.dequantize().allFinite());
      EXPECT_EQ(quantize<S>(w, rule, rounding, {.threads = 2, .executor = test::threads}), q);
      const double nearest = proxy_loss(w, quantize<S>(w, rule), h);
      EXPECT_LE(proxy_loss(w, q, h), tolerance * nearest) << S::name() << ' ' << k << ' ' << name;
    };
    const auto check_rule = [&](const auto& rule, const char* name) {
      SCOPED_TRACE(name);
      check(rule, Gptq{h}, 1.01, "dynamic");
      check(rule, Gptq{h, {.order = Order::ActOrder, .groups = Groups::Static}}, 1.01, "act-order");
      check(rule, Babai{h}, 1.01, "babai");
    };
    check_rule(DefaultRule<S>{}, "default");
    check_rule(MinMax{}, "min-max");
    check_rule(MinimalError{}, "minimal error");
    if constexpr (S::dim == 1) check(DefaultRule<S>{}, Ldlq{h, {}, Stochastic{3}}, 2.5, "stochastic");
  }
}

}  // namespace
}  // namespace nibble
