// Float products of codes of more than 8 bits, of several numbers, and of groups that choose between formats.
#include "kernels/float_product_cases.h"

namespace nibble::test {
namespace {

using Schemes =
    testing::Types<Scheme<formats::Half>, Scheme<formats::Posit16, Group<32>>, BlockFloat<12>, Scheme<formats::UInt<9>>,
                   Scheme<formats::Int<16>, PerTensor>, Scheme<formats::MiniFloat<5, 5>, Group<64>>,
                   BitMod<4, Group<32>>, BitMod<3>, BestOf<PerRow, formats::E4M3FN, formats::E5M2>,
                   BestOf<Group<32>, formats::E2M3, formats::E3M2>, BestOf<PerTensor, formats::E3M2, formats::E2M3>,
                   Ternary3in5<>, Ternary5in8<Group<30>>>;
INSTANTIATE_TYPED_TEST_SUITE_P(Wide, FloatProduct, Schemes);

/// Every bfloat16 that a product with 1 keeps, by the row.
TEST(FloatProducts, EveryBFloat16) {
  using S = Scheme<formats::BFloat16>;
  Parts<S> parts(1 << 16, 1);
  for (Index i = 0; i < parts.rows; ++i) {
    const auto code = static_cast<std::uint16_t>(i);
    parts.codes(i, 0) = std::isfinite(formats::BFloat16::decode(code)) ? code : std::uint16_t{0};
    parts.scales(i, 0) = formats::Float32::encode(1);
  }
  const QuantizedMatrix<S> w(parts);
  for (Isa isa : available_isas()) {
    for (Index m : {1, 12}) {
      Eigen::MatrixXf y(w.rows(), m);
      gemm(w, Eigen::MatrixXf::Ones(1, m), y, {.isa = isa});
      for (Index c = 0; c < m; ++c) EXPECT_EQ(y.col(c), w.dequantize().col(0)) << name(isa);
    }
  }
}

}  // namespace
}  // namespace nibble::test
