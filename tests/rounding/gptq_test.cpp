// GPTQ, LDLQ and Babai: exact identities against the papers' algorithms in double; orders, blocks, threads, bad input.
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

/// One step for all weights, so that nothing is clipped.
struct FixedStep {
  float step;
  template <class S> GroupParams<S> operator()(const WeightGroup&, const Quantizer<S>& quantizer) const {
    return quantizer.params({-step * quantizer.top(), step * quantizer.top()});
  }
};
constexpr float step = 0.125f;
using Wide = Int<12>;

MatrixXd in_double(const MatrixXf& m) {
  return m.cast<double>();
}

double rounded(double w, Index) {
  return std::nearbyint(w / static_cast<double>(step)) * static_cast<double>(step);
}

TEST(Gptq, EqualsTheAlgorithmsOfThePapersWithoutClipping) {
  for (Index k : {1, 2, 33, 130}) {
    const MatrixXf w = test::normal(40, k, 1);
    const Hessian h(test::correlated_inputs(k, 3 * k, 2));
    const MatrixXd damped = h.damped(0.01).matrix();
    const MatrixXf gptq = quantize<Wide>(w, FixedStep{step}, Gptq{h}).dequantize();
    const MatrixXf babai = quantize<Wide>(w, FixedStep{step}, Babai{h}).dequantize();
    EXPECT_EQ(gptq, quantize<Wide>(w, FixedStep{step}, Ldlq{h}).dequantize());
    Index same_gptq = 0, same_ldlq = 0, same_babai = 0;
    for (Index i = 0; i < w.rows(); ++i) {
      const Eigen::VectorXd row = in_double(w).row(i).transpose();
      const Eigen::VectorXd a = oracle::gptq(row, damped, rounded), b = oracle::babai(row, damped, rounded);
      const Eigen::VectorXd c = oracle::ldlq(row, damped, rounded);
      same_gptq += (a.transpose().cast<float>().array() == gptq.row(i).array()).count();
      same_ldlq += (c.transpose().cast<float>().array() == gptq.row(i).array()).count();
      same_babai += (b.transpose().cast<float>().array() == babai.row(i).array()).count();
    }
    EXPECT_GE(static_cast<double>(same_gptq), 0.999 * static_cast<double>(w.size())) << k;
    EXPECT_GE(static_cast<double>(same_ldlq), 0.999 * static_cast<double>(w.size())) << k;
    EXPECT_GE(static_cast<double>(same_babai), 0.999 * static_cast<double>(w.size())) << k;
  }
}

// Chen et al., "The geometry of LLM quantization": Babai is GPTQ from back to front.
TEST(Gptq, OfReversedInputsIsBabai) {
  const MatrixXf w = test::normal(20, 50, 3), x = test::correlated_inputs(50, 90, 4);
  const auto reversed =
      quantize<Wide>(w.rowwise().reverse(), FixedStep{step}, Gptq{Hessian(x.colwise().reverse())}).dequantize();
  EXPECT_EQ(quantize<Wide>(w, FixedStep{step}, Babai{Hessian(x)}).dequantize(), reversed.rowwise().reverse());
}

// Its error is that of single targets, floats, and averages out over the rows: some 1e-6 of 50 rows, less of more.
template <class S> void expect_loss(Index k, const ColumnOptions& options) {
  const MatrixXf w = test::normal(500, k, 5);
  const Hessian h(test::correlated_inputs(k, 60, 6));
  ColumnOptions with_loss = options;
  double loss = -1;
  with_loss.loss = &loss;
  const auto q = quantize<S>(w, Gptq{h, with_loss});
  const MatrixXd error = in_double(w) - in_double(q.dequantize());
  const double exact = oracle::loss(error, h.damped(options.damping).matrix());
  EXPECT_NEAR(loss, exact, 1e-6 * exact) << S::name() << ' ' << k;
  EXPECT_NEAR(proxy_loss(w, q, h), oracle::loss(error, h.matrix()), 1e-9 * exact);
}

TEST(Gptq, ReportsItsLoss) {
  for (Index k : {1, 17, 96, 131}) {
    expect_loss<Int<4>>(k, {});
    expect_loss<UInt<2, Group<16>>>(k, {.damping = 0.1});
    expect_loss<UInt<3, Group<16>>>(k, {.block = 5, .order = Order::ActOrder, .groups = Groups::Static});
    expect_loss<Scheme<formats::Pair11, Group<16>>>(k, {.order = Order::BackToFront, .groups = Groups::Static});
    expect_loss<Ternary3in5<PerRow>>(k, {.order = Order::ActOrder});
    expect_loss<MxFp4>(k, {.block = 32});
  }
}

