// The scale modes of OCP MX against the golden blocks. See tests/golden/make_formats.py.
#include <gtest/gtest.h>

#include "formats/golden.h"
#include "quantize/random_weights.h"

namespace nibble {
namespace {

/// Golden tables are row by row; test::golden gives columns.
template <class T> RowMajorMatrixXf rows_of(const std::vector<T>& values, Index cols) {
  RowMajorMatrixXf m(8, cols);
  for (Index j = 0; j < cols; ++j)
    for (Index i = 0; i < 8; ++i) m(i, j) = static_cast<float>(values[static_cast<std::size_t>(j * 8 + i)]);
  return m;
}

template <class F> void check(const std::string& element) {
  using S = Scheme<F, Group<32>, FloorScale>;
  const RowMajorMatrixXf all = rows_of(test::golden_floats("mx.x"), 256);
  // Row 7 has a block with a NaN and one with an infinity, which quantize rejects; the blocks after them are left.
  ASSERT_THROW(quantize<S>(all, MxScale{}), std::invalid_argument);
  RowMajorMatrixXf x = all;
  x.row(7).head(64).setZero();
  ASSERT_TRUE(x.allFinite());
  const std::pair<MxMode, const char*> modes[] = {
      {MxMode::Floor, "floor"}, {MxMode::Ceil, "ceil"}, {MxMode::Even, "even"}, {MxMode::RoundUp, "rceil"}};
  for (const auto& [mode, mode_name] : modes) {
    SCOPED_TRACE(element + ", " + mode_name);
    const std::string name = "mx_" + element + "_" + mode_name;
    const RowMajorMatrixXf scales = rows_of(test::golden(name + ".scale"), 8);
    const RowMajorMatrixXf codes = rows_of(test::golden(name + ".codes"), 256);
    const RowMajorMatrixXf values = rows_of(test::golden_floats(name + ".dequant"), 256);
    const auto q = quantize<S>(x, MxScale{mode});
    const Eigen::MatrixXf dense = q.dequantize();
    int wrong = 0;
    for (Index i = 0; i < 8; ++i) {
      for (Index j = i == 7 ? 64 : 0; j < 256; ++j) {
        const auto scale = q.group(i, j / 32).scale_code;
        const int golden = static_cast<int>(codes(i, j));
        const int code = std::same_as<F, formats::Fixed<8, 6>> ? golden ^ 0x80 : golden;
        if (static_cast<float>(scale) == scales(i, j / 32) && q.code(i, j) == code && dense(i, j) == values(i, j) &&
            (std::same_as<F, formats::Fixed<8, 6>> || std::signbit(dense(i, j)) == std::signbit(values(i, j))))
          continue;
        if (++wrong <= 5) {
          ADD_FAILURE() << "(" << i << ", " << j << "), weight " << x(i, j) << ": scale " << int{scale} << " code "
                        << int{q.code(i, j)} << " value " << dense(i, j) << ", expected " << scales(i, j / 32) << " "
                        << code << " " << values(i, j);
        }
      }
    }
    EXPECT_EQ(wrong, 0);
    if (mode == MxMode::Floor) {
      EXPECT_EQ(q, quantize<S>(x));
    }
  }
}

TEST(MxScale, AgreesWithTheGoldenBlocks) {
  check<formats::E2M1>("e2m1fn");
  check<formats::E2M3>("e2m3fn");
  check<formats::E3M2>("e3m2fn");
  check<formats::E4M3FN>("e4m3fn");
  check<formats::E5M2>("e5m2");
  check<formats::Fixed<8, 6>>("int8");
}

TEST(MxScale, KnowsMantissas) {
  EXPECT_EQ(MxScale::mantissa_bits<formats::E2M1>(), 1);
  EXPECT_EQ(MxScale::mantissa_bits<formats::E2M3>(), 3);
  EXPECT_EQ(MxScale::mantissa_bits<formats::E3M2>(), 2);
  EXPECT_EQ(MxScale::mantissa_bits<formats::E4M3FN>(), 3);
  EXPECT_EQ(MxScale::mantissa_bits<formats::E5M2>(), 2);
  EXPECT_EQ((MxScale::mantissa_bits<formats::Fixed<8, 6>>()), 6);
}

// What the modes promise, for any block: powers of two, one of two neighbours, nothing clipped by RoundUp.
TEST(MxScale, KeepsItsPromises) {
  for (unsigned seed = 1; seed < 20; ++seed) {
    const RowMajorMatrixXf w = test::student(4, 96, seed, 3, std::ldexp(1.0f, static_cast<int>(seed) * 3 - 30));
    const auto floor = quantize<MxFp4>(w, MxScale{MxMode::Floor});
    const auto ceil = quantize<MxFp4>(w, MxScale{MxMode::Ceil});
    const auto even = quantize<MxFp4>(w, MxScale{MxMode::Even});
    const auto up = quantize<MxFp4>(w, MxScale{MxMode::RoundUp});
    for (Index i = 0; i < 4; ++i) {
      for (Index g = 0; g < 3; ++g) {
        const int f = floor.group(i, g).scale_code;
        for (const auto* q : {&ceil, &even, &up}) {
          EXPECT_GE(q->group(i, g).scale_code, f);
          EXPECT_LE(q->group(i, g).scale_code, f + 1);
        }
        const float reach = w.row(i).segment(32 * g, 32).cwiseAbs().maxCoeff();
        EXPECT_LE(reach, 6 * up.group(i, g).scale);
        EXPECT_GT(reach, 3 * up.group(i, g).scale);
      }
    }
  }
}

TEST(MxScale, NeedsPowersOfTwo) {
  static_assert(ScaleRule<MxScale, MxFp4>);
  static_assert(!ScaleRule<MxScale, NvFp4>);
  static_assert(!ScaleRule<MxScale, Int<4>>);
  static_assert(!ScaleRule<AbsMean, UInt<4>>);
  const auto zeros = quantize<MxFp4>(RowMajorMatrixXf::Zero(1, 40), MxScale{MxMode::RoundUp});
  EXPECT_EQ(zeros.group(0, 0).scale_code, 0);
  EXPECT_EQ(zeros.dequantize(), Eigen::MatrixXf::Zero(1, 40));
}

}  // namespace
}  // namespace nibble
