// Scale rules against their closed forms, and MinimalError against a search of its own.
#include "nibble/quantize/scale_rule.h"

#include <gtest/gtest.h>

#include "nibble/quantize.h"
#include "quantize/weights.h"

namespace nibble {
namespace {

constexpr double eps = static_cast<double>(std::numeric_limits<float>::epsilon());

struct Weights {
  Index row, index;
  Eigen::VectorXd weights;
  double low() const { return weights.minCoeff(); }
  double high() const { return weights.maxCoeff(); }
  double reach() const { return weights.cwiseAbs().maxCoeff(); }
};

/// The groups of `size` inputs of each row.
std::vector<Weights> groups_of(const Eigen::MatrixXf& w, Index size) {
  std::vector<Weights> groups;
  for (Index i = 0; i < w.rows(); ++i)
    for (Index first = 0; first < w.cols(); first += size)
      groups.push_back(
          {i, first / size, w.row(i).segment(first, std::min(size, w.cols() - first)).transpose().cast<double>()});
  return groups;
}

TEST(AbsMax, SpansTheLargestMagnitude) {
  const Eigen::MatrixXf w = test::gaussian(7, 45, 1);
  const auto int4 = quantize<Int<4, Group<10>>>(w, AbsMax{});
  const auto row = quantize<Int<8>>(w, AbsMax{});
  const auto tensor = quantize<Int<3, PerTensor>>(w, AbsMax{});
  const auto fp8 = quantize<Scheme<formats::E4M3FN, Group<10>>>(w, AbsMax{});
  for (const Weights& g : groups_of(w, 10)) {
    EXPECT_NEAR(static_cast<double>(int4.group(g.row, g.index).scale), g.reach() / 7, eps * g.reach() / 7);
    EXPECT_NEAR(static_cast<double>(fp8.group(g.row, g.index).scale), g.reach() / 448, eps * g.reach() / 448);
  }
  for (const Weights& g : groups_of(w, 45))
    EXPECT_NEAR(static_cast<double>(row.group(g.row, 0).scale), g.reach() / 127, eps * g.reach() / 127);
  const double reach = static_cast<double>(w.cwiseAbs().maxCoeff());
  EXPECT_NEAR(static_cast<double>(tensor.group(6, 0).scale), reach / 3, eps * reach / 3);
}

TEST(AbsMax, StoresTheNearestHalf) {
  const Eigen::MatrixXf w = test::gaussian(9, 64, 2) * 100;
  const auto q = quantize<Int<4, Group<16>, StoredScale<formats::Half>>>(w, AbsMax{});
  const auto b = quantize<Int<4, Group<16>, StoredScale<formats::BFloat16>>>(w, AbsMax{});
  for (const Weights& g : groups_of(w, 16)) {
    const auto scale = static_cast<float>(g.reach()) / 7;
    EXPECT_EQ(q.group(g.row, g.index).scale, static_cast<float>(Eigen::half(scale)));
    EXPECT_EQ(b.group(g.row, g.index).scale, static_cast<float>(Eigen::bfloat16(scale)));
  }
}

// OCP MX 1.0, 6.3: the largest power of two in the block over the largest in the format, which is 4.
TEST(AbsMax, PowersOfTwoOfMxFp4) {
  Eigen::MatrixXf w = test::gaussian(16, 96, 3);
  for (Index i = 0; i < 16; ++i) w.row(i) *= static_cast<float>(std::pow(3, i - 8));
  w(0, 0) = 16;
  w(1, 0) = std::nextafter(16.0f, 0.0f);
  const auto q = quantize<MxFp4>(w, AbsMax{});
  for (const Weights& g : groups_of(w, 32)) {
    double power = 1;
    while (power * 2 <= g.reach()) power *= 2;
    while (power > g.reach()) power /= 2;
    EXPECT_EQ(static_cast<double>(q.group(g.row, g.index).scale), power / 4) << g.reach();
  }
  // A zero block has the least scale; beyond the ends of E8M0, its ends.
  EXPECT_EQ(quantize<MxFp4>(Eigen::MatrixXf::Zero(1, 32)).group(0, 0).scale, 0x1p-127f);
  EXPECT_EQ(quantize<MxFp4>(Eigen::MatrixXf::Constant(1, 32, 0x1p-149f)).group(0, 0).scale, 0x1p-127f);
  EXPECT_EQ(quantize<MxFp4>(Eigen::MatrixXf::Constant(1, 32, 3e38f)).group(0, 0).scale, 0x1p125f);
}

// NVFP4: the tensor's scale is amax / (448 * 6), a block's the nearest E4M3 of amax / 6 over it, at least 2^-6.
TEST(AbsMax, TwoLevelsOfNvFp4) {
  Eigen::MatrixXf w = test::gaussian(8, 64, 4);
  w.row(3) *= 1e-6f;
  const auto q = quantize<NvFp4>(w, AbsMax{});
  const double tensor = static_cast<double>(w.cwiseAbs().maxCoeff()) / (448 * 6);
  std::vector<double> e4m3;  // the normal ones
  for (int e = -6; e <= 8; ++e)
    for (int m = 8; m < (e == 8 ? 15 : 16); ++m) e4m3.push_back(std::ldexp(m, e - 3));
  for (const Weights& g : groups_of(w, 16)) {
    const double wanted = g.reach() / 6 / tensor;
    double least = std::numeric_limits<double>::infinity();
    for (double value : e4m3) least = std::min(least, std::abs(value - wanted));
    const double got = static_cast<double>(q.group(g.row, g.index).scale) / tensor;
    EXPECT_LE(std::abs(got - wanted), least + 1e-6 * wanted) << wanted;
  }
}

TEST(MinMax, SpansTheRangeWithZero) {
  Eigen::MatrixXf w = test::gaussian(9, 40, 5);
  w.row(1) = w.row(1).cwiseAbs() + Eigen::RowVectorXf::Constant(40, 2);
  w.row(2) = -w.row(1);
  const auto q = quantize<UInt<4, Group<8>>>(w, MinMax{});
  for (const Weights& g : groups_of(w, 8)) {
    const double low = std::min(g.low(), 0.0);
    const double high = std::max(g.high(), 0.0);
    const auto p = q.group(g.row, g.index);
    const double scale = static_cast<double>(p.scale);
    EXPECT_NEAR(scale, (high - low) / 15, 2 * eps * scale);
    EXPECT_NEAR(static_cast<double>(p.zero), -low / scale, 0.5 + 1e-5);
    EXPECT_EQ(p.zero, static_cast<float>(p.zero_code));
    // Everything within the range comes back within half a step, the shift of the zero point included.
    for (Index e = 0; e < g.weights.size(); ++e)
      EXPECT_NEAR(static_cast<double>(q.at(g.row, g.index * 8 + e)), g.weights[e], scale * (1 + 1e-5));
  }
}

TEST(MinMax, OfSymmetricSchemesIsAbsMax) {
  const Eigen::MatrixXf w = test::awkward_weights();
  EXPECT_EQ((quantize<Int<4, Group<16>>>(w, MinMax{})), (quantize<Int<4, Group<16>>>(w, AbsMax{})));
}

// MinimalError

Eigen::ArrayXXd errors(const Eigen::MatrixXf& w, const Eigen::MatrixXf& q, double power = 2) {
  return (w.cast<double>() - q.cast<double>()).array().abs().pow(power);
}

template <class S> void expect_never_worse(const Eigen::MatrixXf& w) {
  SCOPED_TRACE(S::name());
  for (double power : {1.0, 2.0}) {
    const Eigen::ArrayXXd best = errors(w, quantize<S>(w, MinimalError{.power = power}).dequantize(), power);
    const Eigen::ArrayXXd whole = errors(w, quantize<S>(w, MinMax{}).dequantize(), power);
    if (std::same_as<typename S::group, PerTensor>) {
      EXPECT_LE(best.sum(), 1.000001 * whole.sum());
      continue;
    }
    const Index size = S::group_inputs == 0 ? w.cols() : S::group_inputs;
    for (Index i = 0; i < w.rows(); ++i) {
      for (Index first = 0; first < w.cols(); first += size) {
        const Index count = std::min(size, w.cols() - first);
        EXPECT_LE(best.row(i).segment(first, count).sum(), 1.000001 * whole.row(i).segment(first, count).sum());
      }
    }
  }
}

TEST(MinimalError, IsNeverWorseThanTheWholeRange) {
  for (const Eigen::MatrixXf& w : {test::gaussian(16, 96, 6), test::awkward_weights()}) {
    expect_never_worse<Int<2, Group<32>>>(w);
    expect_never_worse<Int<4, Group<32>>>(w);
    expect_never_worse<Int<3>>(w);
    expect_never_worse<Int<4, PerTensor>>(w);
    expect_never_worse<UInt<2, Group<16>>>(w);
    expect_never_worse<UInt<4>>(w);
    expect_never_worse<MxFp4>(w);
    expect_never_worse<NvFp4>(w);
    expect_never_worse<Scheme<formats::E4M3FN, Group<32>, FloorScale>>(w);
  }
}

TEST(MinimalError, IsMuchBetterForFewBits) {
  const Eigen::MatrixXf w = test::gaussian(64, 128, 7);
  using S = Int<2, Group<128>>;
  EXPECT_LT(errors(w, quantize<S>(w, MinimalError{}).dequantize()).sum(),
            0.6 * errors(w, quantize<S>(w).dequantize()).sum());
}

// Weights whose scale is close to the largest that can be stored: stretching is not for them, but is no error either.
TEST(MinimalError, StaysWithinTheScalesThatCanBeStored) {
  const Eigen::MatrixXf w = test::gaussian(4, 32, 9);
  const Eigen::MatrixXf unit = w / w.cwiseAbs().maxCoeff();
  expect_never_worse<Int<4, PerRow, StoredScale<formats::Half>>>(unit * (7 * 65000.0f));
  expect_never_worse<UInt<4, Group<16>, StoredScale<formats::E5M2>>>(unit * (7 * 57000.0f));
  expect_never_worse<Int<4>>(unit * 3e38f);
  expect_never_worse<MxFp4>(unit * 3e38f);
  expect_never_worse<NvFp4>(unit * 3e38f);
}

// The least sum over all candidate ranges, each rounded here by nearbyint in double.
TEST(MinimalError, FindsTheBestCandidate) {
  const Eigen::MatrixXf w = test::gaussian(12, 64, 8);
  for (double power : {1.0, 2.0, 2.4}) {
    for (const auto& [steps, shrink, stretch] : {std::tuple(60, 0.4f, 1.4f), {17, 0.2f, 1.0f}, {2, 0.5f, 0.5f}}) {
      const MinimalError rule{steps, shrink, stretch, power};
      const auto symmetric = quantize<Int<3, Group<32>>>(w, rule);
      const auto affine = quantize<UInt<3, Group<32>>>(w, rule);
      for (const Weights& g : groups_of(w, 32)) {
        double least = std::numeric_limits<double>::infinity();
        double least_affine = least;
        for (int i = -1; i < steps; ++i) {
          const double part = i < 0
                                  ? 1
                                  : static_cast<double>(stretch) +
                                        (static_cast<double>(shrink) - static_cast<double>(stretch)) * i / (steps - 1);
          const double scale = part * g.reach() / 3;
          const double step = part * (std::max(g.high(), 0.0) - std::min(g.low(), 0.0)) / 7;
          const double zero = std::clamp(std::nearbyint(-part * std::min(g.low(), 0.0) / step), 0.0, 7.0);
          double sum = 0;
          double sum_affine = 0;
          for (double x : g.weights) {
            const double code = std::clamp(std::nearbyint(x / scale), -3.0, 3.0);
            const double affine_code = std::clamp(std::nearbyint(x / step + zero), 0.0, 7.0);
            sum += std::pow(std::abs(code * scale - x), power);
            sum_affine += std::pow(std::abs((affine_code - zero) * step - x), power);
          }
          least = std::min(least, sum);
          least_affine = std::min(least_affine, sum_affine);
        }
        const auto error = [&](const auto& q) {
          double sum = 0;
          for (Index e = 0; e < g.weights.size(); ++e)
            sum += std::pow(std::abs(static_cast<double>(q.at(g.row, 32 * g.index + e)) - g.weights[e]), power);
          return sum;
        };
        EXPECT_NEAR(error(symmetric), least, 1e-5 * least);
        // Affine ends also move alone, which may do better still.
        EXPECT_LE(error(affine), least_affine * (1 + 1e-5));
      }
    }
  }
}

}  // namespace
}  // namespace nibble