/// Ranges that clip many weights.
struct Narrow {
  template <class S> GroupParams<S> operator()(const WeightGroup& group, const Quantizer<S>& quantizer) const {
    const Range range = MinMax::range(group.weights);
    return quantizer.params({range.low * 0.4f, range.high * 0.4f});
  }
};

/// The sum of (s / 2)^2 D over all weights.
template <class S> double bound_of(const QuantizedMatrix<S>& q, const Hessian& h) {
  // D backwards: H = L D L^T with the lower triangular L, by Cholesky.
  const Eigen::VectorXd d = MatrixXd(Eigen::LLT<MatrixXd>(h.matrix()).matrixL()).diagonal().cwiseAbs2();
  const auto parts = q.parts();
  double bound = 0;
  for (Index i = 0; i < q.rows(); ++i)
    for (Index j = 0; j < q.cols(); ++j)
      bound += std::pow(static_cast<double>(parts.group(i, S::group_inputs == 0 ? 0 : j / S::group_inputs).scale), 2) /
               4 * d[j];
  return bound;
}

template <class S> void expect_bound() {
  int clipped_exceed = 0;
  for (unsigned seed = 0; seed < 8; ++seed) {
    const MatrixXf w = test::normal(seed == 0 ? 1 : 40, 64, 40 + seed);
    const Hessian h = Hessian(test::correlated_inputs(64, 40, 50 + seed, 3, 0.05f)).damped(0.01);
    const ColumnOptions options{.damping = 0, .groups = Groups::Static};
    const auto clipped = quantize<S>(w, Narrow{}, Babai{h, options});
    const auto wide = quantize<S>(w, Narrow{}, Babai{h, options, 40});
    clipped_exceed += proxy_loss(w, clipped, h) > bound_of(clipped, h);
    EXPECT_LE(proxy_loss(w, wide, h), bound_of(wide, h)) << S::name() << ' ' << seed;
    const auto narrow = clipped.parts(), widened = wide.parts();
    for (Index i = 0; i < widened.scales.rows(); ++i)
      for (Index g = 0; g < widened.scales.cols(); ++g) EXPECT_GE(widened.group(i, g).scale, narrow.group(i, g).scale);
  }
  EXPECT_GT(clipped_exceed, 0) << S::name();  // else nothing was shown
}

TEST(Babai, KeepsItsBoundOnceGridsAreWideEnough) {
  expect_bound<Int<3>>();
  expect_bound<UInt<2, Group<16>>>();
  expect_bound<Int<4, Group<32>, formats::Half>>();
  expect_bound<UInt<3, PerTensor>>();
}

struct Tight {
  template <class S> GroupParams<S> operator()(const WeightGroup&, const Quantizer<S>& quantizer) const {
    return quantizer.params({-0.1f, 0.1f});
  }
};

TEST(Babai, WidensASharedScaleNoFurtherThanTheLargestTarget) {
  using S = Scheme<formats::Int<3>, PerTensor>;
  const Hessian h = Hessian::from_matrix(MatrixXd::Constant(1, 1, 2));
  const MatrixXf w = MatrixXf::Ones(64, 1);
  const auto q = quantize<S>(w, Tight{}, Babai{h, {.groups = Groups::Static}, 1});
  EXPECT_TRUE(q.dequantize().isApprox(w, 1e-6f)) << q.group(0, 0).scale;
  // A side without values cannot be widened.
  using U = Scheme<formats::UInt<4>, PerRow>;
  const auto as_it_was = quantize<U>(-w, Tight{}, Babai{h, {.groups = Groups::Static}, 3});
  EXPECT_EQ(as_it_was, quantize<U>(-w, Tight{}));
}

TEST(Babai, WidensForOrderedFormatsOnly) {
  const MatrixXf w = test::normal(20, 16, 3);
  const Hessian h(test::correlated_inputs(16, 40, 4));
  EXPECT_EQ(test::message_of([&] {
              quantize<Codebook<2>>(w, Babai{h, {}, 1});
            }),
            "nibble::Babai: expected widen of 0 with vector formats and learned tables, got 1");
  EXPECT_EQ(test::message_of([&] {
              quantize<Int<2>>(w, Babai{h, {}, -1});
            }),
            "nibble::Babai: expected widen of at least 0, got -1");
  std::vector<std::pair<Index, Index>> calls;
  const Progress progress = [&](auto done, auto total) { return calls.emplace_back(done, total), true; };
  double loss = 0;
  const auto q = quantize<Int<2>>(w, Babai{h, {.groups = Groups::Static, .progress = progress, .loss = &loss}, 3});
  EXPECT_EQ(calls.front(), (std::pair<Index, Index>{0, 80}));
  EXPECT_EQ(calls.back(), (std::pair<Index, Index>{80, 80}));
  const double exact = proxy_loss(w, q, h.damped(0.01));
  EXPECT_NEAR(loss, exact, 1e-5 * exact);
}

