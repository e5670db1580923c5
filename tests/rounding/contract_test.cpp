// What all roundings with a Hessian promise alike: any shape, few samples, equal inputs; how they tell of their
// progress and stop; what they say of a Hessian that cannot be one.
#include <gtest/gtest.h>
#include <nibble/nibble.h>

#include <atomic>

#include "message_of.h"
#include "rounding/correlated.h"
#include "threads.h"

namespace nibble {
namespace {

using Eigen::MatrixXf;
using S = UInt<3, Group<16>>;

/// Calls f(name, rounding) for each of them.
template <class F> void for_each_rounding(const Hessian& h, const Hessian& outputs, const Progress& progress, F&& f) {
  f("Gptq", Gptq{h, {.progress = progress}});
  f("Gptq, by activations", Gptq{h, {.order = Order::ActOrder, .groups = Groups::Static, .progress = progress}});
  f("Babai", Babai{h, {.groups = Groups::Static, .progress = progress}});
  f("Babai, widening", Babai{h, {.groups = Groups::Static, .progress = progress}, 2});
  f("Yaqa", Yaqa{h, outputs, {.progress = progress}});
  f("Comq", Comq{h, {.sweeps = 2, .progress = progress}});
  f("DecoupleQ", DecoupleQ{h, {.rounds = 2, .progress = progress}});
  f("AdaRound", AdaRound{h, {.iterations = 20, .progress = progress}});
  f("AdaQuant", AdaQuant{h, {.iterations = 10, .progress = progress}});
  f("CyclicRounding", Refined{Nearest{}, CyclicRounding{h, {.progress = progress}}});
  f("FitScales", Refined{Nearest{}, FitScales{h, {.progress = progress}}});
}

TEST(EveryRounding, TakesAnyShapeAndFewSamples) {
  for (Index n : {0, 1, 49}) {
    for (Index k : {0, 1, 17}) {
      for (Index samples : {1, 40}) {
        const MatrixXf w = test::normal(n, k, 3);
        MatrixXf x = test::correlated_inputs(k, samples, 4);
        if (k > 5) x.row(5) = x.row(2);  // inputs that cannot be told apart
        const Hessian h(x), outputs(test::correlated_inputs(n, 60, 5, 2, 1.0f));
        const double nearest = proxy_loss(w, quantize<S>(w), h);
        for_each_rounding(h, outputs, {}, [&](const std::string& name, const auto& rounding) {
          SCOPED_TRACE(text(name, ' ', n, " x ", k, ", ", samples));
          const auto q = quantize<S>(w, rounding);
          ASSERT_EQ(q.rows(), n);
          ASSERT_EQ(q.cols(), k);
          EXPECT_TRUE(q.dequantize().allFinite());
          const double loss = proxy_loss(w, q, h);
          // Widening trades resolution, and Yaqa the loss of one side, for something else.
          if (name == "Babai, widening" || name == "Yaqa") return;
          if (k <= 1) {
            EXPECT_LE(loss, nearest * (1 + 1e-6));
          } else if (n == 49) {
            EXPECT_LT(loss, nearest);
          }
        });
      }
    }
  }
}

TEST(EveryRounding, TellsOfItsProgressFromNothingToAll) {
  for (const auto& shape : {std::pair<Index, Index>{100, 20}, {3, 0}, {0, 5}}) {
    const Index n = shape.first, k = shape.second;
    const MatrixXf w = test::normal(n, k, 6);
    const Hessian h(test::correlated_inputs(k, 40, 7)), outputs(test::correlated_inputs(n, 150, 8));
    std::vector<std::pair<Index, Index>> calls;
    std::atomic<int> inside = 0;
    const Progress watch = [&](std::ptrdiff_t done, std::ptrdiff_t total) {
      EXPECT_EQ(inside++, 0) << "by one thread at a time";
      calls.emplace_back(done, total);
      --inside;
      return true;
    };
    for_each_rounding(h, outputs, watch, [&](const char* name, const auto& rounding) {
      SCOPED_TRACE(text(name, ' ', n, " x ", k));
      calls.clear();
      quantize<S>(w, rounding, {.threads = 4, .executor = test::threads});
      ASSERT_FALSE(calls.empty());
      EXPECT_EQ(calls.front().first, 0);
      EXPECT_EQ(calls.back().first, calls.back().second);
      EXPECT_TRUE(std::is_sorted(calls.begin(), calls.end()));
    });
  }
}

TEST(EveryRounding, Stops) {
  const MatrixXf w = test::normal(100, 20, 9);
  const Hessian h(test::correlated_inputs(20, 40, 10)), outputs(test::correlated_inputs(100, 150, 11));
  for (const bool at_once : {true, false}) {
    const Progress cancel = [&](std::ptrdiff_t done, std::ptrdiff_t total) { return !at_once && 2 * done < total; };
    for_each_rounding(h, outputs, cancel, [&](const char* name, const auto& rounding) {
      for (int threads : {1, 4})
        EXPECT_THROW(quantize<S>(w, rounding, {.threads = threads, .executor = test::threads}), Cancelled) << name;
    });
  }
}

TEST(EveryRounding, RejectsAHessianThatIsNoneAndNamesADampingThatHelps) {
  const Index k = 17;
  const MatrixXf w = test::normal(9, k, 12);
  Eigen::MatrixXd m = Eigen::MatrixXd::Identity(k, k);
  m(1, 4) = m(4, 1) = 3;
  const Hessian indefinite = Hessian::from_matrix(m), outputs(test::correlated_inputs(9, 60, 13));
  for_each_rounding(indefinite, outputs, {}, [&](const char* name, const auto& rounding) {
    const std::string message = test::message_of([&] { quantize<S>(w, rounding); });
    EXPECT_NE(message.find("positive definite once damped"), std::string::npos) << name << ": " << message;
    EXPECT_TRUE(message.ends_with("try a damping of 10")) << name << ": " << message;
  });
  for_each_rounding(indefinite.damped(10), outputs, {},
                    [&](const char* name, const auto& rounding) { EXPECT_NO_THROW(quantize<S>(w, rounding)) << name; });
}

TEST(Quantize, TellsOfTablesAndScalesAndStops) {
  const MatrixXf w = test::normal(30, 64, 14);
  const auto check = [&](auto scheme, std::ptrdiff_t steps) {
    using Of = decltype(scheme);
    std::vector<std::ptrdiff_t> calls;
    quantize<Of>(w, MinimalError{}, {.progress = [&](std::ptrdiff_t done, std::ptrdiff_t total) {
                   EXPECT_EQ(total, steps);
                   calls.push_back(done);
                   return true;
                 }});
    EXPECT_EQ(calls.front(), 0);
    EXPECT_EQ(calls.back(), steps);
    EXPECT_TRUE(std::is_sorted(calls.begin(), calls.end()));
    const Progress cancel = [&](std::ptrdiff_t done, std::ptrdiff_t) { return done < 20; };
    EXPECT_EQ(test::message_of<Cancelled>([&] {
                quantize<Of>(w, MinimalError{}, {.threads = 3, .executor = test::threads, .progress = cancel});
              }),
              "nibble::quantize: cancelled");
  };
  check(Int<4, Group<16>>{}, 30);
  check(Codebook<2>{}, 60);
  check(Int<4, PerTensor>{}, 30);
}

TEST(EveryRounding, StopsWhileItFactorises) {
  const Index k = 300;  // four blocks of the factorisation
  const MatrixXf w = test::normal(2, k, 15);
  int asked = 0;
  const Progress cancel = [&](std::ptrdiff_t done, std::ptrdiff_t) {
    EXPECT_EQ(done, 0);
    return ++asked < 3;
  };
  EXPECT_THROW(quantize<Int<4>>(w, Gptq{Hessian(test::normal(k, 400, 16)), {.progress = cancel}}), Cancelled);
  asked = 0;
  EXPECT_THROW(split_salient(w, Hessian(test::normal(k, 400, 17)), 0.01, {.progress = cancel}), Cancelled);
}

}  // namespace
}  // namespace nibble
