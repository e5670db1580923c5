// DecoupleQ: from GPTQ's loss downwards, and the rule that holds scales as they are.
#include <gtest/gtest.h>
#include <nibble/nibble.h>

#include "message_of.h"
#include "oracle/column_rounding.h"
#include "rounding/correlated.h"

namespace nibble {
namespace {

using Eigen::MatrixXf;

template <class S> void expect_monotone() {
  const MatrixXf w = test::normal(70, 60, 1);
  const Hessian h(test::correlated_inputs(60, 120, 2));
  std::vector<double> losses;
  const auto q = quantize<S>(w, DecoupleQ{h, {.rounds = 5, .losses = &losses}});
  ASSERT_GT(losses.size(), 2u);
  const auto exact = [&](const QuantizedMatrix<S>& m) {
    return oracle::loss(w.cast<double>() - Eigen::MatrixXd(Eigen::MatrixXf(m.dequantize()).cast<double>()), h.matrix());
  };
  EXPECT_NEAR(losses.front(), exact(quantize<S>(w, Gptq{h})), 1e-9 * losses.front());
  EXPECT_NEAR(losses.back(), exact(q), 1e-9 * losses.front());
  for (std::size_t i = 1; i < losses.size(); ++i) EXPECT_LE(losses[i], losses[i - 1] * (1 + 1e-6)) << S::name() << i;
  EXPECT_LT(losses.back(), 0.8 * losses.front()) << S::name();
  // More than what refines GPTQ's codes alone.
  EXPECT_LT(losses.back(), exact(quantize<S>(w, Refined{Gptq{h}, FitScales{h}, CyclicRounding{h}}))) << S::name();
}

TEST(DecoupleQ, LowersTheLossOfGptqRoundByRound) {
  expect_monotone<UInt<2, Group<16>>>();
  expect_monotone<UInt<2, PerTensor>>();
}

TEST(DecoupleQ, HoldsScalesWhileItChoosesCodes) {
  using S = UInt<2, Group<16>>;
  const RowMajorMatrixXf w = test::normal(20, 50, 3);
  const Hessian h(test::correlated_inputs(50, 90, 4));
  Parts<S> parts = quantize<S>(w).parts();
  for (Index i = 0; i < parts.zeros.size(); ++i) parts.zeros.data()[i] = static_cast<std::uint8_t>(i % 4);
  const Parts<S> held = parts;
  Gptq{h, {.groups = Groups::Static}}.round(w, rounding::HeldScales<S>{held}, parts);
  EXPECT_EQ(parts.scales, held.scales);
  EXPECT_EQ(parts.zeros, held.zeros);
  EXPECT_NE(parts.codes, held.codes);
}

TEST(DecoupleQ, TellsOfItsProgressStopsAndRejectsBadInput) {
  using S = UInt<2, Group<16>>;
  const MatrixXf w = test::normal(60, 20, 5);
  const Hessian h(test::correlated_inputs(20, 40, 6));
  std::vector<std::ptrdiff_t> seen;
  const Progress watch = [&](std::ptrdiff_t done, std::ptrdiff_t total) {
    EXPECT_EQ(total, 60 * 9);
    seen.push_back(done);
    return true;
  };
  const auto q = quantize<S>(w, DecoupleQ{h, {.rounds = 2, .progress = watch}});
  EXPECT_EQ(seen.front(), 0);
  EXPECT_EQ(seen.back(), 60 * 9);
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
  EXPECT_EQ((quantize<S>(w, DecoupleQ{h, {.rounds = 2}})), q);
  EXPECT_EQ((quantize<S>(w, DecoupleQ{h, {.rounds = 0}})), (quantize<S>(w, Gptq{h})));
  const Progress cancel = [&](std::ptrdiff_t done, std::ptrdiff_t) { return done < 200; };
  EXPECT_NE(test::message_of<Cancelled>([&] { quantize<S>(w, DecoupleQ{h, {.progress = cancel}}); }), "");
  const auto message = [&](const DecoupleQ& method) { return test::message_of([&] { quantize<S>(w, method); }); };
  EXPECT_EQ(message({Hessian(3)}), "nibble::DecoupleQ: expected a Hessian of 20 inputs, got 3");
  EXPECT_EQ(message({h, {.rounds = -1}}), "nibble::DecoupleQ: expected at least 0 rounds and sweeps, got -1, 4");
  for (Index n : {0, 3}) EXPECT_EQ((quantize<S>(MatrixXf(n, 0), DecoupleQ{Hessian(0)}).rows()), n);
  for (Index n : {0, 1})
    EXPECT_EQ((quantize<S>(test::normal(n, 1, 7), DecoupleQ{Hessian(test::normal(1, 3, 8))}).rows()), n);
}

}  // namespace
}  // namespace nibble
