// Matrices with learned tables: who shares one, what they cost, and tables that are none.
#include <gtest/gtest.h>
#include <nibble/nibble.h>

#include <cstring>
#include <sstream>

namespace nibble {
namespace {

template <class S> Index tables(Index n, Index k) {
  return Parts<S>(n, k).tables.rows();
}

TEST(CodebookMatrix, TablesOfTheTensorARowOrAGroup) {
  EXPECT_EQ((tables<Codebook<3, PerTensor>>(20, 70)), 1);
  EXPECT_EQ((tables<Codebook<3, Group<32>>>(20, 70)), 20);
  EXPECT_EQ((tables<Codebook<3, Group<32>, Group<32>>>(20, 70)), 60);
  EXPECT_EQ((tables<Codebook<3, Group<32>, PerTensor>>(20, 70)), 1);
  const Eigen::MatrixXf w = Eigen::MatrixXf::Random(20, 70);
  const auto bits = [&](const auto& q) { return q.bits_per_weight() * 20 * 70; };
  EXPECT_DOUBLE_EQ(bits(quantize<Codebook<3, PerTensor>>(w)), 20 * 70 * 3 + 32 + 8 * 32);
  EXPECT_DOUBLE_EQ(bits(quantize<Codebook<3, Group<32>>>(w)), 20 * 70 * 3 + 60 * 32 + 20 * 8 * 32);
  EXPECT_DOUBLE_EQ(bits(quantize<Codebook<3, Group<32>, Group<32>>>(w)), 20 * 70 * 3 + 60 * 32 + 60 * 8 * 32);
}

TEST(CodebookMatrix, FinerTablesFitBetter) {
  const Eigen::MatrixXf w = Eigen::MatrixXf::Random(24, 256).array().cube();
  const auto error = [&](const auto& q) { return compare(w, q).relative_error; };
  const double tensor = error(quantize<Codebook<3, Group<64>, PerTensor>>(w));
  const double row = error(quantize<Codebook<3, Group<64>>>(w));
  const double group = error(quantize<Codebook<3, Group<64>, Group<64>>>(w));
  EXPECT_LT(row, tensor);
  EXPECT_LT(group, row);
}

TEST(CodebookMatrix, InputWeightsMoveTheLevels) {
  const Eigen::MatrixXf w = Eigen::MatrixXf::Random(8, 128).array().cube();
  OutputError rule{Eigen::VectorXf::Ones(128)};
  rule.weights.head(16).setConstant(1000);
  const auto weighted = [&](const auto& q) {
    return ((w - q.dequantize()) * rule.weights.cwiseSqrt().asDiagonal()).squaredNorm();
  };
  EXPECT_LT(weighted(quantize<Codebook<2>>(w, rule)), weighted(quantize<Codebook<2>>(w)));
}

TEST(CodebookMatrix, ZeroAndTinyWeights) {
  using S = Codebook<2, Group<16>>;
  const Eigen::MatrixXf zero = Eigen::MatrixXf::Zero(3, 40);
  EXPECT_EQ(quantize<S>(zero).dequantize(), zero);
  Eigen::MatrixXf w = Eigen::MatrixXf::Zero(3, 40);
  w.row(1).setConstant(1e-30f);
  w(2, 7) = -3;
  const Eigen::MatrixXf q = quantize<S>(w).dequantize();
  EXPECT_TRUE(q.isApprox(w, 1e-6f));
}

TEST(CodebookMatrix, RejectsTablesThatAreNone) {
  using S = Codebook<2>;
  const auto good = quantize<S>(Eigen::MatrixXf::Random(2, 30)).parts();
  const auto message = [&](Index i, float value) -> std::string {
    auto parts = good;
    parts.tables(1, i) = value;
    try {
      const QuantizedMatrix<S> q(parts);
    } catch (const std::invalid_argument& e) {
      return e.what();
    }
    return "accepted";
  };
  EXPECT_EQ(message(2, std::numeric_limits<float>::infinity()),
            "nibble::QuantizedMatrix: expected finite table entries, got inf");
  EXPECT_NE(message(2, -5).find("expected levels in ascending order"), std::string::npos) << message(2, -5);

  std::stringstream file;
  QuantizedMatrix<S>(good).save(file);
  std::string bytes = file.str();
  const float first = good.tables(0, 0);
  const auto at = bytes.find(std::string(reinterpret_cast<const char*>(&first), sizeof first));
  ASSERT_NE(at, std::string::npos);
  const float large = 7;
  std::memcpy(bytes.data() + at, &large, sizeof large);
  std::istringstream broken(bytes);
  try {
    QuantizedMatrix<S>::load(broken);
    FAIL();
  } catch (const IoError& e) {
    EXPECT_NE(std::string(e.what()).find("a table is not in ascending order"), std::string::npos) << e.what();
  }
}

}  // namespace
}  // namespace nibble
