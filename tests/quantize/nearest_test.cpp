// Nearest rounding against a search through all codes, in double.
#include <gtest/gtest.h>

#include "formats/toy_formats.h"
#include "nibble/quantize.h"
#include "quantize/weights.h"

namespace nibble {
namespace {

/// Each weight of `q` is the nearest of those that its group can code.
template <class S> void expect_nearest(const Eigen::MatrixXf& w, const QuantizedMatrix<S>& q) {
  using F = typename S::format;
  constexpr double eps = static_cast<double>(std::numeric_limits<float>::epsilon());
  const Index size = S::group_inputs == 0 ? std::max<Index>(w.cols(), 1) : S::group_inputs;
  for (Index i = 0; i < w.rows(); ++i) {
    for (Index j = 0; j < w.cols(); ++j) {
      const auto p = q.group(i, j / size);
      const double x = static_cast<double>(w(i, j));
      double least = std::numeric_limits<double>::infinity();
      for (std::uint32_t c = 0; c < code_count<F>; ++c) {
        const auto code = static_cast<typename F::code_type>(c);
        const float value = F::decode(code);
        if (!std::isfinite(value) || F::decode(F::encode(value)) != value) continue;  // never chosen
        const double weight = (static_cast<double>(value) - static_cast<double>(p.zero)) * static_cast<double>(p.scale);
        least = std::min(least, std::abs(weight - x));
      }
      const double error = std::abs(static_cast<double>(q.at(i, j)) - x);
      // x / scale and + zero are rounded once each, decoding once more.
      const double slack = 3 * eps * (std::abs(x) + static_cast<double>(p.zero * p.scale)) + 0x1p-149;
      ASSERT_LE(error, least + slack) << S::name() << " (" << i << ", " << j << ") of " << x;
    }
  }
}

template <class S> class NearestRounding : public testing::Test {};
using Schemes =
    testing::Types<Int<2>, Int<3, Group<5>>, Int<4>, Int<4, Group<32>>, Int<4, PerTensor>, Int<8, Group<16>>,
                   UInt<1, Group<8>>, UInt<2>, UInt<4, Group<32>>, UInt<8, PerTensor>, MxFp4, NvFp4,
                   Int<4, Group<32>, StoredScale<formats::BFloat16>>, Int<4, Group<32>, StoredScale<formats::E5M2>>,
                   Scheme<formats::E4M3FN, Group<32>, FloorScale>, Scheme<formats::E5M2, PerRow>,
                   Scheme<formats::E2M1, Group<7>>, Scheme<test::Uneven, Group<16>>,
                   Scheme<test::Uneven, PerRow, StoredScale<formats::Float32>, ZeroPoint>>;
TYPED_TEST_SUITE(NearestRounding, Schemes);

TYPED_TEST(NearestRounding, OfGaussians) {
  for (const auto& [n, k] : {std::pair(1, 1), {15, 16}, {16, 15}, {17, 33}, {5, 67}, {2, 3}}) {
    const Eigen::MatrixXf w = test::gaussian(n, k, 5);
    expect_nearest(w, quantize<TypeParam>(w));
    expect_nearest(w, quantize<TypeParam>(w, AbsMax{}));
    expect_nearest(w, quantize<TypeParam>(w, MinimalError{}));
  }
}

// Where scales cannot be as large as the outliers ask, there is a message instead (see BadInput).
TYPED_TEST(NearestRounding, OfAwkwardWeights) {
  Eigen::MatrixXf w = test::awkward_weights();
  if (TypeParam::scale::format::max() < 1e30f) w = w.cwiseMin(1e5f).cwiseMax(-1e5f);
  expect_nearest(w, quantize<TypeParam>(w));
  EXPECT_TRUE(quantize<TypeParam>(w).dequantize().allFinite());
}

TYPED_TEST(NearestRounding, Empty) {
  for (const auto& [n, k] : {std::pair(0, 0), {0, 5}, {5, 0}}) {
    const auto q = quantize<TypeParam>(Eigen::MatrixXf(n, k));
    EXPECT_EQ(q.rows(), n);
    EXPECT_EQ(q.cols(), k);
    EXPECT_EQ(q.dequantize().size(), 0);
  }
}

TYPED_TEST(NearestRounding, ZerosStayZeros) {
  const Eigen::MatrixXf w = Eigen::MatrixXf::Zero(17, 35);
  EXPECT_EQ(quantize<TypeParam>(w).dequantize(), w);
}

TYPED_TEST(NearestRounding, DoesNotDependOnThreads) {
  const Eigen::MatrixXf w = test::gaussian(33, 50, 7);
  const auto serial = quantize<TypeParam>(w);
  const Executor backwards = [](std::ptrdiff_t count, const std::function<void(std::ptrdiff_t)>& task) {
    while (count-- > 0) task(count);
  };
  for (int threads : {2, 3, 50}) EXPECT_EQ(quantize<TypeParam>(w, Nearest{}, {threads, backwards}), serial) << threads;
}

template <class S> void expect_idempotent() {
  const Eigen::MatrixXf once = quantize<S>(test::gaussian(9, 64, 6)).dequantize();
  const Eigen::MatrixXf twice = quantize<S>(once).dequantize();
  EXPECT_LE((once - twice).norm(), 1e-6f * once.norm()) << S::name();
}

// Weights that are values of a symmetric scheme already stay where they are.
TEST(Nearest, IsIdempotent) {
  expect_idempotent<Int<3, Group<5>>>();
  expect_idempotent<Int<4, PerTensor>>();
  expect_idempotent<Int<8>>();
  expect_idempotent<MxFp4>();
  expect_idempotent<NvFp4>();
  expect_idempotent<Scheme<formats::E4M3FN, Group<32>>>();
}

// Ties go to the even code. The scale is 1: 7 is the largest.
TEST(Nearest, TiesToEven) {
  const Eigen::MatrixXf w = (Eigen::MatrixXf(1, 9) << 7, 0.5f, 1.5f, 2.5f, -0.5f, -1.5f, 6.5f, 5.5f, -6.5f).finished();
  const Eigen::MatrixXf expected = (Eigen::MatrixXf(1, 9) << 7, 0, 2, 2, 0, -2, 6, 6, -6).finished();
  EXPECT_EQ((quantize<Int<4>>(w).dequantize()), expected);
  const Eigen::MatrixXf fp4 = (Eigen::MatrixXf(1, 8) << 6, 0.25f, 0.75f, 1.25f, 1.75f, 2.5f, 3.5f, -5).finished();
  EXPECT_EQ((quantize<Scheme<formats::E2M1>>(fp4).dequantize()),
            (Eigen::MatrixXf(1, 8) << 6, 0, 1, 1, 2, 2, 4, -4).finished());
}

}  // namespace
}  // namespace nibble
