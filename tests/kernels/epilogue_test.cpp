// What is done to sums before they are written, against double precision; raw and rescaled integer products.
#include "nibble/kernels/epilogue.h"

#include <gtest/gtest.h>

#include "kernels/random_operands.h"
#include "message_of.h"

namespace nibble {
namespace {

double activated(Activation f, double z) {
  switch (f) {
    case Activation::None:
      return z;
    case Activation::Relu:
      return std::max(0.0, z);
    case Activation::Gelu:
      return 0.5 * z * std::erfc(-z / std::sqrt(2.0));
    case Activation::GeluTanh:
      return 0.5 * z * (1 + std::tanh(std::sqrt(2 / 3.14159265358979) * (z + 0.044715 * z * z * z)));
    case Activation::Silu:
      return z / (1 + std::exp(-z));
  }
  return 0;
}

constexpr Activation all[] = {Activation::None, Activation::Relu, Activation::Gelu, Activation::GeluTanh,
                              Activation::Silu};

TEST(Epilogue, EveryPartOfIt) {
  for (Index n : {1, 16, 35}) {
    const auto w = test::random_matrix<Int<4, Group<32>>>(n, 64, 1);
    const Eigen::MatrixXf inputs = 0.02f * test::random_inputs(64, 13, 2);
    const auto x = quantize_activations(inputs);
    const Eigen::VectorXf bias = Eigen::VectorXf::Random(n), scale = Eigen::VectorXf::Random(n);
    const auto check = [&](const auto& operand) {
      const Eigen::MatrixXf plain = w * operand;
      for (Activation f : all) {
        for (int parts = 0; parts < 8; ++parts) {
          SCOPED_TRACE(text(n, ' ', static_cast<int>(f), ' ', parts));
          Eigen::MatrixXf y = Eigen::MatrixXf::Constant(n + 2, 13, 3);
          const Eigen::VectorXf none;
          gemm(w, operand, y.middleRows(1, n), {},
               {.bias = parts & 1 ? bias : none,
                .scale = parts & 2 ? scale : none,
                .activation = f,
                .accumulate = (parts & 4) != 0});
          for (Index m = 0; m < 13; ++m) {
            for (Index i = 0; i < n; ++i) {
              const double z = static_cast<double>(plain(i, m)) * (parts & 2 ? static_cast<double>(scale[i]) : 1.0) +
                               (parts & 1 ? static_cast<double>(bias[i]) : 0.0);
              const double wanted = activated(f, z) + (parts & 4 ? 3 : 0);
              ASSERT_NEAR(static_cast<double>(y(i + 1, m)), wanted, 2e-6 * std::max(1.0, std::abs(z))) << z;
            }
            ASSERT_EQ(y(0, m), 3);
            ASSERT_EQ(y(n + 1, m), 3);
          }
        }
      }
    };
    check(x);
    check(inputs);
  }
}

TEST(Epilogue, ActivationsOfEveryMagnitude) {
  kernels::PanelColumn z;
  for (Activation f : all) {
    for (float at : {0.0f, 1e-30f, 1e-3f, 0.5f, 1.0f, 3.0f, 10.0f, 87.0f, 200.0f, 1e30f}) {
      for (float sign : {1.0f, -1.0f}) {
        z.setConstant(sign * at);
        kernels::activate(f, z);
        const double wanted = activated(f, static_cast<double>(sign * at));
        EXPECT_NEAR(static_cast<double>(z[5]), wanted, 1e-6 * std::max(1.0, std::abs(wanted)))
            << static_cast<int>(f) << ' ' << sign * at;
      }
    }
  }
}

TEST(Epilogue, WithoutInputsOnlyTheBias) {
  const auto w = test::random_matrix<Int<8>>(20, 0, 1);
  const Eigen::VectorXf bias = Eigen::VectorXf::LinSpaced(20, -1, 1);
  Eigen::MatrixXf y(20, 2);
  gemm(w, quantize_activations(Eigen::MatrixXf(0, 2)), y, {}, {.bias = bias, .activation = Activation::Relu});
  EXPECT_EQ(y.col(1), bias.cwiseMax(0.0f));
  gemm(w, Eigen::MatrixXf(0, 2), y, {}, {.bias = bias});
  EXPECT_EQ(y.col(0), bias);
}

TEST(Epilogue, RejectsWhatDoesNotFit) {
  const auto w = test::random_matrix<Int<8>>(20, 8, 1);
  const auto x = quantize_activations(test::random_inputs(8, 2, 1));
  Eigen::MatrixXf y = Eigen::MatrixXf::Constant(20, 2, 5);
  const auto message = [&](const Epilogue& e) {
    return test::message_of<std::invalid_argument>([&] { gemm(w, x, y, {}, e); });
  };
  EXPECT_EQ(message({.bias = Eigen::VectorXf::Ones(19)}),
            "nibble::gemm: expected a bias and a scale for each of 20 rows, or none, got 19");
  EXPECT_EQ(message({.scale = y.col(1)}),
            "nibble::gemm: expected Y in memory of its own, got one that overlaps the bias or the scale");
  EXPECT_TRUE((y.array() == 5).all());
}

template <class S, class A> void check_raw(Index n, Index k, Index m) {
  const auto w = test::random_matrix<S>(n, k, 7);
  const auto x =
      quantize_activations<A>(Eigen::MatrixXf(test::random_inputs(k, m, 8).array() + (A::affine ? 0.5f : 0.0f)));
  constexpr auto view = integer_view<typename S::format>;
  Eigen::MatrixXi wanted = Eigen::MatrixXi::Zero(n, m);
  for (Index i = 0; i < n; ++i) {
    for (Index j = 0; j < k; ++j) {
      const auto g = w.group(i, Layout<S>::group_of(j));
      int integer = view.bytes[w.code(i, j)] - view.offset - (S::affine ? g.zero_code : 0);
      if (S::has_super) integer *= static_cast<int>(g.scale_code);
      for (Index c = 0; c < m; ++c) wanted(i, c) += integer * (x.integer(j, c) - x.zero(0, c));
    }
  }
  for (Isa isa : available_isas()) {
    Eigen::MatrixXi y(n, m);
    gemm(w, x, y, {.isa = isa});
    ASSERT_EQ(y, wanted) << name(isa) << ' ' << S::name() << ' ' << n << ' ' << k << ' ' << m;
    std::vector<Dyadic> factors;
    for (Index i = 0; i < n; ++i) factors.push_back(Dyadic::nearest(3e-3 / static_cast<double>(i + 1)));
    for (std::size_t count : {std::size_t{1}, factors.size()}) {
      factors.resize(count);
      MatrixXi8 scaled(n, m);
      gemm(w, x, factors, scaled, {.isa = isa});
      for (Index c = 0; c < m; ++c)
        for (Index i = 0; i < n; ++i)
          ASSERT_EQ(scaled(i, c), factors[count == 1 ? 0 : static_cast<std::size_t>(i)](wanted(i, c)));
    }
  }
}

TEST(RawProduct, IsExact) {
  for (Index n : {1, 16, 19})
    for (Index k : {1, 64, 131})
      for (Index m : {1, 14}) {
        check_raw<Int<8>, Int<8>>(n, k, m);
        check_raw<UInt<4>, UInt<8>>(n, k, m);
        check_raw<Progressive<32>, Int<8>>(n, k, m);
        check_raw<Int<3>, UInt<8>>(n, k, m);
      }
}

TEST(RawProduct, RejectsSumsThatMightOverflow) {
  const Index longest = 0x7fffffff / (128 * 127);
  MatrixXi8 bytes(1, 1);
  Eigen::MatrixXi y = Eigen::MatrixXi::Constant(1, 1, 5);
  const auto run = [&](Index k) {
    Parts<Int<8>> parts(1, k);
    parts.codes.setConstant(0);
    const QuantizedMatrix<Int<8>> w(parts);
    const auto x = quantize_activations(Eigen::MatrixXf::Constant(k, 1, 127));
    gemm(w, x, y);
  };
  run(longest);
  EXPECT_EQ(y(0, 0), -128 * 127 * static_cast<int>(longest));
  y.setConstant(5);
  EXPECT_EQ(test::message_of<std::invalid_argument>([&] { run(longest + 1); }),
            text("nibble::gemm: expected K of at most ", longest, " so that integers fit 32 bits, got ", longest + 1));
  EXPECT_EQ(y(0, 0), 5);
}

TEST(RawProduct, RejectsBadFactors) {
  const auto w = test::random_matrix<Int<8>>(4, 8, 1);
  const auto x = quantize_activations(test::random_inputs(8, 2, 1));
  MatrixXi8 y(4, 2);
  const auto message = [&](const std::vector<Dyadic>& f) {
    return test::message_of<std::invalid_argument>([&] { gemm(w, x, f, y); });
  };
  EXPECT_EQ(message({{1, 1}, {1, 2}}), "nibble::gemm: expected a factor for each of 4 rows, or one, got 2");
  EXPECT_EQ(message({{0, 1}}), "nibble::gemm: expected positive multipliers and shifts of 0 to 62, got 0 / 2^1");
  EXPECT_EQ(message({{1, 63}}), "nibble::gemm: expected positive multipliers and shifts of 0 to 62, got 1 / 2^63");
}

TEST(Dyadic, NearestAndRounding) {
  for (double f : {0x1p-32, 1e-6, 0.1, 0.5, 1.0, 3.7, 0x1p29}) {
    const Dyadic d = Dyadic::nearest(f);
    EXPECT_NEAR(d.multiplier / std::pow(2.0, d.shift) / f, 1, 0x1p-29) << f;
  }
  const Dyadic half{1, 1};
  EXPECT_EQ(half(3), 2);
  EXPECT_EQ(half(-3), -1);
  EXPECT_EQ(half(4), 2);
  EXPECT_EQ(half(2000000000), 127);
  EXPECT_EQ(half(-2000000000), -127);
  EXPECT_EQ((Dyadic{0x7fffffff, 62}(std::numeric_limits<std::int32_t>::min())), -1);
  for (double bad : {0.0, -1.0, 0x1p30, std::nan("")}) EXPECT_THROW(Dyadic::nearest(bad), std::invalid_argument);
}

}  // namespace
}  // namespace nibble
