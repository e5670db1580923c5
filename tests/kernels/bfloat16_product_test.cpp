// Products of bfloat16 activations against double precision.
#include <gtest/gtest.h>

#include "kernels/guard_pages.h"
#include "kernels/random_operands.h"
#include "message_of.h"
#include "oracle/products.h"

namespace nibble {
namespace {

using MatrixXb = Eigen::Matrix<Eigen::bfloat16, Eigen::Dynamic, Eigen::Dynamic>;

MatrixXb random_halves(Index k, Index m) {
  return test::random_inputs(k, m, 4).cast<Eigen::bfloat16>();
}

bool available() {
  bool any = false;
  isa::any_available([&](auto tag) {
    if constexpr (kernels::BFloat16Dot<decltype(tag)>::exists)
      any = any || kernels::BFloat16Dot<decltype(tag)>::available();
    return false;
  });
  return any;
}

/// Whether bfloat16 holds every value of the scheme's format.
template <class S> bool exact() {
  if (S::table_size > 0) return false;
  for (int choice = 0; choice < S::choices; ++choice) {
    for (std::uint32_t c = 0; c < code_count<typename S::format>; ++c) {
      float value = 0;
      decode_to<typename S::format>(static_cast<typename S::code_type>(c), {nullptr, choice}, &value);
      if (std::isfinite(value) && static_cast<float>(static_cast<Eigen::bfloat16>(value)) != value) return false;
    }
  }
  return true;
}

template <class S> void check(Index n, Index k, Index m) {
  SCOPED_TRACE(text(S::name(), ": ", n, " x ", k, " x ", m));
  const auto w = test::random_matrix<S>(n, k, 3);
  const MatrixXb x = random_halves(k, m);
  const Eigen::MatrixXd dense = w.dequantize().template cast<double>();
  const double rounded = exact<S>() ? 0 : 0x1p-8 / static_cast<double>(std::numeric_limits<float>::epsilon());
  for (Isa isa : available_isas()) {
    Eigen::MatrixXf y = Eigen::MatrixXf::Constant(n, m, -77), z = y;
    gemm(w, x, y, {.isa = isa});
    EXPECT_LE(oracle::error_in_eps(y, dense, x.cast<double>()), static_cast<double>(k) + 2 + rounded) << name(isa);
    gemm(w, x.cast<float>(), z, {.isa = isa});
    if (isa == Isa::Portable || isa == Isa::Avx2) {
      EXPECT_EQ(y, z) << name(isa);
    }
  }
}

template <class S> class BFloat16Product : public testing::Test {};
using Schemes = testing::Types<Int<4, Group<32>>, UInt<8, Group<16>>, UInt<4, Group<10>>, UInt<3, PerTensor>,
                               Int<4, Group<5>>, NvFp4, Fp8E4M3<>, MxFp8E5M2, Nf4<64>, BitMod<4, Group<32>>,
                               Scheme<formats::E2M1, Group<16>, SubScale<formats::E8M0, formats::Float32, PerRow>>>;
TYPED_TEST_SUITE(BFloat16Product, Schemes);

TYPED_TEST(BFloat16Product, Shapes) {
  for (Index n : {1, 16, 17, 37})
    for (Index k : {1, 4, 33, 257, 600})
      for (Index m : {1, 5, 12, 25}) check<TypeParam>(n, k, m);
}

TYPED_TEST(BFloat16Product, EveryTileWidth) {
  for (Index m = 1; m <= 25; ++m) check<TypeParam>(16, 68, m);
}

TYPED_TEST(BFloat16Product, Empty) {
  for (Index m : {0, 1, 14}) check<TypeParam>(17, 0, m);
  check<TypeParam>(0, 40, 14);
}

/// The products are those of bfloat16: a table is rounded to it.
TEST(BFloat16Products, RunInBFloat16) {
  if (!available()) GTEST_SKIP() << "this CPU does not multiply bfloat16: only the fall-back was tested";
  using S = Codebook<4, PerTensor>;
  Parts<S> parts(16, 8);
  for (Index i = 0; i < 16; ++i) parts.tables(0, i) = static_cast<float>(i) / 16 + 0x1.8p-12f;
  parts.codes.setConstant(8);
  parts.scales.setConstant(formats::Float32::encode(1));
  const QuantizedMatrix<S> w(parts);
  const MatrixXb x = MatrixXb::Constant(8, 12, Eigen::bfloat16(1));
  Eigen::MatrixXf y(16, 12);
  gemm(w, x, y, {.isa = Isa::Avx512});
  EXPECT_EQ(y, Eigen::MatrixXf::Constant(16, 12, 4));
  parts.tables(0, 8) = 0.5f + 0x1.1p-9f;  // beyond the middle of 0.5 and its neighbour
  gemm(QuantizedMatrix<S>(parts), x, y, {.isa = Isa::Avx512});
  EXPECT_EQ(y, Eigen::MatrixXf::Constant(16, 12, 8 * (0.5f + 0x1p-8f)));
}

TEST(BFloat16Products, SameBitsForAnyNumberOfThreads) {
  const auto w = test::random_matrix<MxFp4>(70, 96, 7);
  const MatrixXb x = random_halves(96, 30);
  const Eigen::MatrixXf expected = w * x;
  for (int threads : {2, 3, 100}) {
    Eigen::MatrixXf y(70, 30);
    gemm(w, x, y, {.threads = threads});
    EXPECT_EQ(y, expected);
  }
  const Eigen::Matrix<Eigen::bfloat16, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor> by_rows = x;
  EXPECT_EQ(w * by_rows, expected);
  EXPECT_EQ(w * x.middleCols(3, 20), expected.middleCols(3, 20));
}

TEST(BFloat16Products, NamesWhatIsWrong) {
  const auto w = test::random_matrix<MxFp4>(20, 40, 7);
  for (float bad : {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
    for (Index m : {2, 14}) {
      MatrixXb x = random_halves(40, m);
      x(39, 1) = Eigen::bfloat16(bad);
      for (Isa isa : available_isas()) {
        Eigen::MatrixXf y = Eigen::MatrixXf::Constant(20, m, 5);
        const std::string message = test::message_of([&] { gemm(w, x, y, {.isa = isa}); });
        EXPECT_NE(message.find("a NaN or an infinity in column 1"), std::string::npos) << message;
        EXPECT_TRUE((y.array() == 5).all());
      }
    }
  }
}

TEST(BFloat16Products, StayInsideTheirOperands) {
  for (test::Guard guard : {test::Guard::Before, test::Guard::After}) {
    for (Index n : {1, 17}) {
      for (Index k : {1, 33, 128}) {
        for (Index m : {5, 13}) {
          const auto w = test::random_matrix<NvFp4>(n, k, 11);
          std::ostringstream file;
          w.save(file);
          const std::string saved = file.str();
          const auto memory = std::make_shared<test::GuardedBytes>(saved.size(), guard);
          std::memcpy(memory->data(), saved.data(), saved.size());
          const auto mapped = QuantizedMatrix<NvFp4>::map(Bytes(memory->data(), saved.size(), memory));
          test::GuardedBytes x_memory(static_cast<std::size_t>(k * m) * 2, guard);
          test::GuardedBytes y_memory(static_cast<std::size_t>(n * m) * 4, guard);
          Eigen::Map<MatrixXb> x(reinterpret_cast<Eigen::bfloat16*>(x_memory.data()), k, m);
          Eigen::Map<Eigen::MatrixXf> y(reinterpret_cast<float*>(y_memory.data()), n, m);
          x = random_halves(k, m);
          for (Isa isa : available_isas()) {
            Eigen::MatrixXf expected(n, m);
            gemm(w, MatrixXb(x), expected, {.isa = isa});
            gemm(mapped, x, y, {.isa = isa});
            EXPECT_EQ(y, expected);
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace nibble
