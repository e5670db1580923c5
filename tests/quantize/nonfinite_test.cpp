// NaN and infinities among the weights: an error, or where allowed the codes that the format's standard has for them.
#include <gtest/gtest.h>
#include <nibble/nibble.h>

namespace nibble {
namespace {

constexpr float nan = std::numeric_limits<float>::quiet_NaN();
constexpr float inf = std::numeric_limits<float>::infinity();

template <class S> QuantizedMatrix<S> allowed(const Eigen::MatrixXf& w) {
  return quantize<S>(w, AbsMax{}, Nearest{}, {.allow_nonfinite = true});
}

TEST(Nonfinite, IsAnErrorThatNamesThePlace) {
  Eigen::MatrixXf w = Eigen::MatrixXf::Random(5, 40);
  w(3, 17) = -inf;
  try {
    quantize<Scheme<formats::E5M2, Group<32>>>(w);
    FAIL();
  } catch (const std::invalid_argument& e) {
    EXPECT_STREQ(e.what(), "nibble::quantize: expected finite weights, got -inf at (3, 17)");
  }
}

TEST(Nonfinite, TakesTheCodesOfTheStandardAndLeavesTheOthersAlone) {
  Eigen::MatrixXf w = Eigen::MatrixXf::Random(3, 40);
  w(0, 1) = w(1, 33) = 0;
  const Eigen::MatrixXf clean = w;
  w(0, 1) = nan;
  w(1, 33) = -inf;
  const Eigen::MatrixXf ieee = allowed<Scheme<formats::E5M2, Group<32>>>(w).dequantize();
  EXPECT_TRUE(std::isnan(ieee(0, 1)));
  EXPECT_EQ(ieee(1, 33), -inf);
  const Eigen::MatrixXf fn = allowed<Scheme<formats::E4M3FN, Group<32>>>(w).dequantize();
  EXPECT_TRUE(std::isnan(fn(0, 1)));
  EXPECT_TRUE(std::isnan(fn(1, 33)));  // E4M3FN has no infinity
  Eigen::MatrixXf others = fn;
  others(0, 1) = others(1, 33) = 0;
  EXPECT_EQ(others, (quantize<Scheme<formats::E4M3FN, Group<32>>>(clean).dequantize()));
  const Eigen::MatrixXf y = allowed<Scheme<formats::E5M2, Group<32>>>(w) * Eigen::MatrixXf::Ones(40, 1);
  EXPECT_TRUE(std::isnan(y(0)));
  EXPECT_EQ(y(1), -inf);
  EXPECT_TRUE(std::isfinite(y(2)));
}

TEST(Nonfinite, NeedsAFormatThatHasIt) {
  Eigen::MatrixXf w = Eigen::MatrixXf::Ones(2, 3);
  w(1, 2) = nan;
  try {
    allowed<MxFp4>(w);
    FAIL();
  } catch (const std::invalid_argument& e) {
    EXPECT_STREQ(e.what(),
                 "nibble::quantize: expected finite weights, or a format with NaN instead of e2m1, got nan at (1, 2)");
  }
  EXPECT_THROW(allowed<Int<8>>(w), std::invalid_argument);
}

}  // namespace
}  // namespace nibble
