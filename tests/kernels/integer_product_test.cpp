// Integer products of integers with symmetric activations of 8 bits, one scale per column.
#include "kernels/integer_cases.h"

namespace nibble {

using Cases = testing::Types<Case<Int<4>>, Case<Int<8>>, Case<Int<8, PerTensor>>, Case<UInt<8, PerTensor>>,
                             Case<UInt<8>>, Case<Int<4, Group<128>>>, Case<Int<4, Group<10>>>, Case<Int<4, Group<4>>>,
                             Case<Int<8, Group<20>>>, Case<UInt<4, Group<5>>>, Case<Int<2, Group<16>>>,
                             Case<Int<3, Group<32>>>, Case<Int<5, Group<64>>>, Case<UInt<6, Group<32>>>,
                             Case<Int<7, Group<32>>>, Case<UInt<1, Group<32>>>, Case<Ternary<>>, Case<Binary<>>>;
INSTANTIATE_TYPED_TEST_SUITE_P(Symmetric, IntegerProduct, Cases);

namespace {

// -128 and 255 times +-127, where sums of pairs saturate 16 bits and long sums reach the limit of 32.
template <class S> void check_extremes(Index k, std::uint8_t code, std::uint8_t zero) {
  Parts<S> parts(16, k);
  parts.codes.setConstant(code);
  for (Index i = 0; i < parts.scales.size(); ++i) parts.scales.data()[i] = S::scale::format::encode(1.0f);
  parts.zeros.setConstant(zero);
  const QuantizedMatrix<S> w(parts);
  for (float sign : {1.0f, -1.0f}) {
    const auto x = quantize_activations(Eigen::MatrixXf::Constant(k, 2, sign * 127));
    const double exact = static_cast<double>(w.at(0, 0)) * static_cast<double>(sign) * 127.0 * static_cast<double>(k);
    for (Isa isa : available_isas()) {
      Eigen::MatrixXf y(16, 2);
      gemm(w, x, y, {.isa = isa});
      EXPECT_TRUE((y.cast<double>().array() / exact - 1).abs().maxCoeff() < 1e-6) << name(isa) << ' ' << y(0, 0);
    }
  }
}

TEST(IntegerProduct, ExtremesDoNotSaturateOrOverflow) {
  for (Index k : {4, 64, 4096, 65536, 65540, 200000}) {
    check_extremes<Int<8>>(k, 0, 0);
    check_extremes<Int<8>>(k, 255, 0);
    check_extremes<UInt<8>>(k, 255, 0);
    check_extremes<UInt<8>>(k, 0, 255);
    check_extremes<UInt<4>>(k, 15, 0);
    check_extremes<UInt<7>>(k, 127, 0);
    check_extremes<Int<5>>(k, 0, 0);
    check_extremes<MxFp4>(k, 7, 0);
    check_extremes<MxFp4>(k, 15, 0);
  }
}

#if defined __x86_64__
// On a CPU with AVX-VNNI, where all other tests run that, the sums of plain AVX2 are tested here.
TEST(AvxVnni, EqualsAvx2) {
  if (!isa::has_avx_vnni()) GTEST_SKIP() << "NOT TESTED: this CPU has no AVX-VNNI";
  std::mt19937 random(3);
  alignas(64) std::uint8_t codes[64 * 16];
  std::int8_t x[4 * 16 * 5];
  for (std::uint8_t& c : codes) c = static_cast<std::uint8_t>(random());
  for (std::int8_t& v : x) v = static_cast<std::int8_t>(static_cast<int>(random() % 255) - 127);
  const std::vector<float> scales(16, 1.0f), factors(5, 1.0f);
  std::int32_t sums[5];
  const std::vector<std::int32_t> starts(5, 0);
  kernels::ActivationSums<isa::Portable>::run(x, 5, 16, 16, sums);
  float expected[5 * 16], y[5 * 16];
  kernels::IntegerTile tile;
  tile.panel.plane[0] = codes;
  tile.x = x;
  tile.w_scales = scales.data();
  tile.x_sums = sums;
  tile.x_starts = starts.data();
  tile.factors = factors.data();
  tile.quanta = tile.step = 16;
  const auto check = [&]<class Code>(Code) {
    using namespace kernels;
    tile.y = expected;
    IntegerDot<isa::Portable, Code, 0, formats::Float32, false, false>::run(tile, 5);
    tile.y = y;
    avx2::Dot<isa::baseline, Code, formats::Float32, false, false, avx2::MaddSums<isa::baseline, Code>>::run(tile, 5);
    EXPECT_TRUE(std::equal(y, y + 80, expected));
    avx2::Dot<isa::baseline, Code, formats::Float32, false, false, avx2::VnniSums<isa::baseline, Code>>::run(tile, 5);
    EXPECT_TRUE(std::equal(y, y + 80, expected));
  };
  check(kernels::CodeMap<8, 0>{});
  check(kernels::CodeMap<4, 0>{});
}
#endif

}  // namespace
}  // namespace nibble
