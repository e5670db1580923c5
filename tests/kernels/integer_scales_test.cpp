// Integer products of weights with integer scales, of packed ternary ones, and of other formats with a table.
#include "kernels/integer_cases.h"

namespace nibble {

using Cases =
    testing::Types<Case<Progressive<32>>, Case<Progressive<128>>, Case<Progressive<128>, Int<8, Group<32>>>,
                   Case<SuperBlock<4>>, Case<SuperBlock<2>>, Case<SuperBlock<6>>, Case<Ternary3in5<>>,
                   Case<Ternary5in8<>>, Case<Ternary3in5<Group<12>>>, Case<Ternary5in8<Group<100>>>,
                   Case<Ternary3in5<PerRow>, Int<16>>, Case<Ternary5in8<Group<40>>, Int<8, Group<40>>>,
                   Case<Scheme<formats::E3M0, Group<32>>>, Case<Scheme<formats::Int<4>, Group<32>, formats::E5M2>>>;
INSTANTIATE_TYPED_TEST_SUITE_P(Scales, IntegerProduct, Cases);

namespace {

// Scales that no quantizer would choose, but a file may hold: int32 sums have to be emptied in time.
TEST(IntegerScales, LargestScalesDoNotOverflow) {
  for (Index k : {128, 4352, 4480, 20000}) {
    Parts<Progressive<128>> parts(16, k);
    parts.codes.setConstant(15);
    parts.scales.setConstant(255);
    parts.supers.setConstant(formats::Float32::encode(0.25f));
    const QuantizedMatrix<Progressive<128>> w(parts);
    for (float sign : {1.0f, -1.0f}) {
      const auto x = quantize_activations(Eigen::MatrixXf::Constant(k, 3, sign * 127));
      const double exact = 15.0 * 255 * 0.25 * 127 * static_cast<double>(sign) * static_cast<double>(k);
      for (Isa isa : available_isas()) {
        Eigen::MatrixXf y(16, 3);
        gemm(w, x, y, {.isa = isa});
        EXPECT_LT((y.cast<double>().array() / exact - 1).abs().maxCoeff(), 1e-6) << name(isa) << ' ' << k;
      }
    }
  }
}

// The same ternary weights in 2, 1.67 and 1.6 bits.
TEST(PackedTernary, EqualsTernary) {
  const Eigen::MatrixXf weights = test::random_inputs(33, 250, 5);
  const auto plain = quantize<Ternary<>>(weights);
  const auto triples = quantize<Ternary3in5<>>(weights);
  const auto fives = quantize<Ternary5in8<>>(weights);
  EXPECT_EQ(triples.dequantize(), plain.dequantize());
  EXPECT_EQ(fives.dequantize(), plain.dequantize());
  for (Index m : {1, 2, 13, 30}) {
    const auto x = quantize_activations(test::random_inputs(250, m, 6));
    const Eigen::MatrixXf y = plain * x;
    EXPECT_EQ(triples * x, y);
    EXPECT_EQ(fives * x, y);
  }
  EXPECT_LT(quantize<Ternary3in5<>>(Eigen::MatrixXf::Ones(256, 960)).bits_per_weight(), 1.67);
  EXPECT_LT(quantize<Ternary5in8<>>(Eigen::MatrixXf::Ones(256, 960)).bits_per_weight(), 1.601);
}

}  // namespace
}  // namespace nibble
