// Comq: the steps that it is made of, losses that only fall; Refined.
#include <gtest/gtest.h>
#include <nibble/nibble.h>

#include "message_of.h"
#include "oracle/column_rounding.h"
#include "rounding/correlated.h"

namespace nibble {
namespace {

using Eigen::MatrixXf;
using S = UInt<2, Group<16>>;

double exact_loss(const MatrixXf& w, const QuantizedMatrix<S>& q, const Hessian& h) {
  return oracle::loss(w.cast<double>() - Eigen::MatrixXd(q.dequantize().cast<double>()), h.matrix());
}

TEST(Comq, IsSweepsAndScalesInTurn) {
  const MatrixXf w = test::normal(70, 50, 1);
  const Hessian h(test::correlated_inputs(50, 90, 2));
  const CyclicRounding greedy{h, {.sweeps = 1, .greedy = true}}, in_order{h, {.sweeps = 1}};
  const FitScales scales{h};
  EXPECT_EQ(quantize<S>(w, Comq{h, {.sweeps = 2}}), quantize<S>(w, Refined(Nearest{}, greedy, scales, greedy, scales)));
  EXPECT_EQ(quantize<S>(w, Comq{h, {.sweeps = 2, .greedy = false, .scales = false}}),
            quantize<S>(w, Refined(Nearest{}, in_order, in_order)));
  EXPECT_EQ(quantize<S>(w, Comq{h, {.sweeps = 0}}), quantize<S>(w));
  EXPECT_EQ(quantize<S>(w, Refined(Nearest{})), quantize<S>(w));
}

TEST(Comq, LowersTheLossStepByStepToThatOfGptq) {
  const MatrixXf w = test::normal(70, 100, 3);
  const Hessian h(test::correlated_inputs(100, 200, 4));
  std::vector<double> losses;
  const auto q = quantize<S>(w, Comq{h, {.sweeps = 20, .losses = &losses}});
  ASSERT_GT(losses.size(), 3u);
  EXPECT_NEAR(losses.front(), exact_loss(w, quantize<S>(w), h), 1e-9 * losses.front());
  EXPECT_NEAR(losses.back(), exact_loss(w, q, h), 1e-9 * losses.front());
  for (std::size_t i = 1; i < losses.size(); ++i) EXPECT_LE(losses[i], losses[i - 1] * (1 + 1e-6)) << i;
  EXPECT_LT(losses[1], 0.5 * losses[0]);
  EXPECT_LT(losses.back(), exact_loss(w, quantize<S>(w, Gptq{h}), h));
}

TEST(Comq, TellsOfItsProgressStopsAndRejectsBadInput) {
  const MatrixXf w = test::normal(100, 20, 5);
  const Hessian h(test::correlated_inputs(20, 40, 6));
  std::vector<std::ptrdiff_t> seen;
  const Progress watch = [&](std::ptrdiff_t done, std::ptrdiff_t total) {
    EXPECT_EQ(total, 400);
    seen.push_back(done);
    return true;
  };
  quantize<S>(w, Comq{h, {.sweeps = 2, .progress = watch}});
  EXPECT_EQ(seen.front(), 0);
  EXPECT_EQ(seen.back(), 400);
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
  const Progress cancel = [&](std::ptrdiff_t done, std::ptrdiff_t) { return done < 148; };
  EXPECT_NE(test::message_of<Cancelled>([&] { quantize<S>(w, Comq{h, {.progress = cancel}}); }), "");
  const auto message = [&](const Comq& comq) { return test::message_of([&] { quantize<S>(w, comq); }); };
  EXPECT_EQ(message({Hessian(3)}), "nibble::Comq: expected a Hessian of 20 inputs, got 3");
  EXPECT_EQ(message({Hessian(20)}), "nibble::Comq: expected a Hessian of samples that count, got 0 samples");
  EXPECT_EQ(message({h, {.sweeps = -1}}), "nibble::Comq: expected at least 0 sweeps, got -1");
  std::vector<double> losses;
  for (Index n : {0, 3}) EXPECT_EQ((quantize<S>(MatrixXf(n, 0), Comq{Hessian(0), {.losses = &losses}}).rows()), n);
  EXPECT_EQ(losses, (std::vector<double>{0, 0}));
}

}  // namespace
}  // namespace nibble
