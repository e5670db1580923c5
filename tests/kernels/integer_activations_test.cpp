// Integer products with activations of 16 bits and with zero points.
#include "kernels/integer_cases.h"

namespace nibble {

using Cases = testing::Types<Case<Int<4, Group<128>>, Int<16>>, Case<Int<8>, Int<16>>, Case<MxFp4, Int<16, Group<64>>>,
                             Case<Int<8>, UInt<8>>, Case<UInt<4, Group<32>>, UInt<8>>,
                             Case<UInt<4, Group<32>>, UInt<8, Group<32>>>, Case<Int<3, Group<32>>, UInt<4>>,
                             Case<NvFp4, UInt<8, Group<16>>>, Case<UInt<8>, UInt<8>>, Case<Progressive<32>, UInt<8>>,
                             Case<Ternary3in5<>, UInt<5>>>;
INSTANTIATE_TYPED_TEST_SUITE_P(Activations, IntegerProduct, Cases);

namespace {

// What 16 bits lose is a 256th of what 8 bits lose.
TEST(IntegerActivations, SixteenBitsAreNearlyFloat) {
  const auto w = test::random_matrix<Int<4, Group<128>>>(40, 512, 3);
  const Eigen::MatrixXf x = test::random_inputs(512, 9, 4);
  const Eigen::MatrixXf exact = (w.dequantize().cast<double>() * x.cast<double>()).cast<float>();
  const auto error = [&](const auto& q) { return static_cast<double>((w * q - exact).norm() / exact.norm()); };
  const double bytes = error(quantize_activations(x)), words = error(quantize_activations<Int<16>>(x));
  EXPECT_GT(bytes, 1e-3);
  EXPECT_LT(words, bytes / 200);
}

// A column far from zero needs a zero point: errors fall by what the range shrinks.
TEST(IntegerActivations, ZeroPointsServeShiftedColumns) {
  const auto w = test::random_matrix<Int<8>>(40, 300, 3);
  const Eigen::MatrixXf x = test::random_inputs(300, 5, 4).array() + 1.0f;  // 0 .. 2
  const Eigen::MatrixXf exact = w.dequantize() * x;
  const auto error = [&](const auto& q) { return static_cast<double>((w * q - exact).norm()); };
  EXPECT_LT(error(quantize_activations<UInt<8>>(x)), 0.7 * error(quantize_activations<Int<8>>(x)));
}

// Long sums of the largest products, both zero points at their ends.
TEST(IntegerActivations, ExtremesDoNotOverflow) {
  for (Index k : {64, 65536, 65600}) {
    for (std::uint8_t code : {std::uint8_t{0}, std::uint8_t{255}}) {
      Parts<UInt<8>> parts(3, k);
      parts.codes.setConstant(code);
      parts.scales.setConstant(formats::Float32::encode(1.0f));
      parts.zeros.setConstant(static_cast<std::uint8_t>(255 - code));
      const QuantizedMatrix<UInt<8>> w(parts);
      for (float sign : {1.0f, -1.0f}) {
        const auto x = quantize_activations<UInt<8>>(Eigen::MatrixXf::Constant(k, 2, sign * 254));
        const auto x16 = quantize_activations<Int<16>>(Eigen::MatrixXf::Constant(k, 2, sign * 256 * 127));
        const double one = static_cast<double>(w.at(0, 0)) * static_cast<double>(sign) * static_cast<double>(k);
        for (Isa isa : available_isas()) {
          Eigen::MatrixXf y(3, 2);
          gemm(w, x, y, {.isa = isa});
          EXPECT_LT((y.cast<double>().array() / (254 * one) - 1).abs().maxCoeff(), 1e-6) << name(isa);
          gemm(w, x16, y, {.isa = isa});
          EXPECT_LT((y.cast<double>().array() / (256 * 127 * one) - 1).abs().maxCoeff(), 1e-6) << name(isa);
        }
      }
    }
  }
}

}  // namespace
}  // namespace nibble
