// CyclicRounding against coordinate descent in double, and its fixed points against all codes.
#include <gtest/gtest.h>
#include <nibble/nibble.h>

#include "message_of.h"
#include "oracle/column_rounding.h"
#include "rounding/correlated.h"

namespace nibble {
namespace {

using Eigen::MatrixXd;
using Eigen::MatrixXf;
using Eigen::VectorXd;

template <class S> Parts<S> nearest(const MatrixXf& w) {
  const DefaultRule<S> rule;
  Parts<S> parts = prepare<S>(w, rule, 1);
  Nearest{}.round(w, rule, parts);
  return parts;
}

/// What a code of a row means.
template <class S> VectorXd value(const Parts<S>& parts, Index row, Index column, std::uint32_t code) {
  const Index g = S::group_inputs == 0 ? 0 : column * S::dim / std::max(1, S::group_inputs);
  const GroupParams<S> p = parts.group(row, g);
  float v[S::dim];
  decode_to<typename S::format>(static_cast<typename S::code_type>(code), {parts.table(row, g), p.choice}, v);
  VectorXd out(S::dim);
  for (Index d = 0; d < S::dim; ++d) out[d] = static_cast<double>((v[d] - p.zero) * p.scale);
  return out;
}

/// Whether a code is one that is never chosen.
template <class S> bool spare(const Parts<S>& parts, Index row, Index column, std::uint32_t code) {
  const Side side{parts.table(row, S::group_inputs == 0 ? 0 : column * S::dim / std::max(1, S::group_inputs)), 0};
  float v[S::dim];
  decode_to<typename S::format>(static_cast<typename S::code_type>(code), side, v);
  return encode_from<typename S::format>(v, side) != code;
}

template <class S> VectorXd errors(const MatrixXf& w, const Parts<S>& parts, Index row) {
  VectorXd e = w.row(row).transpose().cast<double>();
  for (Index c = 0; c < parts.codes.cols(); ++c) {
    const VectorXd v = value(parts, row, c, parts.codes(row, c));
    for (Index d = 0; d < S::dim && c * S::dim + d < e.size(); ++d) e[c * S::dim + d] -= v[d];
  }
  return e;
}

template <class S> double loss(const MatrixXf& w, const Parts<S>& parts, const MatrixXd& h) {
  double sum = 0;
  for (Index i = 0; i < w.rows(); ++i) sum += oracle::loss(errors(w, parts, i).transpose(), h);
  return sum;
}

/// Of dim 1: sweeps in which each code becomes the one whose value is nearest to the best, by trying all of them.
template <class S>
void descend(const MatrixXf& w, Parts<S>& parts, const MatrixXd& h, const std::vector<Index>& order, Index sweeps) {
  for (Index i = 0; i < w.rows(); ++i) {
    for (Index sweep = 0; sweep < sweeps; ++sweep) {
      for (Index j : order) {
        const VectorXd e = errors(w, parts, i);
        const double now = value(parts, i, j, parts.codes(i, j))[0], target = now + h.row(j).dot(e) / h(j, j);
        std::uint32_t best = parts.codes(i, j);
        double least = std::abs(target - now);
        for (std::uint32_t code = 0; code < code_count<typename S::format>; ++code) {
          if (spare<S>(parts, i, j, code)) continue;
          const double distance = std::abs(target - value(parts, i, j, code)[0]);
          if (distance < least) {
            least = distance;
            best = code;
          }
        }
        const double step = value(parts, i, j, best)[0] - now;
        if (step * (2 * (target - now) - step) > step * step / 1024)
          parts.codes(i, j) = static_cast<typename S::code_type>(best);
      }
    }
  }
}

template <class S> void expect_coordinate_descent(Index k, Index sweeps, Order order, bool greedy) {
  const MatrixXf w = test::normal(60, k, 1);
  const Hessian h(test::correlated_inputs(k, 2 * k, 2));
  std::vector<Index> inputs(static_cast<std::size_t>(k));
  std::iota(inputs.begin(), inputs.end(), 0);
  VectorXd size = h.diagonal();
  if (greedy) size.array() *= w.colwise().squaredNorm().transpose().cast<double>().array();
  if (order == Order::BackToFront) std::reverse(inputs.begin(), inputs.end());
  if (greedy || order == Order::ActOrder)
    std::stable_sort(inputs.begin(), inputs.end(), [&](Index a, Index b) { return size[a] > size[b]; });
  Parts<S> parts = nearest<S>(w), exact = parts;
  const Parts<S> before = parts;
  CyclicRounding{h, {.sweeps = sweeps, .order = order, .greedy = greedy}}.refine(w, parts);
  descend(w, exact, h.matrix(), inputs, sweeps);
  EXPECT_EQ(parts.codes, exact.codes) << S::name() << ' ' << k;
  EXPECT_EQ(parts.scales, before.scales);
  if (k > 1) {
    EXPECT_NE(parts.codes, before.codes);
  }
}

TEST(CyclicRounding, IsCoordinateDescent) {
  for (Index k : {1, 7, 8, 61}) {
    expect_coordinate_descent<Int<3, Group<16>>>(k, 1, Order::InOrder, false);
    expect_coordinate_descent<Int<3, Group<16>>>(k, 3, Order::ActOrder, false);
  }
  expect_coordinate_descent<UInt<2>>(33, 2, Order::BackToFront, false);
  expect_coordinate_descent<UInt<2>>(33, 2, Order::InOrder, true);
  expect_coordinate_descent<Codebook<3>>(20, 2, Order::InOrder, true);
}

/// Where nothing changes any more, no code of all, instead of one of its own, makes the loss of a row fall by more than
/// the change's own part of it over 1024. Of dim > 1: no code that differs in one value only.
template <class S> void expect_fixed_point(Index k) {
  const MatrixXf w = test::normal(10, k, 3);
  const Hessian hessian(test::correlated_inputs(k, 2 * k, 4));
  const MatrixXd h = hessian.matrix();
  Parts<S> parts = nearest<S>(w);
  CyclicRounding{hessian, {.sweeps = 1000}}.refine(w, parts);
  Parts<S> again = parts;
  CyclicRounding{hessian, {.sweeps = 1}}.refine(w, again);
  EXPECT_EQ(again.codes, parts.codes);
  for (Index i = 0; i < w.rows(); ++i) {
    const VectorXd e = errors(w, parts, i), pull = h * e;
    for (Index c = 0; c < parts.codes.cols(); ++c) {
      const VectorXd now = value(parts, i, c, parts.codes(i, c));
      const Index size = std::min<Index>(S::dim, k - c * S::dim);
      for (std::uint32_t code = 0; code < code_count<typename S::format>; ++code) {
        if (spare<S>(parts, i, c, code)) continue;
        const VectorXd step = (value(parts, i, c, code) - now).head(size);
        if (!step.allFinite() || (step.array() != 0).count() > 1) continue;
        const double square = step.dot(h.block(c * S::dim, c * S::dim, size, size) * step);
        EXPECT_LE(2 * step.dot(pull.segment(c * S::dim, size)) - square, 1.01 / 1024 * square)
            << S::name() << ' ' << i << ' ' << c << ' ' << code;
      }
    }
  }
}

TEST(CyclicRounding, EndsWhereNoSingleCodeIsBetter) {
  expect_fixed_point<Int<3, Group<16>>>(50);
  expect_fixed_point<UInt<2>>(50);
  expect_fixed_point<Codebook<3>>(20);
  expect_fixed_point<Scheme<formats::Pair11, Group<16>>>(35);
  expect_fixed_point<Ternary3in5<PerRow>>(32);
}

TEST(CyclicRounding, LowersTheLossWithEachSweep) {
  using S = Int<3, Group<16>>;
  const MatrixXf w = test::normal(70, 100, 5);
  const Hessian h(test::correlated_inputs(100, 150, 6));
  const Parts<S> start = nearest<S>(w);
  Parts<S> before = start, steps = start;
  bool ended = false;
  for (Index sweeps = 0; sweeps < 40; ++sweeps) {
    Parts<S> parts = start;
    CyclicRounding{h, {.sweeps = sweeps}}.refine(w, parts);
    EXPECT_EQ(parts.codes, steps.codes);  // sweeps one by one are the same
    CyclicRounding{h, {.sweeps = 1}}.refine(w, steps);
    if (sweeps == 0) {
      EXPECT_EQ(parts.codes, start.codes);
    } else if (parts.codes == before.codes) {
      ended = true;
    } else {
      EXPECT_FALSE(ended);
      EXPECT_LT(loss(w, parts, h.matrix()), loss(w, before, h.matrix()));
    }
    before = parts;
  }
  EXPECT_TRUE(ended);
  EXPECT_LT(loss(w, before, h.matrix()), 0.3 * loss(w, start, h.matrix()));
}

TEST(CyclicRounding, BringsDeadInputsToTheNearestValue) {
  using S = Int<3, Group<4>>;
  MatrixXf x = test::correlated_inputs(10, 40, 7);
  x.row(3).setZero();
  x.row(9).setZero();
  const MatrixXf w = test::normal(20, 10, 8);
  const Parts<S> start = nearest<S>(w);
  Parts<S> parts = start;
  parts.codes.col(3).setConstant(1);
  parts.codes.col(9).setConstant(7);
  CyclicRounding{Hessian(x)}.refine(w, parts);
  EXPECT_EQ(parts.codes.col(3), start.codes.col(3));
  EXPECT_EQ(parts.codes.col(9), start.codes.col(9));
}

TEST(CyclicRounding, RejectsBadInputAndStops) {
  using S = Int<3, Group<4>>;
  const MatrixXf w = test::normal(100, 16, 9);
  const Hessian h(test::correlated_inputs(16, 40, 10));
  Parts<S> parts = nearest<S>(w);
  const Parts<S> before = parts;
  const auto message = [&](const CyclicRounding& cyclic) { return test::message_of([&] { cyclic.refine(w, parts); }); };
  EXPECT_EQ(message({Hessian(5)}), "nibble::CyclicRounding: expected a Hessian of 16 inputs, got 5");
  EXPECT_EQ(message({Hessian(16)}), "nibble::CyclicRounding: expected a Hessian of samples that count, got 0 samples");
  EXPECT_EQ(message({h, {.sweeps = -1}}), "nibble::CyclicRounding: expected at least 0 sweeps, got -1");
  EXPECT_EQ(parts.codes, before.codes);
  std::vector<std::ptrdiff_t> seen;
  const Progress watch = [&](std::ptrdiff_t done, std::ptrdiff_t total) {
    EXPECT_EQ(total, 100);
    seen.push_back(done);
    return true;
  };
  CyclicRounding{h, {.progress = watch}}.refine(w, parts);
  EXPECT_EQ(seen, (std::vector<std::ptrdiff_t>{0, 48, 96, 100}));
  const Progress cancel = [](std::ptrdiff_t done, std::ptrdiff_t) { return done < 48; };
  EXPECT_EQ(test::message_of<Cancelled>([&] {
              CyclicRounding{h, {.progress = cancel}}.refine(w, parts);
            }),
            "nibble::CyclicRounding: cancelled");
  for (Index n : {0, 1, 49}) {
    for (Index k : {0, 1, 9}) {
      const MatrixXf shape = test::normal(n, k, 11);
      const Hessian one = k == 0 ? Hessian(0) : Hessian(test::correlated_inputs(k, 1, 12));
      Parts<S> of_shape = nearest<S>(shape);
      const double start = n > 0 && k > 0 ? loss(shape, of_shape, one.matrix()) : 0;
      CyclicRounding{one}.refine(shape, of_shape);
      if (n > 0 && k > 0) {
        EXPECT_LE(loss(shape, of_shape, one.matrix()), start * (1 + 1e-6) + 1e-9);
      }
    }
  }
}

}  // namespace
}  // namespace nibble
