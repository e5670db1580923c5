// What the tests of learned roundings share: every kind of scheme, and what holds for all.
#pragma once

#include <gtest/gtest.h>
#include <nibble/rounding.h>

#include <thread>

#include "rounding/correlated.h"

namespace nibble::test {

using ScalarSchemes = testing::Types<Int<4>, UInt<2, Group<16>>, SuperBlock<3>, Scheme<formats::E2M1, Group<32>>, MxFp4,
                                     NvFp4, Fp8E4M3<>, Nf4<32>, Codebook<3>, BitMod<3, Group<32>>, Ternary<PerRow>>;

/// `round` beats nearest by far, no row is worse, what is not learned is the rule's, and threads change nothing.
template <class S, class Round> void expect_better(const Eigen::MatrixXf& w, const Hessian& h, const Round& round) {
  const std::optional<Executor> threads = [](std::ptrdiff_t count, const std::function<void(std::ptrdiff_t)>& task) {
    std::vector<std::thread> all;
    for (std::ptrdiff_t i = 0; i < count; ++i) all.emplace_back(task, i);
    for (auto& t : all) t.join();
  };
  const auto nearest = quantize<S>(w), q = quantize<S>(w, round);
  EXPECT_EQ(quantize<S>(w, round, {.threads = 2, .executor = threads}), q);
  const double loss = proxy_loss(w, q, h), before = proxy_loss(w, nearest, h);
  EXPECT_LT(loss, 0.9 * before) << S::name();
  const Eigen::MatrixXf learned = q.dequantize(), other = nearest.dequantize();
  for (Index i = 0; i < w.rows(); ++i)
    EXPECT_LE(proxy_loss(w.row(i), learned.row(i), h), proxy_loss(w.row(i), other.row(i), h) * (1 + 1e-5));
  EXPECT_EQ(q.parts().zeros, nearest.parts().zeros);
  EXPECT_EQ(q.parts().choices, nearest.parts().choices);
  EXPECT_EQ(q.parts().supers, nearest.parts().supers);
  EXPECT_EQ(q.parts().tables, nearest.parts().tables);
}

}  // namespace nibble::test