// Chee et al., "QuIP": at most (m / 4) s^2 tr D, on average (m / 12) s^2 tr D, stochastic (m / 6); nearest (m / 12) s^2
// tr H.
TEST(Gptq, KeepsTheBoundAndMeanOfItsLoss) {
  const Index m = 2000, k = 64;
  const Hessian h = Hessian(test::correlated_inputs(k, 200, 7)).damped(0.01);
  const MatrixXd u = Eigen::LLT<MatrixXd>(h.matrix().inverse()).matrixU();
  const double s2 = static_cast<double>(m) * static_cast<double>(step) * static_cast<double>(step);
  const double of_d = s2 * u.diagonal().cwiseAbs2().cwiseInverse().sum(), of_h = s2 * h.matrix().trace();
  const MatrixXf w = test::normal(m, k, 8);
  const auto loss = [&](const auto& rounding) {
    return proxy_loss(w, quantize<Wide>(w, FixedStep{step}, rounding), h);
  };
  const double nearest = loss(Gptq{h, {.damping = 0}});
  EXPECT_LE(nearest, of_d / 4);
  EXPECT_NEAR(nearest, of_d / 12, 0.05 * of_d / 12);
  EXPECT_NEAR(loss(Ldlq{h, {.damping = 0}, Stochastic{3}}), of_d / 6, 0.05 * of_d / 6);
  EXPECT_NEAR(loss(Nearest{}), of_h / 12, 0.05 * of_h / 12);
  EXPECT_LT(nearest, 0.5 * loss(Nearest{}));
  for (Index i = 0; i < 100; ++i) {
    const MatrixXf row = w.row(i);
    EXPECT_LE(proxy_loss(row, quantize<Wide>(row, FixedStep{step}, Gptq{h, {.damping = 0}}), h),
              of_d / 4 / static_cast<double>(m));
  }
}

TEST(Gptq, ActOrderIsAPermutation) {
  const Index k = 77;
  const MatrixXf w = test::normal(20, k, 9), x = test::correlated_inputs(k, 120, 10);
  const Hessian h(x);
  std::vector<int> order(static_cast<std::size_t>(k));
  std::iota(order.begin(), order.end(), 0);
  const Eigen::VectorXd d = h.diagonal();
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return d[a] > d[b]; });
  const auto permuted =
      quantize<UInt<3>>(MatrixXf(w(Eigen::all, order)), Gptq{Hessian(MatrixXf(x(order, Eigen::all)))});
  const auto q = quantize<UInt<3>>(w, Gptq{h, {.order = Order::ActOrder}});
  EXPECT_EQ(MatrixXf(q.dequantize()(Eigen::all, order)), permuted.dequantize());
  EXPECT_LT(proxy_loss(w, q, h), proxy_loss(w, quantize<UInt<3>>(w), h));
}

template <class S> void expect_one_result(const ColumnOptions& options) {
  const MatrixXf w = test::normal(131, 150, 11);
  const Hessian h(test::correlated_inputs(150, 170, 12));
  double loss = 0, other = 0;
  ColumnOptions o = options;
  o.loss = &loss;
  const auto q = quantize<S>(w, Gptq{h, o});
  o.loss = &other;
  for (Index block : {1, 7, 16, 100, 1000}) {
    o.block = block;
    EXPECT_EQ(quantize<S>(w, Gptq{h, o}), q) << S::name() << " by " << block;
    EXPECT_EQ(other, loss);
  }
  for (int threads : {2, 3, 5}) {
    EXPECT_EQ(quantize<S>(w, Gptq{h, o}, {.threads = threads, .executor = test::threads}), q);
    EXPECT_EQ(other, loss);
  }
  // Rows do not know of each other.
  EXPECT_EQ(MatrixXf(quantize<S>(w.middleRows(60, 9), Gptq{h, o}).dequantize()), q.dequantize().middleRows(60, 9));
}

TEST(Gptq, DependsNeitherOnBlocksNorOnThreads) {
  expect_one_result<UInt<3>>({});
  expect_one_result<UInt<3, Group<32>>>({});
  expect_one_result<Int<4, Group<128>>>({});
  expect_one_result<Int<4, Group<10>>>({.order = Order::ActOrder, .groups = Groups::Static});
  expect_one_result<Scheme<formats::PackedTernary<5>, Group<15>>>({});
}

