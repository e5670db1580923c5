// The fast Walsh-Hadamard transform: against the dense matrix, exact identities, all paths alike, any kind of matrix,
// bad input.
#include "nibble/kernels/hadamard.h"

#include <gtest/gtest.h>

#include <bit>
#include <cstring>
#include <thread>

#include "kernels/guard_pages.h"
#include "message_of.h"
#include "nibble/core/random.h"

namespace nibble {
namespace {

using Eigen::Index;
using test::Guard;
using test::GuardedBytes;
using test::message_of;

constexpr double eps = std::numeric_limits<float>::epsilon();

Eigen::MatrixXf numbers(Index rows, Index cols, std::uint64_t seed = 1) {
  std::uint64_t next = 0;
  return Eigen::MatrixXf::NullaryExpr(rows, cols, [&] { return 2 * Random(seed).uniform(next++) - 1; });
}

/// Integers from -4 to 4: their sums are exact in float for up to 2^20 rows.
Eigen::MatrixXf integers(Index rows, Index cols) {
  return (numbers(rows, cols) * 4).array().round();
}

bool same_bits(const Eigen::MatrixXf& a, const Eigen::MatrixXf& b) {
  return a.rows() == b.rows() && a.cols() == b.cols() &&
         std::equal(a.data(), a.data() + a.size(), b.data(), [](float x, float y) {
           return std::bit_cast<std::uint32_t>(x) == std::bit_cast<std::uint32_t>(y);
         });
}

int log2_of(Index n) {
  return std::countr_zero(static_cast<std::uint64_t>(n));
}

/// Within the bound that hadamard_transform states, column by column.
void expect_near(const Eigen::MatrixXf& y, const Eigen::MatrixXd& expected, const Eigen::MatrixXf& x, int times = 1) {
  for (Index j = 0; j < x.cols(); ++j) {
    const double bound = times * (log2_of(x.rows()) + 2) * (eps / 2) * x.col(j).cast<double>().norm();
    ASSERT_LE((y.col(j).cast<double>() - expected.col(j)).norm(), bound) << x.rows() << " rows";
  }
}

TEST(Hadamard, IsTheDenseMatrix) {
  for (Index n = 1; n <= 1024; n *= 2) {
    Eigen::MatrixXd dense(n, n);
    for (Index j = 0; j < n; ++j)
      for (Index i = 0; i < n; ++i)
        dense(i, j) = (std::popcount(static_cast<unsigned>(i & j)) % 2 ? -1 : 1) / std::sqrt(static_cast<double>(n));
    const Eigen::MatrixXf x = numbers(n, 3), unit = Eigen::MatrixXf::Identity(n, n);
    for (Isa isa : available_isas()) {
      expect_near(hadamard_transform(x, {.isa = isa}), dense * x.cast<double>(), x);
      // The matrix itself, to the rounding of 1 / sqrt(n).
      ASSERT_EQ(hadamard_transform(unit, {.isa = isa}), dense.cast<float>()) << name(isa) << ' ' << n;
    }
  }
}

// A unit vector turns into a Walsh function; the first and the last row of H add exact integers up.
TEST(Hadamard, LargeOnesInClosedForm) {
  for (Index n = 2048; n <= Index{1} << 20; n *= 2) {
    const auto scale = static_cast<float>(1 / std::sqrt(static_cast<double>(n)));
    const Index k = n / 3;
    Eigen::MatrixXf unit = Eigen::MatrixXf::Zero(n, 1), walsh(n, 1);
    unit(k) = 1;
    for (Index i = 0; i < n; ++i) walsh(i) = std::popcount(static_cast<unsigned>(i & k)) % 2 ? -scale : scale;
    const Eigen::MatrixXf x = integers(n, 1);
    double first = 0, last = 0;
    for (Index i = 0; i < n; ++i) {
      first += static_cast<double>(x(i));
      last += (std::popcount(static_cast<unsigned>(i)) % 2 ? -1 : 1) * static_cast<double>(x(i));
    }
    for (Isa isa : available_isas()) {
      ASSERT_TRUE(same_bits(hadamard_transform(unit, {.isa = isa}), walsh)) << name(isa) << ' ' << n;
      const Eigen::MatrixXf y = hadamard_transform(x, {.isa = isa});
      ASSERT_EQ(y(0), static_cast<float>(first) * scale) << name(isa) << ' ' << n;
      ASSERT_EQ(y(n - 1), static_cast<float>(last) * scale) << name(isa) << ' ' << n;
      expect_near(hadamard_transform(y, {.isa = isa}), x.cast<double>(), x, 2);
    }
  }
}

TEST(Hadamard, OrthonormalInvolutionLinear) {
  for (Index n : {1, 2, 8, 16, 128, 512, 4096, 8192, 65536}) {
    const Eigen::MatrixXf x = numbers(n, 4);
    const Eigen::MatrixXf y = hadamard_transform(x);
    expect_near(hadamard_transform(y), x.cast<double>(), x, 2);
    const Eigen::MatrixXd xd = x.cast<double>(), yd = y.cast<double>();
    const double bound = 4 * (log2_of(n) + 2) * eps * xd.squaredNorm();
    EXPECT_LE((yd.transpose() * yd - xd.transpose() * xd).norm(), bound) << n;
    // Sums of integers are exact, so that linearity holds to the last product, which scales by a power of two.
    const Index square = log2_of(n) % 2 == 0 ? n : 2 * n;
    const Eigen::MatrixXf z = integers(square, 2);
    EXPECT_EQ(hadamard_transform(3 * z.col(0) - 2 * z.col(1)),
              3 * hadamard_transform(z.col(0)) - 2 * hadamard_transform(z.col(1)));
    EXPECT_EQ(hadamard_transform(hadamard_transform(z)), z) << "all sums are exact";
  }
}

TEST(Hadamard, SameBitsOnEveryPath) {
  for (Index n = 1; n <= Index{1} << 20; n *= 2) {
    Eigen::MatrixXf x = numbers(n, n <= 4096 ? 5 : 1);
    // Signed zeros, subnormals and sizes that make all sums round.
    for (Index i = 0; i < x.size(); ++i)
      x.data()[i] *= i % 7 == 0 ? -0.0f : i % 5 == 0 ? 1e-40f : i % 3 == 0 ? 1e6f : 1.0f;
    const Eigen::MatrixXf expected = hadamard_transform(x, {.isa = Isa::Portable});
    const Eigen::MatrixXf zeros = Eigen::MatrixXf::Constant(n, 1, -0.0f);
    for (Isa isa : available_isas()) {
      ASSERT_TRUE(same_bits(hadamard_transform(x, {.isa = isa}), expected)) << name(isa) << ' ' << n;
      Eigen::MatrixXf y = x;
      hadamard_transform_in_place(y, {.isa = isa});
      ASSERT_TRUE(same_bits(y, expected)) << name(isa) << ' ' << n;
      ASSERT_TRUE(same_bits(hadamard_transform(zeros, {.isa = isa}), hadamard_transform(zeros, {.isa = Isa::Portable})))
          << name(isa) << ' ' << n;
    }
  }
}

TEST(Hadamard, InsideGuardPages) {
  for (Index n = 1; n <= 32768; n *= 2) {
    const Eigen::MatrixXf x = numbers(n, 3);
    const Eigen::MatrixXf expected = hadamard_transform(x, {.isa = Isa::Portable});
    const std::size_t bytes = static_cast<std::size_t>(x.size()) * sizeof(float);
    for (Guard guard : {Guard::Before, Guard::After}) {
      GuardedBytes memory(bytes, guard);
      Eigen::Map<Eigen::MatrixXf> y(reinterpret_cast<float*>(memory.data()), n, 3);
      for (Isa isa : available_isas()) {
        y = x;
        EXPECT_TRUE(same_bits(hadamard_transform(y, {.isa = isa}), expected)) << name(isa) << ' ' << n;
        EXPECT_TRUE(same_bits(y, x));
        hadamard_transform_in_place(y, {.isa = isa});
        EXPECT_TRUE(same_bits(y, expected)) << name(isa) << ' ' << n;
      }
    }
  }
}

TEST(Hadamard, BlocksOfLargerMatrices) {
  for (Index n : {1, 4, 16, 256, 2048, 8192}) {
    const Eigen::MatrixXf big = numbers(n + 9, 7);
    for (Isa isa : available_isas()) {
      Eigen::MatrixXf y = big;
      hadamard_transform_in_place(y.block(3, 2, n, 4), {.isa = isa});
      Eigen::MatrixXf expected = big;
      expected.block(3, 2, n, 4) = hadamard_transform(Eigen::MatrixXf(big.block(3, 2, n, 4)), {.isa = Isa::Portable});
      EXPECT_TRUE(same_bits(y, expected)) << name(isa) << ' ' << n;
      EXPECT_TRUE(same_bits(hadamard_transform(big.block(3, 2, n, 4), {.isa = isa}), expected.block(3, 2, n, 4)));
    }
  }
}

TEST(Hadamard, BlockDiagonal) {
  for (const auto& [block, count] : {std::pair<Index, Index>{1, 5}, {4, 3}, {16, 7}, {256, 2}, {8192, 3}}) {
    const Eigen::MatrixXf x = numbers(block * count, 3);
    // Blocks as columns of their own.
    const Eigen::MatrixXf expected = hadamard_transform(x.reshaped(block, 3 * count)).reshaped(block * count, 3);
    for (Isa isa : available_isas()) {
      EXPECT_TRUE(same_bits(hadamard_transform(x, {.isa = isa, .block = block}), expected))
          << name(isa) << ' ' << block;
      Eigen::MatrixXf y = x;
      hadamard_transform_in_place(y, {.threads = 2, .isa = isa, .block = block});
      EXPECT_TRUE(same_bits(y, expected)) << name(isa) << ' ' << block;
    }
  }
  EXPECT_EQ(message_of([] { hadamard_transform(Eigen::MatrixXf(12, 1), {.block = 8}); }),
            "nibble::hadamard_transform: expected a block that divides the 12 rows, got 8");
  EXPECT_EQ(message_of([] { hadamard_transform(Eigen::MatrixXf(12, 1), {.block = 3}); }),
            "nibble::hadamard_transform: expected a power of two up to 2^20 as the block, got 3");
}

TEST(Hadamard, ExpressionsOfAnyKind) {
  const Eigen::MatrixXf x = integers(32, 8);
  const Eigen::MatrixXf expected = hadamard_transform(x);
  const Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor> rows = x;
  EXPECT_EQ(hadamard_transform(rows), expected);
  EXPECT_EQ(hadamard_transform(rows.transpose().transpose()), expected);
  EXPECT_EQ(hadamard_transform(x + 0 * x), expected);
  EXPECT_EQ(hadamard_transform(x.col(3)), expected.col(3));
  EXPECT_EQ(hadamard_transform(x.row(3)), x.row(3)) << "one row: H is 1";
  EXPECT_EQ(hadamard_transform(x.transpose()), hadamard_transform(Eigen::MatrixXf(x.transpose())));
  EXPECT_EQ(hadamard_transform(x.cast<double>()), expected);
  EXPECT_EQ(hadamard_transform(x.cast<int>()), expected);
  EXPECT_EQ(hadamard_transform(x.cast<std::int8_t>()), expected);
  EXPECT_EQ(hadamard_transform(x.cast<Eigen::half>()), expected);
  EXPECT_EQ(hadamard_transform(x.cast<Eigen::bfloat16>()), expected);
  const Eigen::Map<const Eigen::MatrixXf, 0, Eigen::InnerStride<2>> every_second(x.data(), 16, 8);
  EXPECT_EQ(hadamard_transform(every_second), hadamard_transform(Eigen::MatrixXf(every_second)));
  Eigen::MatrixXf self = x;
  self = hadamard_transform(self);
  EXPECT_EQ(self, expected);
  Eigen::VectorXf column = x.col(3);
  hadamard_transform_in_place(column);
  EXPECT_EQ(column, expected.col(3));
}

TEST(Hadamard, ThreadsAndExecutors) {
  const Eigen::MatrixXf x = numbers(512, 11);
  const Eigen::MatrixXf expected = hadamard_transform(x);
  std::ptrdiff_t parts = 0;
  const Executor on_threads = [&](std::ptrdiff_t count, const std::function<void(std::ptrdiff_t)>& task) {
    parts = count;
    std::vector<std::thread> all;
    for (std::ptrdiff_t i = 0; i < count; ++i) all.emplace_back(task, i);
    for (std::thread& thread : all) thread.join();
  };
  for (int threads : {1, 2, 3, 11, 50}) {
    EXPECT_TRUE(same_bits(hadamard_transform(x, {.threads = threads}), expected));
    Eigen::MatrixXf y = x;
    hadamard_transform_in_place(y, {.threads = threads, .executor = on_threads});
    EXPECT_TRUE(same_bits(y, expected));
    EXPECT_EQ(parts, threads == 1 ? 0 : std::min(threads, 11));
  }
}

TEST(Hadamard, InfinitiesAndNansPassThrough) {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  for (Index n : {1, 2, 8, 64, 1024, 8192}) {
    for (Isa isa : available_isas()) {
      Eigen::MatrixXf x = Eigen::MatrixXf::Ones(n, 3);
      x(n / 2, 1) = infinity;
      x(n / 2, 2) = std::numeric_limits<float>::quiet_NaN();
      const Eigen::MatrixXf y = hadamard_transform(x, {.isa = isa});
      EXPECT_TRUE(y.col(0).allFinite());
      for (Index i = 0; i < n; ++i) {
        const bool negative = std::popcount(static_cast<unsigned>(i & (n / 2))) % 2 != 0;
        ASSERT_EQ(y(i, 1), negative ? -infinity : infinity) << name(isa) << ' ' << n << ' ' << i;
        ASSERT_TRUE(std::isnan(y(i, 2))) << name(isa) << ' ' << n << ' ' << i;
      }
    }
  }
}

TEST(Hadamard, EmptyMatrices) {
  for (Isa isa : available_isas()) {
    for (const auto& [rows, cols] : {std::pair<Index, Index>{0, 0}, {0, 5}, {1, 0}, {64, 0}}) {
      Eigen::MatrixXf x(rows, cols);
      const Eigen::MatrixXf y = hadamard_transform(x, {.isa = isa});
      EXPECT_TRUE(y.rows() == rows && y.cols() == cols);
      hadamard_transform_in_place(x, {.isa = isa});
    }
  }
}

TEST(Hadamard, BadSizesThreadsAndInstructionSets) {
  for (Index n : {3, 5, 6, 12, 17, 1023, 4095, 4097}) {
    Eigen::MatrixXf x = numbers(n, 2);
    const Eigen::MatrixXf before = x;
    const std::string end = text(": expected a power of two up to 2^20 as the number of rows, got ", n);
    EXPECT_EQ(message_of([&] { hadamard_transform(x); }), "nibble::hadamard_transform" + end);
    EXPECT_EQ(message_of([&] { hadamard_transform_in_place(x); }), "nibble::hadamard_transform_in_place" + end);
    EXPECT_EQ(x, before);
  }
  EXPECT_EQ(message_of([] { hadamard_transform(Eigen::MatrixXf(12, 0)); }),
            "nibble::hadamard_transform: expected a power of two up to 2^20 as the number of rows, got 12");
  EXPECT_EQ(message_of([] { hadamard_transform(Eigen::MatrixXf(1 << 21, 0)); }),
            "nibble::hadamard_transform: expected a power of two up to 2^20 as the number of rows, got 2097152");
  Eigen::MatrixXf x = numbers(8, 2);
  const Eigen::MatrixXf before = x;
  for (int threads : {0, -1}) {
    EXPECT_EQ(message_of([&] { hadamard_transform(x, {.threads = threads}); }),
              text("nibble::hadamard_transform: expected at least 1 thread, got ", threads));
    EXPECT_EQ(message_of([&] { hadamard_transform_in_place(x, {.threads = threads}); }),
              text("nibble::hadamard_transform_in_place: expected at least 1 thread, got ", threads));
  }
  EXPECT_EQ(message_of([&] { hadamard_transform_in_place(x, {.isa = static_cast<Isa>(77)}); }),
            "nibble::resolve: expected an instruction set that this CPU has, got Isa(77)");
  EXPECT_EQ(message_of([&] { hadamard_transform(Eigen::MatrixXf(0, 0), {.isa = static_cast<Isa>(77)}); }),
            "nibble::resolve: expected an instruction set that this CPU has, got Isa(77)");
  EXPECT_EQ(x, before);
}

}  // namespace
}  // namespace nibble
