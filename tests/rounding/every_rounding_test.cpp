// Roundings that take turns, learn or know both sides, for every kind of scheme: codes in range, no worse than nearest,
// the same for any number of threads. (The column solver's are in every_scheme_test.cpp.)
#include <gtest/gtest.h>
#include <nibble/nibble.h>

#include "rounding/correlated.h"
#include "threads.h"

namespace nibble {
namespace {

template <class S> class EveryRounding : public testing::Test {};
using Schemes = testing::Types<Int<3>, UInt<2, PerTensor>, UInt<4, Group<16>>, Codebook<2, Group<32>, PerTensor>, MxFp4,
                               NvFp4, BitMod<3, Group<32>>, Scheme<formats::Pair11, Group<32>>>;
TYPED_TEST_SUITE(EveryRounding, Schemes);

TYPED_TEST(EveryRounding, IsNoWorseThanNearest) {
  using S = TypeParam;
  for (Index k : {150, 7}) {
    const Eigen::MatrixXf w = test::normal(53, k, 1);
    const Hessian h(test::correlated_inputs(k, 200, 2)), outputs(test::correlated_inputs(53, 200, 3, 1, 1.0f));
    const auto two_sided = [&](const auto& q) {
      const Eigen::MatrixXd e = w.cast<double>() - q.dequantize().template cast<double>();
      return (outputs.matrix() * e * h.matrix() * e.transpose()).trace();
    };
    const auto check = [&](const auto& rounding, const auto& loss, const char* name, double tolerance = 1.01) {
      SCOPED_TRACE(text(S::name(), ' ', k, ' ', name));
      // The constructor of QuantizedMatrix has checked that codes, scales and choices are in range.
      const auto q = quantize<S>(w, rounding);
      ASSERT_TRUE(q.dequantize().allFinite());
      EXPECT_EQ(quantize<S>(w, rounding, {.threads = 2, .executor = test::threads}), q);
      EXPECT_LE(loss(q), tolerance * loss(quantize<S>(w)));
    };
    const auto one_sided = [&](const auto& q) { return proxy_loss(w, q, h); };
    check(Yaqa{h, outputs}, two_sided, "yaqa");
    check(Yaqa{h, outputs, {.order = Order::ActOrder, .groups = Groups::Static}}, two_sided, "yaqa, act-order");
    check(Comq{h}, one_sided, "comq");
    check(DecoupleQ{h, {.rounds = 2}}, one_sided, "decoupleQ");
    check(AdaQuant{h, {.iterations = 20}}, one_sided, "adaquant");
    if constexpr (S::dim == 1) check(AdaRound{h, {.iterations = 60}}, one_sided, "adaround");
    if constexpr (S::dim == 1 && S::table_size == 0)
      check(Babai{h, {.groups = Groups::Static}, 5}, one_sided, "babai, of steps as wide as it takes", 5);
  }
}

}  // namespace
}  // namespace nibble