// Groups::Dynamic as Frantar et al. have it: scales from the weights as the feedback has left them.
TEST(Gptq, DynamicScalesComeFromUpdatedWeights) {
  using S = UInt<3, Group<16>>;
  const Index k = 50;
  const MatrixXf w = test::normal(30, k, 13);
  const Hessian h(test::correlated_inputs(k, 90, 14));
  const auto q = quantize<S>(w, Gptq{h});
  const MatrixXd u = Eigen::LLT<MatrixXd>(h.damped(0.01).matrix().inverse()).matrixU();
  Index same = 0;
  for (Index i = 0; i < w.rows(); ++i) {
    Eigen::VectorXd v = in_double(w).row(i).transpose();
    double scale = 0, zero = 0;
    for (Index j = 0; j < k; ++j) {
      if (j % 16 == 0) {
        const auto group = v.segment(j, std::min<Index>(16, k - j));
        const double low = std::min(0.0, group.minCoeff()), high = std::max(0.0, group.maxCoeff());
        scale = (high - low) / 7;
        zero = std::nearbyint(-low / scale);
        EXPECT_NEAR(q.group(i, j / 16).scale, scale, 1e-4 * scale);
      }
      const double code = std::min(7.0, std::max(0.0, std::nearbyint(v[j] / scale + zero)));
      same += code == static_cast<double>(q.code(i, j));
      const double error = (v[j] - (code - zero) * scale) / u(j, j);
      for (Index l = j; l < k; ++l) v[l] -= error * u(j, l);
    }
  }
  EXPECT_GE(static_cast<double>(same), 0.999 * static_cast<double>(w.size()));
}

TEST(Gptq, StaticScalesAreThoseOfNearest) {
  using S = UInt<3, Group<16>>;
  const MatrixXf w = test::normal(30, 50, 15);
  const Hessian h(test::correlated_inputs(50, 90, 16));
  const auto q = quantize<S>(w, Gptq{h, {.order = Order::ActOrder, .groups = Groups::Static}}), n = quantize<S>(w);
  EXPECT_EQ(q.parts().scales, n.parts().scales);
  EXPECT_EQ(q.parts().zeros, n.parts().zeros);
  EXPECT_LT(proxy_loss(w, q, h), proxy_loss(w, n, h));
}

TEST(Gptq, OfUncorrelatedInputsIsNearest) {
  const MatrixXf w = test::normal(20, 37, 17);
  const Hessian h = Hessian::from_matrix(MatrixXd(Eigen::VectorXd::LinSpaced(37, 1, 3).asDiagonal()));
  EXPECT_EQ((quantize<UInt<3, Group<8>>>(w, Gptq{h})), (quantize<UInt<3, Group<8>>>(w)));
  EXPECT_EQ((quantize<Scheme<formats::Pair11>>(w, Gptq{h})), (quantize<Scheme<formats::Pair11>>(w)));
}

TEST(Gptq, TakesShapesOfAllKinds) {
  for (Index n : {0, 1, 15, 48, 49}) {
    for (Index k : {0, 1, 2, 16}) {
      const MatrixXf w = test::normal(n, k, 18);
      const Hessian h = k == 0 ? Hessian(0) : Hessian(test::correlated_inputs(k, 1, 19));  // fewer samples than inputs
      const auto q = quantize<UInt<4, Group<16>>>(w, Gptq{h});
      EXPECT_EQ(q.rows(), n);
      EXPECT_EQ(q.cols(), k);
      if (n > 0 && k > 0) {
        EXPECT_LE(proxy_loss(w, q, h), proxy_loss(w, quantize<UInt<4, Group<16>>>(w), h) * 1.0001 + 1e-6);
      }
    }
  }
  // An input that occurs twice: what one misses the other makes good.
  MatrixXf x = test::correlated_inputs(8, 50, 20);
  x.row(5) = x.row(2);
  const MatrixXf w = test::normal(40, 8, 21);
  EXPECT_LT(proxy_loss(w, quantize<Int<3>>(w, Gptq{Hessian(x)}), Hessian(x)),
            0.7 * proxy_loss(w, quantize<Int<3>>(w), Hessian(x)));
  // An input that is always 0 is rounded to nearest and moves nothing.
  x.row(4).setZero();
  MatrixXf other = w;
  other.col(4).setConstant(0.2f);
  const auto a = quantize<Wide>(w, FixedStep{step}, Gptq{Hessian(x)}).codes();
  const auto b = quantize<Wide>(other, FixedStep{step}, Gptq{Hessian(x)}).codes();
  EXPECT_EQ(a.col(4), quantize<Wide>(w, FixedStep{step}).codes().col(4));
  EXPECT_EQ(a.leftCols(4), b.leftCols(4));
  EXPECT_EQ(a.rightCols(3), b.rightCols(3));
  // Rows of zeros, constants and one large weight.
  MatrixXf odd = MatrixXf::Zero(3, 8);
  odd.row(1).setConstant(0.3f);
  odd(2, 3) = 1e6f;
  const auto q = quantize<UInt<4, Group<4>>>(odd, Gptq{Hessian(x)}).dequantize();
  EXPECT_TRUE(q.row(0).isZero(0));
  EXPECT_TRUE(q.allFinite());
}

