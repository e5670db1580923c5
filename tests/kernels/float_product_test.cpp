// Float products of schemes whose panels are 16 rows high.
#include "kernels/float_product_cases.h"

namespace nibble::test {
namespace {

using Schemes =
    testing::Types<Int<4>, Int<8>, Int<8, PerTensor>, UInt<8>, UInt<4, PerTensor>, Int<4, Group<32>>, Int<4, Group<10>>,
                   UInt<4, Group<128>>, MxFp4, NvFp4, Int<2, Group<16>>, Int<3, Group<32>>, Int<5, Group<64>>,
                   UInt<6, Group<32>>, Int<7>, UInt<1, Group<32>>, Scheme<formats::E4M3FN, Group<32>>,
                   Scheme<formats::E5M2>, Scheme<formats::HiFloat8, Group<32>>, Scheme<formats::Posit8>, MxFp6E3M2,
                   Codebook<4, PerTensor>, Codebook<8, PerTensor>, Int<4, Group<32>, StoredScale<formats::BFloat16>>>;
INSTANTIATE_TYPED_TEST_SUITE_P(Panels, FloatProduct, Schemes);

TEST(FloatProducts, TakesWhatEigenOffers) {
  const auto w = random_matrix<Int<4, Group<32>>>(20, 40, 5);
  const Eigen::MatrixXf x = random_inputs(40, 6, 6);
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
}  // namespace nibble::test
