// Quantized activations: against a double loop, all paths alike, any kind of matrix, memory used again, bad input.
#include "nibble/kernels/quantize_activations.h"

#include <gtest/gtest.h>

#include "kernels/guard_pages.h"
#include "quantize/weights.h"

namespace nibble {
namespace {

using test::Guard;
using test::GuardedBytes;
using test::message_of;

template <class S> class ActivationRounding : public testing::Test {};
using Schemes = testing::Types<Int<8>, Int<2>, Int<16>, UInt<8>, UInt<1>, Int<8, Group<32>>, Int<5, Group<48>>,
                               Int<8, Group<5>>, Int<16, Group<16>>, UInt<7, Group<64>>, UInt<8, Group<1>>>;
TYPED_TEST_SUITE(ActivationRounding, Schemes);

template <class S>
constexpr int steps_of = S::format::bits == 16  ? 256 * 127
                         : !S::affine           ? (1 << (S::format::bits - 1)) - 1
                         : S::format::bits == 8 ? 254
                                                : (1 << S::format::bits) - 1;

template <class S, class X> void expect_quantized(const X& inputs, const QuantizedActivations<S>& q) {
  const Eigen::MatrixXd x = inputs.template cast<double>();
  ASSERT_EQ(q.rows(), x.rows());
  ASSERT_EQ(q.cols(), x.cols());
  const double top = steps_of<S>, offset = S::affine && S::format::bits == 8 ? 127 : 0;
  const double low = S::affine ? -offset : -top, high = top - offset;
  const Index size = S::group_inputs == 0 ? x.rows() : S::group_inputs;
  for (Index m = 0; m < x.cols(); ++m) {
    for (Index first = 0, g = 0; first < x.rows(); first += size, ++g) {
      const auto group = x.col(m).segment(first, std::min(size, x.rows() - first));
      const double most = std::max(group.maxCoeff(), 0.0), least = std::min(group.minCoeff(), 0.0);
      const double exact = (S::affine ? most - least : std::max(most, -least)) / top;
      const double scale = static_cast<double>(q.scale(g, m)), zero = q.zero(g, m);
      // Roundings of two quotients and a sum, or half a denormal for each.
      ASSERT_LE(std::abs(scale - exact), 0x1p-23 * exact + 0x1p-149) << first << ", " << m;
      if (S::affine && scale > 0) {
        ASSERT_LE(std::abs(zero + offset + std::max(least / scale, -top)), 0.5 + 0x1p-14);
      }
      for (Index k = first; k < first + group.size(); ++k) {
        const int integer = q.integer(k, m);
        ASSERT_EQ(q.at(k, m), static_cast<float>(integer - q.zero(g, m)) * q.scale(g, m));
        ASSERT_GE(integer, low);
        ASSERT_LE(integer, high);
        if (scale == 0) {
          ASSERT_EQ(integer, zero);
        } else {
          // The nearest integer; the reciprocal and the product are rounded.
          const double wanted = std::clamp(x(k, m) / scale + zero, low, high);
          ASSERT_LE(std::abs(integer - wanted), 0.5 + 0x1p-22 * top) << k << ", " << m;
        }
      }
    }
  }
  const Eigen::MatrixXf dense = q.dequantize();
  for (Index m = 0; m < x.cols(); ++m)
    for (Index k = 0; k < x.rows(); ++k) ASSERT_EQ(dense(k, m), q.at(k, m));
}

/// Every byte alike, the padding's included.
template <class S> testing::AssertionResult same(const QuantizedActivations<S>& a, const QuantizedActivations<S>& b) {
  const auto& shape = a.shape();
  if (a.rows() != b.rows() || a.cols() != b.cols()) return testing::AssertionFailure() << "another shape";
  for (Index m = 0; m < a.cols(); ++m)
    for (Index k = 0; k < shape.padded_rows(); ++k)
      if (a.integer(k, m) != b.integer(k, m))
        return testing::AssertionFailure() << a.integer(k, m) << " or " << b.integer(k, m) << " at " << k << ", " << m;
  for (Index m = 0; m < a.cols(); ++m)
    for (Index g = 0; g < shape.groups(); ++g)
      if (a.scale(g, m) != b.scale(g, m) || a.zero(g, m) != b.zero(g, m))
        return testing::AssertionFailure() << "scale or zero of group " << g << " of column " << m;
  return testing::AssertionSuccess();
}

template <class S> QuantizedActivations<S> portable(const Eigen::MatrixXf& x) {
  return quantize_activations<S>(x, {.isa = Isa::Portable});
}

/// Columns of all kinds of sizes: normal numbers, none, both ends of the floats, subnormals, one sign, ties.
Eigen::MatrixXf columns_of_all_kinds(Index k, Index m) {
  Eigen::MatrixXf x = test::gaussian(k, m, 7);
  for (Index c = 0; c < m; ++c) {
    auto column = x.col(c);
    if (c % 12 == 1) column.setZero();
    if (c % 12 == 2) column *= 5e37f;
    if (c % 12 == 3) column *= 1e-36f;
    if (c % 12 == 4) column *= 1e-39f;
    if (c % 12 == 5) column *= 1e-44f;
    if (c % 12 == 6) column = column.cwiseAbs();
    if (c % 12 == 8) column = -column.cwiseAbs();
    if (c % 12 == 9)
      for (Index i = 0; i < k; ++i) column(i) = i == 0 ? 127.0f : static_cast<float>(i * 37 % 509 - 254) / 2;
    if (c % 12 == 10) column.head(k / 2).setZero();
    if (c % 12 == 11) column.setConstant(std::numeric_limits<float>::max());
  }
  return x;
}

TYPED_TEST(ActivationRounding, IsTheNearestInteger) {
  for (Index k : {1, 3, 4, 5, 15, 16, 17, 63, 64, 65, 131})
    for (Index m : {1, 2, 11, 12, 13, 25}) {
      const Eigen::MatrixXf x = test::gaussian(k, m, 1);
      expect_quantized(x, portable<TypeParam>(x));
    }
  const Eigen::MatrixXf awkward = test::awkward_weights().transpose();
  const auto q = portable<TypeParam>(awkward);
  expect_quantized(awkward, q);
  EXPECT_TRUE(q.dequantize().allFinite());
  EXPECT_TRUE(q.dequantize().col(0).isZero(0));
}

TYPED_TEST(ActivationRounding, SameBitsOnEveryPath) {
  for (Isa isa : available_isas())
    for (Index k : {1, 3, 4, 15, 16, 17, 31, 32, 33, 63, 64, 65, 131, 257, 1090})
      for (Index m : {1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 25}) {
        const Eigen::MatrixXf x = columns_of_all_kinds(k, m);
        ASSERT_TRUE(same(quantize_activations<TypeParam>(x, {.isa = isa}), portable<TypeParam>(x)))
            << name(isa) << ' ' << k << " x " << m;
      }
}

TYPED_TEST(ActivationRounding, PaddingIsZero) {
  for (Isa isa : available_isas())
    for (Index k : {1, 17, 40, 63}) {
      const auto q = quantize_activations<TypeParam>(Eigen::MatrixXf::Ones(k, 5), {.isa = isa});
      for (Index m = 0; m < 5; ++m)
        for (Index i = k; i < 64; ++i) ASSERT_EQ(q.integer(i, m), 0) << name(isa) << ' ' << k << ' ' << i;
    }
}

TYPED_TEST(ActivationRounding, Empty) {
  for (Isa isa : available_isas()) {
    for (const auto& [k, m] : {std::pair(0, 0), {0, 3}, {3, 0}}) {
      const auto q = quantize_activations<TypeParam>(Eigen::MatrixXf(k, m), {.isa = isa});
      EXPECT_EQ(q.rows(), k);
      EXPECT_EQ(q.cols(), m);
      EXPECT_EQ(q.dequantize().size(), 0);
    }
  }
}

TYPED_TEST(ActivationRounding, AnyThreadsAndExecutor) {
  const Eigen::MatrixXf x = test::gaussian(33, 40, 3);
  const auto serial = quantize_activations<TypeParam>(x);
  const Executor backwards = [](std::ptrdiff_t count, const std::function<void(std::ptrdiff_t)>& task) {
    while (count-- > 0) task(count);
  };
  for (int threads : {2, 7, 40}) {
    EXPECT_TRUE(same(quantize_activations<TypeParam>(x, {.threads = threads}), serial));
    EXPECT_TRUE(same(quantize_activations<TypeParam>(x, {.threads = threads, .executor = backwards}), serial));
  }
}

// Reads and writes nothing beyond its arrays.
TYPED_TEST(ActivationRounding, InsideGuardPages) {
  using S = TypeParam;
  using Activations = QuantizedActivations<S>;
  for (Guard guard : {Guard::Before, Guard::After}) {
    for (const auto& [rows, cols] : {std::pair(1, 1), {7, 4}, {33, 12 / Activations::parts}, {130, 3}}) {
      const Index k = rows, m = cols;
      const typename Activations::Shape shape{k, m};
      const auto scales = static_cast<std::size_t>(shape.scales());
      GuardedBytes in(static_cast<std::size_t>(k * m) * sizeof(float), guard);
      GuardedBytes codes(static_cast<std::size_t>(shape.bytes()), guard), out(scales * sizeof(float), guard);
      GuardedBytes zeros(scales, guard);
      Eigen::Map<Eigen::MatrixXf> x(reinterpret_cast<float*>(in.data()), k, m);
      x = test::gaussian(k, m, 5);
      kernels::ActivationColumns t{.x = x.data(),
                                   .stride = k,
                                   .rows = k,
                                   .codes = reinterpret_cast<std::int8_t*>(codes.data()),
                                   .scales = reinterpret_cast<float*>(out.data()),
                                   .zeros = reinterpret_cast<std::int8_t*>(zeros.data()),
                                   .width = m};
      for (Isa isa : available_isas())
        dispatch(isa, [&](auto tag) {
          EXPECT_TRUE((kernels::QuantizeColumns<decltype(tag), S>::run(t, m))) << name(isa) << ' ' << k << " x " << m;
        });
    }
  }
}

TEST(Activations, OfAnyExpression) {
  const Eigen::MatrixXf x = test::gaussian(140, 27, 2).cast<Eigen::half>().cast<float>();
  const auto expected = quantize_activations(x);
  const auto check = [&](const auto& expression) { EXPECT_TRUE(same(quantize_activations(expression), expected)); };
  check(RowMajorMatrixXf(x));
  check(RowMajorMatrixXf(x).topRows(140));
  check(Eigen::MatrixXf(x.transpose()).transpose());
  check(x.cast<double>());
  check(x.cast<Eigen::half>());
  check(Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>(x.cast<double>()));
  check(2 * x - x);
  check(Eigen::MatrixXf::Identity(140, 140) * x);
  check(x.reshaped(140, 27));
  Eigen::MatrixXf larger = Eigen::MatrixXf::Constant(150, 40, std::numeric_limits<float>::infinity());
  larger.block(4, 3, 140, 27) = x;
  check(larger.block(4, 3, 140, 27));
  Eigen::MatrixXf spread(280, 27);
  const Eigen::Map<Eigen::MatrixXf, 0, Eigen::InnerStride<2>> every_second(spread.data(), 140, 27);
  spread.setConstant(std::numeric_limits<float>::infinity());
  Eigen::Map<Eigen::MatrixXf, 0, Eigen::InnerStride<2>>(spread.data(), 140, 27) = x;
  check(every_second);
  EXPECT_TRUE(same(quantize_activations(x.col(5)), quantize_activations(Eigen::MatrixXf(x.col(5)))));
  EXPECT_TRUE(same(quantize_activations(x.row(5)), quantize_activations(Eigen::MatrixXf(x.row(5)))));
  const Eigen::Matrix<Eigen::bfloat16, Eigen::Dynamic, Eigen::Dynamic> brain = x.cast<Eigen::bfloat16>();
  EXPECT_TRUE(same(quantize_activations(brain), quantize_activations(Eigen::MatrixXf(brain.cast<float>()))));
  EXPECT_TRUE(
      same(quantize_activations(x.cast<int>()), quantize_activations(Eigen::MatrixXf(x.cast<int>().cast<float>()))));
}

// Ties go to the even integer; the scale is 1, or 2 in the second column.
TEST(Activations, TiesToEven) {
  const Eigen::MatrixXf x =
      (Eigen::MatrixXf(6, 2) << 127, -254, 0.5f, 1, 1.5f, 3, -2.5f, -5, 125.5f, 251, -126.5f, 253).finished();
  const Eigen::MatrixXf expected =
      (Eigen::MatrixXf(6, 2) << 127, -254, 0, 0, 2, 4, -2, -4, 126, 252, -126, 252).finished();
  for (Isa isa : available_isas()) EXPECT_EQ(quantize_activations(x, {.isa = isa}).dequantize(), expected);
}

// Two bytes of every integer that 16 bits have.
TEST(Activations, SixteenBitsInTwoBytes) {
  Eigen::MatrixXf x(2 * 32512 + 1, 1);
  for (Index i = 0; i < x.rows(); ++i) x(i) = static_cast<float>(i - 32512);
  for (Isa isa : available_isas()) EXPECT_EQ(quantize_activations<Int<16>>(x, {.isa = isa}).dequantize(), x);
}

TEST(Activations, StaticScaleClips) {
  Eigen::MatrixXf x(64, 2);
  for (Index i = 0; i < 64; ++i) x.row(i).setConstant(std::ldexp(i % 2 ? -1.5f : 1.5f, static_cast<int>(4 * i - 126)));
  x(0, 0) = std::numeric_limits<float>::max();
  x(1, 0) = -x(0, 0);
  for (float scale : {0.0f, 1e-45f, 0x1p-128f, 1e-30f, 1.0f, 3.0f, 1e30f, std::numeric_limits<float>::max()}) {
    const auto expected = quantize_activations_at(x, scale, {.isa = Isa::Portable});
    const auto wide = quantize_activations_at<Int<16>>(x, scale, {.isa = Isa::Portable});
    for (Index m = 0; m < 2; ++m)
      for (Index k = 0; k < 64; ++k) {
        const double ratio = scale > 0 ? static_cast<double>(x(k, m)) / static_cast<double>(scale) : 0;
        ASSERT_LE(std::abs(expected.integer(k, m) - std::clamp(ratio, -127.0, 127.0)), 0.5) << scale << ' ' << k;
      }
    for (Isa isa : available_isas()) {
      EXPECT_TRUE(same(quantize_activations_at(x, scale, {.isa = isa}), expected)) << name(isa) << ' ' << scale;
      EXPECT_TRUE(same(quantize_activations_at<Int<16>>(x, scale, {.isa = isa}), wide)) << name(isa) << ' ' << scale;
    }
  }
}

TEST(Activations, UseMemoryAgain) {
  const Eigen::MatrixXf x = test::gaussian(100, 14, 4), y = test::gaussian(90, 15, 5), z = test::gaussian(300, 14, 6);
  auto q = quantize_activations<UInt<8>>(x);
  const std::int8_t* codes = q.codes(0);
  const float* scales = q.scales(0);
  quantize_activations_into(2 * x, q);
  EXPECT_TRUE(same(q, quantize_activations<UInt<8>>(2 * x)));
  EXPECT_EQ(q.codes(0), codes);
  EXPECT_EQ(q.scales(0), scales);
  quantize_activations_into(y.leftCols(13), q);  // another shape that fits
  EXPECT_TRUE(same(q, quantize_activations<UInt<8>>(y.leftCols(13))));
  EXPECT_EQ(q.codes(0), codes);
  quantize_activations_into(z, q);
  EXPECT_TRUE(same(q, quantize_activations<UInt<8>>(z)));
}

TEST(Activations, RejectWhatIsNotFinite) {
  for (float bad : {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::quiet_NaN(),
                    std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity()}) {
    for (Index row : {0, 5, 16, 63, 69}) {
      Eigen::MatrixXf x = Eigen::MatrixXf::Ones(70, 40);
      x(row, 2) = x(row, 30) = bad;
      const std::string expected =
          "nibble::quantize_activations: expected finite activations, got a NaN or an infinity in column 2";
      for (Isa isa : available_isas()) {
        const ActivationOptions options{.threads = 3, .isa = isa};
        EXPECT_EQ(message_of([&] { quantize_activations(x, options); }), expected);
        EXPECT_EQ(message_of([&] { quantize_activations(RowMajorMatrixXf(x), options); }), expected);
        EXPECT_EQ(message_of([&] { quantize_activations<UInt<8>>(x, options); }), expected);
        EXPECT_EQ(message_of([&] { quantize_activations<Int<8, Group<16>>>(x, options); }), expected);
        EXPECT_EQ(message_of([&] { quantize_activations<Int<8, Group<4>>>(x, options); }), expected);
        EXPECT_NE(message_of([&] { quantize_activations_at(x, 1, options); }), "");
        auto q = quantize_activations(Eigen::MatrixXf::Ones(70, 40));
        EXPECT_NE(message_of([&] { quantize_activations_into(x, q, options); }), "");
        EXPECT_EQ(q.rows() + q.cols(), 0);
      }
    }
  }
}

TEST(Activations, RejectBadOptions) {
  const Eigen::MatrixXf x = Eigen::MatrixXf::Ones(9, 4);
  auto q = quantize_activations(x);
  for (int threads : {0, -1}) {
    const std::string end = text(": expected at least 1 thread, got ", threads);
    EXPECT_EQ(message_of([&] { quantize_activations(x, {.threads = threads}); }), "nibble::quantize_activations" + end);
    EXPECT_EQ(message_of([&] { quantize_activations_at(x, 1, {.threads = threads}); }),
              "nibble::quantize_activations_at" + end);
    EXPECT_EQ(message_of([&] { quantize_activations_into(2 * x, q, {.threads = threads}); }),
              "nibble::quantize_activations_into" + end);
    EXPECT_EQ(message_of([&] { hadamard_quantize_activations(x.topRows(8), {.threads = threads}); }),
              "nibble::hadamard_quantize_activations" + end);
  }
  EXPECT_EQ(message_of([&] { quantize_activations_into(2 * x, q, {.executor = Executor{}}); }),
            "nibble::quantize_activations_into: expected an executor that can be called, got an empty one");
  EXPECT_EQ(message_of([&] { quantize_activations_into(2 * x, q, {.isa = static_cast<Isa>(77)}); }),
            "nibble::resolve: expected an instruction set that this CPU has, got Isa(77)");
  EXPECT_TRUE(same(q, quantize_activations(x))) << "as it was";
}

template <class S> void expect_fused(const Eigen::MatrixXf& x, const TransformOptions& options) {
  const auto two_steps = portable<S>(hadamard_transform(x, options));
  ASSERT_TRUE(same(hadamard_quantize_activations<S>(x, options), two_steps)) << x.rows() << " x " << x.cols();
  ASSERT_TRUE(same(hadamard_quantize_activations<S>(RowMajorMatrixXf(x), options), two_steps));
}

TEST(HadamardActivations, AreTransformedThenQuantized) {
  for (Isa isa : available_isas()) {
    for (Index k : {1, 2, 8, 64, 512, 2048, 32768}) {
      for (Index m : {1, 5, 25}) {
        if (k > 2048 && m > 5) continue;
        const Eigen::MatrixXf x = test::gaussian(k, m, 8);
        expect_fused<Int<8>>(x, {.isa = isa});
        expect_fused<UInt<8, Group<32>>>(x, {.threads = 2, .isa = isa});
      }
    }
    for (const auto& [k, block] : {std::pair(96, 32), {96, 1}, {192, 64}, {3 * 4096, 4096}})
      expect_fused<Int<8, Group<32>>>(test::gaussian(k, 13, 9), {.isa = isa, .block = block});
  }
}

TEST(HadamardActivations, RejectBadInput) {
  const std::string start = "nibble::hadamard_quantize_activations: expected ";
  const auto message = [](Index rows, Index block) {
    return message_of([&] { hadamard_quantize_activations(Eigen::MatrixXf::Ones(rows, 2), {.block = block}); });
  };
  EXPECT_EQ(message(12, 0), start + "a power of two up to 2^20 as the number of rows, got 12");
  EXPECT_EQ(message(12, 8), start + "a block that divides the 12 rows, got 8");
  EXPECT_EQ(message(12, 6), start + "a power of two up to 2^20 as the block, got 6");
  EXPECT_EQ(message(12, -4), start + "a power of two up to 2^20 as the block, got -4");
  Eigen::MatrixXf x = Eigen::MatrixXf::Ones(64, 20);
  x.col(17).setConstant(std::numeric_limits<float>::max());  // its sums overflow
  EXPECT_EQ(message_of([&] { hadamard_quantize_activations(x, {.threads = 2}); }),
            start + "finite activations, got a NaN or an infinity in column 17");
}

}  // namespace
}  // namespace nibble
