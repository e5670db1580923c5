// Formats of a stranger, defined here alone, through every kind of scheme, rule, rounding and product.
#include <gtest/gtest.h>

#include <sstream>

#include "kernels/random_operands.h"
#include "oracle/products.h"

namespace nibble {
namespace {

/// Seven levels, 0 and +-1, 3, 9; code 7 repeats the largest.
struct PowersOfThree {
  using code_type = std::uint8_t;
  static constexpr int bits = 3;
  static constexpr float levels[8] = {-9, -3, -1, 0, 1, 3, 9, 9};
  static constexpr float max() { return 9; }
  static constexpr float decode(code_type c) { return levels[c]; }
  static constexpr code_type encode(float x) {
    std::uint8_t best = 0;
    for (std::uint8_t c = 1; c < 7; ++c) {
      const float d = x - levels[c], e = x - levels[best];
      if (d * d < e * e) best = c;
    }
    return best;
  }
};

/// A pair of numbers and which of the two is larger: (a, a / 2) or (a / 2, a), a = -7 .. 8.
struct Pairs {
  using code_type = std::uint8_t;
  static constexpr int bits = 5, dim = 2;
  static constexpr float max() { return 8; }
  static constexpr std::array<float, 2> decode(code_type c) {
    const float a = static_cast<float>(c / 2) - 7;
    return c % 2 == 0 ? std::array<float, 2>{a, a / 2} : std::array<float, 2>{a / 2, a};
  }
  static constexpr code_type encode(std::array<float, 2> x) {
    const auto distance = [&](code_type c) {
      const auto v = decode(c);
      return (v[0] - x[0]) * (v[0] - x[0]) + (v[1] - x[1]) * (v[1] - x[1]);
    };
    code_type best = 0;
    for (code_type c = 1; c < 32; ++c)
      if (distance(c) < distance(best)) best = c;
    return best;
  }
};

/// Two learned levels: the means of the negative and of the other samples.
struct TwoMeans {
  using code_type = std::uint8_t;
  static constexpr int bits = 1, table_size = 2;
  static constexpr float max() { return 1; }
  static constexpr float decode(code_type c, const float* table) { return table[c]; }
  static constexpr code_type encode(float x, const float* table) {
    return std::abs(x - table[1]) < std::abs(x - table[0]);
  }
  static void fit(const float* values, const float* weights, std::ptrdiff_t count, float* table) {
    double sum[2] = {}, weight[2] = {1e-30, 1e-30};
    for (std::ptrdiff_t i = 0; i < count; ++i) {
      sum[values[i] >= 0] += static_cast<double>(values[i] * weights[i]);
      weight[values[i] >= 0] += static_cast<double>(weights[i]);
    }
    for (int i : {0, 1}) table[i] = static_cast<float>(sum[i] / weight[i]);
  }
};

using Either = formats::BestOf<PowersOfThree, formats::Int<3>>;
using Coarse = SubScale<formats::UInt<6>, formats::Half, Group<64>>;

template <class S> class NewFormat : public testing::Test {
 protected:
  /// Random weights whose rows are of different sizes.
  static RowMajorMatrixXf weights(Index n, Index k) {
    RowMajorMatrixXf w = test::random_inputs(n, k, 21);
    for (Index i = 0; i < n; ++i) w.row(i) *= static_cast<float>(1 + i % 3);
    return w;
  }

  /// The squared error of the best code of each weight, by trying all; what Nearest must reach.
  static double least_error(const RowMajorMatrixXf& w, const Parts<S>& parts) {
    double sum = 0;
    for (Index i = 0; i < w.rows(); ++i) {
      for (Index c = 0; c < parts.codes.cols(); ++c) {
        const Index g = S::group_inputs == 0 ? 0 : c * S::dim / S::group_inputs;
        const auto p = parts.group(i, g);
        double best = std::numeric_limits<double>::infinity();
        for (std::uint32_t code = 0; code < code_count<typename S::format>; ++code) {
          // Int<3> never chooses -4.
          if (std::same_as<typename S::format, Either> && p.choice == 1 && code == 0) continue;
          float values[S::dim];
          decode_to<typename S::format>(static_cast<typename S::code_type>(code), {parts.table(i, g), p.choice},
                                        values);
          double error = 0;
          for (Index d = 0; d < S::dim; ++d) {
            const Index j = c * S::dim + d;
            const double x = j < w.cols() ? static_cast<double>(w(i, j)) : 0.0;
            const double e =
                (static_cast<double>(values[d]) - static_cast<double>(p.zero)) * static_cast<double>(p.scale) - x;
            if (j < w.cols() || S::dim > 1) error += e * e;
          }
          best = std::min(best, error);
        }
        sum += best;
      }
    }
    return sum;
  }
};

using Schemes =
    testing::Types<Scheme<PowersOfThree>, Scheme<PowersOfThree, PerTensor>,
                   Scheme<PowersOfThree, Group<16>, formats::Half>, Scheme<PowersOfThree, Group<10>, FloorScale>,
                   Scheme<PowersOfThree, Group<16>, NvScale>, Scheme<PowersOfThree, Group<32>, Coarse>, Scheme<Pairs>,
                   Scheme<Pairs, PerTensor>, Scheme<Pairs, Group<16>>, Scheme<Pairs, Group<32>, Coarse>,
                   Scheme<TwoMeans>, Scheme<TwoMeans, PerTensor, formats::Float32, NoZero, PerTensor>,
                   Scheme<TwoMeans, Group<32>>, Scheme<TwoMeans, Group<32>, formats::Half, NoZero, Group<32>>,
                   Scheme<TwoMeans, Group<16>, formats::Float32, NoZero, PerTensor>, Scheme<Either, Group<16>>,
                   Scheme<Either, PerTensor>, Scheme<Either, PerRow, NvScale>,
                   Scheme<formats::UInt<4>, Group<32>, ProgressiveScale, ZeroPoint>,
                   Scheme<formats::UInt<5>, Group<16>, SubScale<formats::UInt<6>, formats::Half, PerRow>, ZeroPoint>>;
TYPED_TEST_SUITE(NewFormat, Schemes);

TYPED_TEST(NewFormat, GoesThroughEverything) {
  using S = TypeParam;
  for (Index n : {1, 16, 19}) {
    for (Index k : {1, 31, 64, 150}) {
      SCOPED_TRACE(text(S::name(), ": ", n, " x ", k));
      const RowMajorMatrixXf w = this->weights(n, k);
      const auto check = [&](const QuantizedMatrix<S>& q, bool nearest) {
        const Eigen::MatrixXf dense = q.dequantize();
        ASSERT_TRUE(dense.allFinite());
        if (nearest) {
          EXPECT_LE((dense - w).template cast<double>().squaredNorm(),
                    this->least_error(w, q.parts()) * (1 + 1e-5) + 1e-6);
        }
        EXPECT_EQ(QuantizedMatrix<S>(q.parts()), q);
        std::stringstream file;
        q.save(file);
        EXPECT_EQ(QuantizedMatrix<S>::load(file), q);
        const Eigen::MatrixXf x = test::random_inputs(k, 5, 22);
        const auto xq = quantize_activations(x);
        for (Isa isa : available_isas()) {
          Eigen::MatrixXf y(n, 5);
          gemm(q, x, y, {.isa = isa});
          EXPECT_LE(oracle::error_in_eps(y, dense.template cast<double>(), x.cast<double>()),
                    static_cast<double>(k) + 2);
          gemm(q, xq, y, {.isa = isa});
          EXPECT_LE(oracle::error_in_eps(y, dense.template cast<double>(), xq.dequantize().template cast<double>()),
                    static_cast<double>(k) + 8);
        }
      };
      check(quantize<S>(w), true);
      check(quantize<S>(w, AbsMax{}), true);
      check(quantize<S>(w, MinMax{}), true);
      check(quantize<S>(w, MinimalError{}), true);
      if constexpr (S::dim == 1) check(quantize<S>(w, Stochastic{7}), false);
      const OutputError output{test::random_inputs(k, 1, 23).cwiseAbs()};
      for (const auto& q : {quantize<S>(w, Percentile{95}), quantize<S>(w, Entropy{}), quantize<S>(w, HalfQuadratic{}),
                            quantize<S>(w, output)}) {
        EXPECT_TRUE(q.dequantize().allFinite());
        EXPECT_LT(compare(w, q).relative_error, 1);
      }
      if constexpr (!S::affine) {
        EXPECT_LT(compare(w, quantize<S>(w, AbsMean{})).relative_error, 1);
      }
      EXPECT_LE(compare(w, quantize<S>(w, MinimalError{})).relative_error,
                compare(w, quantize<S>(w, MinMax{})).relative_error + 1e-6);
      EXPECT_EQ(quantize<S>(w, AbsMax{}, Nearest{}, {.threads = 3}), quantize<S>(w, AbsMax{}));
    }
  }
}

TEST(NewFormat, ChoosesPerGroup) {
  Eigen::MatrixXf w(1, 32);
  w.leftCols(16) << 9, 3, 1, -9, -3, -1, 0, 9, 3, 1, -9, -3, -1, 0, 1, 1;
  w.rightCols(16) << 3, 2, 1, -3, -2, -1, 0, 3, 2, 1, -3, -2, -1, 0, 1, 1;
  const auto q = quantize<Scheme<Either, Group<16>>>(w);
  EXPECT_EQ(q.group(0, 0).choice, 0);
  EXPECT_EQ(q.group(0, 1).choice, 1);
  EXPECT_EQ(q.dequantize(), w);
  EXPECT_DOUBLE_EQ(q.bits_per_weight(), 3 + (32.0 + 8) / 16);
}

// Lin et al., "QServe": what the first level makes of a row fits 8 bits whatever the second adds.
TEST(NewFormat, ProgressiveWeightsAreIntegersOfEightBits) {
  using S = Scheme<formats::UInt<4>, Group<32>, ProgressiveScale, ZeroPoint>;
  for (float skew : {0.0f, 0.4f, 1.0f}) {
    const Eigen::MatrixXf w = (test::random_inputs(64, 256, 5).array() + skew).matrix();
    const auto q = quantize<S>(w);
    for (Index i = 0; i < q.rows(); ++i) {
      for (Index j = 0; j < q.cols(); ++j) {
        const auto p = q.group(i, j / 32);
        const int integer = (int{q.code(i, j)} - int{p.zero_code}) * int{p.scale_code};
        EXPECT_LE(std::abs(integer), 127);
        EXPECT_NEAR(q.at(i, j), static_cast<float>(integer) * q.super_scale(i, 0), 1e-5f);
      }
    }
    EXPECT_LT(compare(w, q).relative_error, 0.08);
  }
}

}  // namespace
}  // namespace nibble
