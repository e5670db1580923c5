// Rounding with a Hessian on both sides: against the paper's formula, and where it becomes LDLQ.
#include <gtest/gtest.h>
#include <nibble/nibble.h>

#include "message_of.h"
#include "oracle/column_rounding.h"
#include "rounding/correlated.h"
#include "threads.h"

namespace nibble {
namespace {

using Eigen::MatrixXd;
using Eigen::MatrixXf;

Hessian outputs_of(Index n, unsigned seed) {
  return Hessian(test::correlated_inputs(n, 2 * n + 3, seed, 3, 0.5f));
}

MatrixXd error_of(const MatrixXf& w, const MatrixXf& q) {
  return w.cast<double>() - q.cast<double>();
}

double two_sided(const MatrixXd& e, const Hessian& inputs, const Hessian& outputs) {
  return (outputs.matrix() * e * inputs.matrix() * e.transpose()).trace();
}

TEST(Yaqa, IsTheFormulaOfThePaper) {
  for (const auto& [n, k] : std::vector<std::pair<Index, Index>>{{1, 9}, {16, 20}, {37, 31}, {50, 1}}) {
    const MatrixXf w = test::normal(n, k, 1);
    const Hessian inputs = Hessian(test::correlated_inputs(k, 90, 2)).damped(0.01),
                  outputs = outputs_of(n, 3).damped(0.01);
    double loss = -1;
    const auto q = quantize<Int<4>>(w, AbsMax{}, Yaqa{inputs, outputs, {.damping = 0, .loss = &loss}});
    const MatrixXf got = q.dequantize();
    const auto parts = q.parts();
    const MatrixXd expected =
        oracle::yaqa(w.cast<double>(), inputs.matrix(), outputs.matrix(), [&](double target, Index i, Index) {
          const double scale = parts.group(i, 0).scale;
          return scale * std::clamp(std::nearbyint(target / scale), -7.0, 7.0);
        });
    // Targets are floats: one that lies between two codes may fall to either, and the next ones follow.
    const auto differ = ((got.cast<double>() - expected).array().abs() > 1e-4).count();
    EXPECT_LE(differ, n * k / 200) << n << " x " << k;
    EXPECT_NEAR(loss, two_sided(error_of(w, got), inputs, outputs), 1e-5 * loss + 1e-9) << n << " x " << k;
  }
}

template <class S> void expect_ldlq() {
  const MatrixXf w = test::normal(45, 75, 4);
  const Hessian inputs(test::correlated_inputs(75, 120, 5));
  const Hessian same = Hessian::from_matrix(3.7 * MatrixXd::Identity(45, 45));
  for (const ColumnOptions& options :
       {ColumnOptions{}, ColumnOptions{.order = Order::ActOrder, .groups = Groups::Static},
        ColumnOptions{.block = 7, .groups = Groups::Static}}) {
    EXPECT_EQ((quantize<S>(w, Yaqa{inputs, same, options})), (quantize<S>(w, Gptq{inputs, options}))) << S::name();
  }
}

TEST(Yaqa, IsLdlqWhereOutputsCountAlikeAndAlone) {
  expect_ldlq<Int<3>>();
  expect_ldlq<UInt<4, Group<16>>>();
  expect_ldlq<MxFp4>();
  expect_ldlq<Codebook<3>>();
  expect_ldlq<BitMod<3, Group<32>>>();
  expect_ldlq<Int<2, PerTensor>>();
  expect_ldlq<Scheme<formats::Pair11, Group<32>>>();
}

TEST(Yaqa, BeatsLdlqUnderBothHessians) {
  double ours = 0, one_sided = 0, nearest = 0;
  for (unsigned seed = 0; seed < 5; ++seed) {
    const MatrixXf w = test::normal(60, 64, 10 * seed);
    const Hessian inputs(test::correlated_inputs(64, 200, 10 * seed + 1)), outputs = outputs_of(60, 10 * seed + 4);
    const auto loss = [&](const auto& rounding) {
      return two_sided(error_of(w, quantize<UInt<3, Group<32>>>(w, rounding).dequantize()), inputs, outputs);
    };
    ours += loss(Yaqa{inputs, outputs});
    one_sided += loss(Gptq{inputs});
    nearest += loss(Nearest{});
  }
  EXPECT_LT(ours, 0.6 * one_sided);
  EXPECT_LT(one_sided, nearest);
}

TEST(Yaqa, DoesNotDependOnThreads) {
  const MatrixXf w = test::normal(53, 700, 6);
  const Hessian inputs(test::correlated_inputs(700, 90, 7)), outputs = outputs_of(53, 8);
  const Yaqa yaqa{inputs, outputs};
  EXPECT_EQ((quantize<UInt<3, Group<64>>>(w, yaqa)),
            (quantize<UInt<3, Group<64>>>(w, yaqa, {.threads = 3, .executor = test::threads})));
}

TEST(Yaqa, TakesWhatIsEmpty) {
  double loss = -1;
  const Hessian none(0), three(test::correlated_inputs(3, 9, 1));
  EXPECT_EQ((quantize<Int<4>>(MatrixXf(0, 3), Yaqa{three, none, {.loss = &loss}}).rows()), 0);
  EXPECT_EQ(loss, 0);
  EXPECT_EQ((quantize<Int<4>>(MatrixXf(3, 0), Yaqa{none, three}).cols()), 0);
}

TEST(Yaqa, SaysWhatIsWrong) {
  const MatrixXf w = test::normal(5, 6, 1);
  const Hessian five(test::correlated_inputs(5, 9, 1)), six(test::correlated_inputs(6, 9, 1));
  const auto message = [&](const Yaqa& yaqa) { return test::message_of([&] { quantize<Int<4>>(w, yaqa); }); };
  EXPECT_EQ(message({six, six}), "nibble::Yaqa: expected a Hessian of 5 outputs, got 6");
  EXPECT_EQ(message({five, five}), "nibble::Yaqa: expected a Hessian of 6 inputs, got 5");
  EXPECT_EQ(message({six, Hessian(5)}), "nibble::Yaqa: expected a Hessian of samples that count, got 0 samples");
  EXPECT_NE(message({six, Hessian::from_matrix(MatrixXd::Ones(5, 5)), {.damping = 0}}).find("try a damping of"),
            std::string::npos);
  EXPECT_THROW(quantize<Int<4>>(w, Yaqa{six, five, {.progress = [](auto, auto) { return false; }}}), Cancelled);
}

}  // namespace
}  // namespace nibble
