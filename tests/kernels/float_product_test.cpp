// Float products of every kind of scheme, on every instruction set, against double precision.
#include <gtest/gtest.h>

#include "kernels/random_operands.h"
#include "oracle/products.h"

namespace nibble {
namespace {

template <class S> class FloatProduct : public testing::Test {
 protected:
  void check(Index n, Index k, Index m) {
    SCOPED_TRACE(text(S::name(), ": ", n, " x ", k, " x ", m));
    const auto w = test::random_matrix<S>(n, k, 3);
    const Eigen::MatrixXf x = test::random_inputs(k, m, 4);
    const Eigen::MatrixXd dense = w.dequantize().template cast<double>();
    for (Isa isa : available_isas()) {
      Eigen::MatrixXf y = Eigen::MatrixXf::Constant(n, m, -77);
      gemm(w, x, y, {.isa = isa});
      EXPECT_LE(oracle::error_in_eps(y, dense, x.cast<double>()), static_cast<double>(k) + 2) << name(isa);
    }
  }
};

using Schemes =
    testing::Types<Int<4>, Int<8>, Int<8, PerTensor>, UInt<8>, UInt<4, PerTensor>, Int<4, Group<32>>, Int<4, Group<10>>,
                   UInt<4, Group<128>>, MxFp4, NvFp4, Int<2, Group<16>>, Int<3, Group<32>>, Int<5, Group<64>>,
                   UInt<6, Group<32>>, Int<7>, UInt<1, Group<32>>, Scheme<formats::E4M3FN, Group<32>>,
                   Scheme<formats::E5M2>, Scheme<formats::HiFloat8, Group<32>>, MxFp6E3M2, Codebook<4, PerTensor>,
                   Codebook<8, PerTensor>, Scheme<formats::Half>, Int<4, Group<32>, StoredScale<formats::BFloat16>>>;
TYPED_TEST_SUITE(FloatProduct, Schemes);

TYPED_TEST(FloatProduct, Shapes) {
  for (Index n : {1, 16, 17, 37})
    for (Index k : {1, 4, 33, 257, 600})
      for (Index m : {1, 3, 12, 25}) this->check(n, k, m);
}

TYPED_TEST(FloatProduct, EveryTileWidth) {
  for (Index m = 1; m <= 13; ++m) this->check(16, 68, m);
}

TYPED_TEST(FloatProduct, ManyColumns) {
  this->check(17, 40, 12 * 16 + 5);
}

TEST(FloatProduct, TakesWhatEigenOffers) {
  const auto w = test::random_matrix<Int<4, Group<32>>>(20, 40, 5);
  const Eigen::MatrixXf x = test::random_inputs(40, 6, 6);
  const Eigen::MatrixXf expected = w * x;
  EXPECT_EQ(w * x.cast<double>(), expected);
  EXPECT_EQ(w * RowMajorMatrixXf(x), expected);
  EXPECT_EQ(w * (x + Eigen::MatrixXf::Zero(40, 6)), expected);
  EXPECT_EQ(w * x.transpose().eval().transpose(), expected);
  EXPECT_EQ(w * x.middleCols(2, 3), (w * Eigen::MatrixXf(x.middleCols(2, 3))));
  EXPECT_EQ((w * x.col(1)).cols(), 1);
  const Eigen::MatrixXf halves = x.cast<Eigen::half>().cast<float>();
  EXPECT_EQ(w * x.cast<Eigen::half>(), w * halves);
}

}  // namespace
}  // namespace nibble