TEST(Gptq, StochasticFeedbackDependsOnTheSeed) {
  const MatrixXf w = test::normal(20, 60, 22);
  const Hessian h(test::correlated_inputs(60, 90, 23));
  const auto q = [&](std::uint64_t seed) { return quantize<Int<4, Group<16>>>(w, Ldlq{h, {}, Stochastic{seed}}); };
  EXPECT_EQ(q(1), q(1));
  EXPECT_NE(q(1), q(2));
  EXPECT_LT(proxy_loss(w, q(1), h), proxy_loss(w, quantize<Int<4, Group<16>>>(w), h));
}

TEST(Gptq, TellsOfItsProgressAndStops) {
  const MatrixXf w = test::normal(200, 20, 24);
  const Hessian h(test::correlated_inputs(20, 40, 25));
  std::vector<std::ptrdiff_t> seen;
  const Progress watch = [&](std::ptrdiff_t done, std::ptrdiff_t total) {
    EXPECT_EQ(total, 200);
    seen.push_back(done);
    return true;
  };
  quantize<Int<4>>(w, Gptq{h, {.progress = watch}});
  EXPECT_EQ(seen.front(), 0);
  EXPECT_EQ(seen.back(), 200);
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
  for (std::ptrdiff_t stop : {0, 48, 200}) {
    const Progress cancel = [&](std::ptrdiff_t done, std::ptrdiff_t) { return done < stop; };
    EXPECT_EQ(test::message_of<Cancelled>([&] {
                quantize<Int<4>>(w, Gptq{h, {.progress = cancel}});
              }),
              "nibble::Gptq: cancelled");
  }
}

TEST(Gptq, RejectsBadInput) {
  const MatrixXf w = test::normal(4, 6, 26);
  const auto message = [&](const auto& rounding) {
    return test::message_of([&] { quantize<UInt<4, Group<2>>>(w, rounding); });
  };
  const auto has = [](const std::string& whole, const char* part) {
    return whole.find(part) != std::string::npos ? "" : "\"" + whole + "\"";
  };
  const Hessian h(test::correlated_inputs(6, 40, 27));
  EXPECT_EQ(has(message(Gptq{Hessian(test::correlated_inputs(5, 9, 1))}), "Hessian of 6 inputs, got 5"), "");
  EXPECT_EQ(has(message(Gptq{Hessian(6)}), "got 0 samples"), "");
  EXPECT_EQ(has(message(Gptq{h, {.damping = -0.1}}), "damping of at least 0, got -0.1"), "");
  EXPECT_EQ(has(message(Gptq{h, {.block = 0}}), "block of at least 1"), "");
  EXPECT_EQ(has(message(Gptq{h, {.order = Order::ActOrder}}), "Groups::Static"), "");
  EXPECT_EQ(has(message(Babai{h, {}}), "Groups::Static"), "");
  EXPECT_EQ(has(message(Ldlq{Hessian(6), {}, Stochastic{}}), "nibble::Ldlq"), "");
  // One sample of six inputs: singular unless damped.
  const Hessian one(test::correlated_inputs(6, 1, 28));
  EXPECT_EQ(has(message(Gptq{one, {.damping = 0}}), "try a damping of 0.01"), "");
  EXPECT_EQ(message(Gptq{one}), "");
  // Indefinite beyond what its damping repairs.
  MatrixXd m = MatrixXd::Identity(6, 6);
  m(1, 4) = m(4, 1) = 1.3;
  const Hessian indefinite = Hessian::from_matrix(m);
  EXPECT_EQ(has(message(Gptq{indefinite, {.damping = 0.1}}), "try a damping of 1"), "");
  EXPECT_EQ(has(message(Gptq{indefinite, {.damping = 0.1}}), "input 1"), "");
  EXPECT_EQ(message(Gptq{indefinite, {.damping = 1}}), "");
}

}  // namespace
}  // namespace nibble
