// What quantize takes: any expression of any scalar; and what it rejects.
#include <gtest/gtest.h>

#include "nibble/quantize.h"
#include "quantize/weights.h"

namespace nibble {
namespace {

using S = Int<4, Group<16>>;
template <class T> using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic>;

TEST(Inputs, AnyExpression) {
  const Eigen::MatrixXf w = test::gaussian(20, 40, 1);
  const auto expected = quantize<S>(w);
  EXPECT_EQ(quantize<S>(RowMajorMatrixXf(w)), expected);
  EXPECT_EQ(quantize<S>(Eigen::MatrixXf(w.transpose()).transpose()), expected);
  EXPECT_EQ(quantize<S>(w * 1.0f), expected);
  EXPECT_EQ(quantize<S>(w + Eigen::MatrixXf::Zero(20, 40)), expected);
  Eigen::MatrixXf larger = Eigen::MatrixXf::Constant(30, 50, std::numeric_limits<float>::quiet_NaN());
  larger.block(3, 5, 20, 40) = w;
  EXPECT_EQ(quantize<S>(larger.block(3, 5, 20, 40)), expected);
  EXPECT_EQ(quantize<S>(Eigen::Map<const Eigen::MatrixXf>(w.data(), 20, 40)), expected);
  Eigen::MatrixXf spread(40, 40);
  Eigen::Map<Eigen::MatrixXf, 0, Eigen::Stride<Eigen::Dynamic, 2>> view(spread.data(), 20, 40, {40, 2});
  view = w;
  EXPECT_EQ(quantize<S>(view), expected);
  EXPECT_EQ(quantize<S>(Eigen::Matrix<float, 20, 40>(w)), expected);
  EXPECT_EQ(quantize<S>(w.row(4)).dequantize(), expected.dequantize().row(4));
  EXPECT_EQ(quantize<S>(w.row(4).transpose().transpose()).dequantize(), expected.dequantize().row(4));
}

TEST(Inputs, AnyScalar) {
  const Matrix<Eigen::half> half = test::gaussian(20, 40, 2).cast<Eigen::half>();
  const Eigen::MatrixXf w = half.cast<float>();
  EXPECT_EQ(quantize<S>(half), quantize<S>(w));
  EXPECT_EQ(quantize<S>(w.cast<double>()), quantize<S>(w));
  EXPECT_EQ(quantize<S>((1000 * w).cast<int>()), quantize<S>((1000 * w).cast<int>().cast<float>()));
  const Matrix<Eigen::bfloat16> brain = w.cast<Eigen::bfloat16>();
  EXPECT_EQ(quantize<S>(brain), quantize<S>(brain.cast<float>()));
}

TEST(Inputs, RulesAndRoundingsMayBeLeftOut) {
  const Eigen::MatrixXf w = test::gaussian(5, 40, 3);
  EXPECT_EQ(quantize<S>(w), quantize<S>(w, AbsMax{}, Nearest{}));
  EXPECT_EQ(quantize<S>(w, AbsMax{}), quantize<S>(w, AbsMax{}, Nearest{}));
  EXPECT_EQ(quantize<S>(w, Stochastic{3}), quantize<S>(w, AbsMax{}, Stochastic{3}));
  EXPECT_EQ((quantize<UInt<4>>(w)), (quantize<UInt<4>>(w, MinMax{}, Nearest{})));
}

TEST(BadInput, NamesTheFirstWeightThatIsNotFinite) {
  for (const auto& [bad, printed] : {std::pair(std::numeric_limits<float>::quiet_NaN(), "nan"),
                                     {std::numeric_limits<float>::infinity(), "inf"},
                                     {-std::numeric_limits<float>::infinity(), "-inf"}}) {
    Eigen::MatrixXf w = Eigen::MatrixXf::Ones(4, 5);
    w(2, 3) = bad;
    w(3, 0) = bad;
    EXPECT_EQ(test::message_of<std::invalid_argument>([&] { quantize<S>(w); }),
              text("nibble::quantize: expected finite weights, got ", printed, " at (2, 3)"));
    EXPECT_EQ(test::message_of<std::invalid_argument>([&] { quantize<MxFp4>(w, MinMax{}, Stochastic{}); }),
              text("nibble::quantize: expected finite weights, got ", printed, " at (2, 3)"));
  }
  // Finite as a double, not as a float.
  EXPECT_EQ(test::message_of<std::invalid_argument>([] { quantize<S>(Eigen::MatrixXd::Constant(1, 1, 1e300)); }),
            "nibble::quantize: expected finite weights, got inf at (0, 0)");
}

TEST(BadInput, ScalesBeyondTheirFormat) {
  const Eigen::MatrixXf w = Eigen::MatrixXf::Constant(1, 4, 7e5f);
  EXPECT_EQ(test::message_of<std::invalid_argument>([&] { quantize<Int<4, PerRow, StoredScale<formats::Half>>>(w); }),
            "nibble::quantize: expected scales up to 65504 (e5m10ieee), got 100000");
}

TEST(BadInput, OptionsOfMinimalError) {
  const Eigen::MatrixXf w = Eigen::MatrixXf::Ones(2, 4);
  const auto message = [&](const MinimalError& rule) {
    return test::message_of<std::invalid_argument>([&] { quantize<S>(w, rule); });
  };
  const std::string search = "nibble::MinimalError: expected steps >= 2, 0 < shrink <= stretch, got ";
  EXPECT_EQ(message({.steps = 1}), search + "1, 0.4, 1.4");
  EXPECT_EQ(message({.shrink = 0}), search + "60, 0, 1.4");
  EXPECT_EQ(message({.shrink = 1.5f}), search + "60, 1.5, 1.4");
  const std::string power = "nibble::MinimalError: expected power > 0, got ";
  EXPECT_EQ(message({.power = 0}), power + "0");
  EXPECT_EQ(message({.power = std::numeric_limits<double>::quiet_NaN()}), power + "nan");
}

}  // namespace
}  // namespace nibble
