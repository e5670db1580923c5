// FitScales in formats: against all scales that can be stored; zero points; what it leaves alone.
#include <gtest/gtest.h>
#include <nibble/nibble.h>

#include "rounding/correlated.h"
#include "rounding/row_loss.h"

namespace nibble {
namespace {

using test::loss;
using test::MatrixXd;
using test::MatrixXf;
using test::nearest;

/// Whether no other storable scale of one group alone makes the loss of its row fall.
template <class S>
void expect_no_better_neighbour(const MatrixXf& w, const Parts<S>& parts, Index i, const MatrixXd& h) {
  const double least = loss(w, parts, i, h);
  for (Index g = 0; g < parts.scales.cols(); ++g) {
    for (std::uint32_t code = 0; code < code_count<typename S::scale::format>; ++code) {
      for (int shift : {-1, 0, 1}) {
        if (!S::affine && shift != 0) continue;
        Parts<S> other = parts;
        other.scales(i, g) = static_cast<typename S::scale_code>(code);
        if (!std::isfinite(other.group(i, g).scale)) continue;
        if constexpr (S::affine) {
          const int zero = parts.zeros(i, g) + shift;
          if (zero < 0 || zero > static_cast<int>(S::format::max())) continue;
          other.zeros(i, g) = static_cast<std::uint8_t>(zero);
        }
        const double change = loss(w, other, i, h) - least;
        EXPECT_GE(change, -0.01 * least) << S::name() << ' ' << i << ' ' << g << ' ' << code << ' ' << shift;
      }
    }
  }
}

using Coarse = formats::E2M1;  // 0, 0.5, 1, 1.5, 2, 3, 4, 6 and their negatives

TEST(FitScales, OfOneGroupAreTheBestThatCanBeStored) {
  const Index k = 7;
  const MatrixXf w = 2.5f * test::normal(40, k, 3);
  const Hessian h(test::correlated_inputs(k, 30, 4));
  const auto check = [&](auto scheme) {
    using S = decltype(scheme);
    Parts<S> parts = nearest<S>(w);
    parts.scales.setConstant(Coarse::encode(6));
    FitScales{h}.refine(w, parts);
    for (Index i = 0; i < w.rows(); ++i) expect_no_better_neighbour(w, parts, i, h.matrix());
  };
  check(Int<3, PerRow, Coarse>{});
  check(UInt<2, PerRow, Coarse>{});
  check(Int<3, Group<8>, formats::E8M0>{});
}

TEST(FitScales, OfSeveralGroupsAreOftenTheBestOfAllCombinations) {
  using S = Int<3, Group<4>, Coarse>;
  const Index k = 11;
  const MatrixXf w = 3 * test::normal(40, k, 5);
  const Hessian h(test::correlated_inputs(k, 30, 6));
  const Parts<S> before = nearest<S>(w);
  Parts<S> parts = before;
  FitScales{h}.refine(w, parts);
  Index best_of_all = 0;
  for (Index i = 0; i < w.rows(); ++i) {
    expect_no_better_neighbour(w, parts, i, h.matrix());
    const double found = loss(w, parts, i, h.matrix());
    EXPECT_LE(found, loss(w, before, i, h.matrix()) * (1 + 1e-6));
    double least = found;
    Parts<S> other = parts;
    for (std::uint32_t a = 0; a < 16; ++a)
      for (std::uint32_t b = 0; b < 16; ++b)
        for (std::uint32_t c = 0; c < 16; ++c) {
          other.scales.row(i) << static_cast<std::uint8_t>(a), static_cast<std::uint8_t>(b),
              static_cast<std::uint8_t>(c);
          least = std::min(least, loss(w, other, i, h.matrix()));
        }
    best_of_all += found <= least * 1.01;
  }
  EXPECT_GE(best_of_all, 36);
}

TEST(FitScales, BringZeroPointsBack) {
  using S = UInt<4, Group<8>>;
  const MatrixXf w = test::normal(30, 20, 7);
  const Hessian h(test::correlated_inputs(20, 60, 8));
  const Parts<S> good = nearest<S>(w);
  Parts<S> parts = good, kept;
  for (Index i = 0; i < parts.zeros.size(); ++i) {
    if (i % 3 != 0 || parts.zeros.data()[i] == 15) continue;
    ++parts.zeros.data()[i];
  }
  kept = parts;
  FitScales{h, {.zeros = false}}.refine(w, kept);
  EXPECT_EQ(kept.zeros, parts.zeros);
  FitScales{h}.refine(w, parts);
  EXPECT_NE(parts.zeros, kept.zeros);
  EXPECT_LT(proxy_loss(w, QuantizedMatrix<S>(parts), h), 0.2 * proxy_loss(w, QuantizedMatrix<S>(kept), h));
  EXPECT_LE(proxy_loss(w, QuantizedMatrix<S>(parts), h), proxy_loss(w, QuantizedMatrix<S>(good), h));
}

TEST(FitScales, LeaveAloneWhatTheyCannotMakeBetter) {
  const Index k = 48;
  MatrixXf w = test::normal(20, k, 9);
  w.middleCols(16, 16).setZero();
  const Hessian h(test::correlated_inputs(k, 90, 10));
  using S = Scheme<formats::Int<4>, Group<16>, SubScale<formats::E4M3FN, formats::Float32, PerRow>>;
  Parts<S> parts = nearest<S>(w);
  parts.scales.col(1).setConstant(17);  // all codes are 0
  const Parts<S> before = parts;
  FitScales{h}.refine(w, parts);
  EXPECT_EQ(parts.supers, before.supers);
  EXPECT_EQ(parts.scales.col(1), before.scales.col(1));
  EXPECT_NE(parts.scales.col(0), before.scales.col(0));
  const Parts<S> once = parts;
  FitScales{h}.refine(w, parts);
  EXPECT_EQ(parts.scales, once.scales);
  // Under a super-scale of 0 nothing can be better.
  parts.supers.setZero();
  FitScales{h}.refine(w, parts);
  EXPECT_EQ(parts.scales, once.scales);
}

// QServe's protective range: all that the codes can mean fits 8 bits.
TEST(FitScales, KeepProgressiveWeightsWithinBytes) {
  using S = Progressive<16>;
  const Index k = 64;
  MatrixXf w = test::normal(30, k, 11);
  w.row(3) *= 100;
  const Hessian h(test::correlated_inputs(k, 90, 12));
  Parts<S> parts = nearest<S>(w);
  parts.supers.data()[5] = formats::Float32::encode(formats::Float32::decode(parts.supers.data()[5]) / 3);
  parts.scales.row(5).setConstant(8);
  const Parts<S> before = parts;
  const auto reach = [](const Parts<S>& p, Index i, Index g) {
    return p.scales(i, g) * std::max<int>(p.zeros(i, g), 15 - p.zeros(i, g));
  };
  FitScales{h}.refine(w, parts);
  for (Index i = 0; i < parts.scales.rows(); ++i)
    for (Index g = 0; g < parts.scales.cols(); ++g)
      EXPECT_LE(reach(parts, i, g), std::max(127, reach(before, i, g))) << i << ' ' << g;
}

TEST(FitScales, OfFormatsWhoseLargestValueFloatsRound) {
  using S = Scheme<formats::LloydMax<4>, Group<16>, formats::Half>;
  const MatrixXf w = test::normal(20, 40, 21);
  const Hessian h(test::correlated_inputs(40, 90, 22));
  const auto q = quantize<S>(w, Refined{Nearest{}, FitScales{h}});
  EXPECT_LT(proxy_loss(w, q, h), proxy_loss(w, quantize<S>(w), h));
}

// Least squares would like a scale of which the largest code makes an infinity.
TEST(FitScales, KeepLargeWeightsFinite) {
  MatrixXf w(1, 2);
  w << 3.4e38f, 1.69e38f;
  const Hessian h = Hessian::from_matrix(Eigen::Vector2d(1, 100).asDiagonal().toDenseMatrix());
  EXPECT_TRUE((quantize<Int<4>>(w, Refined{Nearest{}, FitScales{h}}).dequantize().allFinite()));
}

TEST(FitScales, KeepTheSignOfScales) {
  using S = Scheme<formats::FullInt<4>, Group<16>, formats::Half>;
  const MatrixXf w = test::normal(20, 40, 13);
  const Hessian h(test::correlated_inputs(40, 90, 14));
  const auto before = quantize<S>(w), after = quantize<S>(w, Refined{Nearest{}, FitScales{h}});
  Index negative = 0;
  for (Index i = 0; i < 20; ++i) {
    for (Index g = 0; g < 3; ++g) {
      EXPECT_GT(after.group(i, g).scale / before.group(i, g).scale, 0.5f);
      negative += after.group(i, g).scale < 0;
    }
  }
  EXPECT_GT(negative, 10);
  EXPECT_LT(proxy_loss(w, after, h), proxy_loss(w, before, h));
}

}  // namespace
}  // namespace nibble
