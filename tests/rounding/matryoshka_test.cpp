// Codes that serve several widths: slices against their definition, codes against a search of all of them, losses
// against matrices that were quantized for one width alone.
#include <gtest/gtest.h>
#include <nibble/nibble.h>

#include <filesystem>

#include "message_of.h"
#include "oracle/column_rounding.h"
#include "rounding/correlated.h"

namespace nibble {
namespace {

using Eigen::MatrixXd;
using Eigen::MatrixXf;

/// Nair et al., equation 6, for codes of `bits` bits with values from low to high.
double sliced(double code, int bits, int narrow, double low, double high) {
  const double unit = std::exp2(bits - narrow);
  return std::clamp(std::floor(code / unit + 0.5), low, high) * unit;
}

template <int R, class S> void expect_slice(const MatrixXf& w) {
  const auto q = quantize<S>(w, NestedZero<>{1 << (S::format::bits - R)});
  const auto parts = q.parts();
  const MatrixXf narrow = slice<R>(q).dequantize();
  for (Index i = 0; i < w.rows(); ++i) {
    for (Index j = 0; j < w.cols(); ++j) {
      const auto p = parts.group(i, S::group_inputs == 0 ? 0 : j / S::group_inputs);
      const double top = S::affine ? std::exp2(R) - 1 : std::exp2(R - 1) - 1;
      const double value = sliced(S::format::decode(parts.codes(i, j)), S::format::bits, R, S::affine ? 0 : -top, top);
      ASSERT_FLOAT_EQ(narrow(i, j),
                      static_cast<float>((value - static_cast<double>(p.zero)) * static_cast<double>(p.scale)))
          << S::name() << ' ' << R << " (" << i << ", " << j << ")";
    }
  }
}

TEST(Slice, IsItsDefinition) {
  const MatrixXf w = test::normal(19, 53, 1);
  expect_slice<8, Int<8>>(w);
  expect_slice<4, Int<8>>(w);
  expect_slice<2, Int<8, Group<16>, formats::Half>>(w);
  expect_slice<3, Int<6, PerTensor>>(w);
  expect_slice<4, UInt<8, Group<16>>>(w);
  expect_slice<2, UInt<8>>(w);
  expect_slice<1, UInt<4, PerTensor>>(w);
  expect_slice<2, UInt<4, Group<32>, formats::E8M0>>(w);
  expect_slice<2, Progressive<32>>(w);
  static_assert(std::same_as<decltype(slice<4>(quantize<Int<8, Group<32>>>(w))), QuantizedMatrix<Int<4, Group<32>>>>);
  EXPECT_EQ((slice<4>(quantize<Int<8>>(MatrixXf(0, 5))).cols()), 5);
}

TEST(Slice, SaysWhatItCannotStore) {
  Eigen::MatrixXf w(1, 4);
  w << -1, 0, 1, 2;
  EXPECT_EQ(test::message_of([&] { slice<2>(quantize<UInt<8>>(w)); }),
            "nibble::slice: expected zero points that are multiples of 64, got 85");
  w << 0, 0, 0, 1e38f;
  const auto q = quantize<Int<8>>(60 * (w / 60));
  EXPECT_EQ(slice<4>(q).rows(), 1);
  EXPECT_NE(test::message_of([&] {
              slice<2>(quantize<Int<8, PerRow, formats::Half>>(65000.0f * 100 * MatrixXf::Ones(1, 4)));
            }).find("expected scales that"),
            std::string::npos);
}

/// The losses of the slices of 8, 4 and 2 bits, weighted.
template <class S>
double joint_loss(const MatrixXf& w, const QuantizedMatrix<S>& q, const Hessian& h,
                  const std::array<float, 3>& weights) {
  return static_cast<double>(weights[0]) * proxy_loss(w, q, h) +
         static_cast<double>(weights[1]) * proxy_loss(w, slice<4>(q), h) +
         static_cast<double>(weights[2]) * proxy_loss(w, slice<2>(q), h);
}

// With one input there is no feedback: the code is the best of all.
TEST(Matryoshka, ChoosesTheBestOfAllCodes) {
  const MatrixXf w = test::normal(300, 1, 2);
  const Hessian h(MatrixXf::Ones(1, 3));
  const std::array<float, 3> weights{1, 0.3f, 0.1f};
  const auto q = quantize<Int<8, PerTensor>>(w, AbsMax{}, Ldlq{h, {}, Matryoshka<8, 4, 2>{weights}});
  const double scale = q.parts().group(0, 0).scale;
  for (Index i = 0; i < w.rows(); ++i) {
    const auto error = [&](int code) {
      const double x = static_cast<double>(w(i, 0)) / scale;
      return std::pow(x - code, 2) + 0.3 * std::pow(x - sliced(code, 8, 4, -7, 7), 2) +
             0.1 * std::pow(x - sliced(code, 8, 2, -1, 1), 2);
    };
    double least = 1e9;
    for (int code = -127; code <= 127; ++code) least = std::min(least, error(code));
    EXPECT_NEAR(error(static_cast<int>(q.parts().codes(i, 0)) - 128), least, 1e-4 * (1 + least)) << i;
  }
}

TEST(Matryoshka, OfOneWidthIsGptq) {
  const MatrixXf w = test::normal(37, 45, 3);
  const Hessian h(test::correlated_inputs(45, 100, 4));
  EXPECT_EQ((quantize<Int<8>>(w, Ldlq{h, {}, Matryoshka<8>{}})), (quantize<Int<8>>(w, Gptq{h})));
  EXPECT_EQ((quantize<Int<8>>(w, Ldlq{h, {}, Matryoshka<8, 4>{{1, 0}}})), (quantize<Int<8>>(w, Gptq{h})));
}

TEST(Matryoshka, ReportsTheLossOfAllWidths) {
  const MatrixXf w = test::normal(103, 96, 5);
  const Hessian h = Hessian(test::correlated_inputs(96, 200, 6)).damped(0.01);
  const std::array<float, 3> weights{1, 0.5f, 0.25f};
  double loss = -1;
  const auto q = quantize<UInt<8, Group<32>>>(w, NestedZero<>{64},
                                              Ldlq{h, {.damping = 0, .loss = &loss}, Matryoshka<8, 4, 2>{weights}});
  const double exact = joint_loss(w, q, h, weights);
  EXPECT_NEAR(loss, exact, 1e-5 * exact);
  // Never so good when slices are left to chance.
  EXPECT_LT(exact, 0.9 * joint_loss(w, quantize<UInt<8, Group<32>>>(w, NestedZero<>{64}, Gptq{h, {.damping = 0}}), h,
                                    weights));
}

// Slices that codes were chosen for come near matrices of their own widths; others do not.
TEST(Matryoshka, SlicesOfARealLayerOnTokensThatItHasNotSeen) {
  const std::filesystem::path folder = NIBBLE_EXAMPLE_DATA_DIR;
  const MatrixXf w = read_npy(folder / "weight.npy"), eval = read_npy(folder / "activations_eval.npy");
  const Hessian h(read_npy(folder / "activations_train.npy"));
  using S = UInt<8, Group<128>>;
  const auto error = [&](const auto& q) { return compare_outputs(w, q, eval).relative_error; };
  const auto chance = quantize<S>(w, NestedZero<>{64}, Gptq{h});
  const auto joint = quantize<S>(w, NestedZero<>{64}, Ldlq{h, {}, Matryoshka<8, 4, 2>{{1, 0.1f, 0.01f}}});
  const double own8 = error(quantize<S>(w, Gptq{h})), own4 = error(quantize<UInt<4, Group<128>>>(w, Gptq{h})),
               own2 = error(quantize<UInt<2, Group<128>>>(w, Gptq{h}));
  std::printf(
      "8 / 4 / 2 bits, held out: own %.3f %.3f %.3f %%, sliced GPTQ %.3f %.3f %.3f %%, Matryoshka %.3f %.3f %.3f %%\n",
      100 * own8, 100 * own4, 100 * own2, 100 * error(chance), 100 * error(slice<4>(chance)),
      100 * error(slice<2>(chance)), 100 * error(joint), 100 * error(slice<4>(joint)), 100 * error(slice<2>(joint)));
  EXPECT_LT(error(slice<4>(joint)), error(slice<4>(chance)));
  EXPECT_LT(error(slice<2>(joint)), error(slice<2>(chance)));
}

TEST(Matryoshka, SaysWhatIsWrong) {
  const MatrixXf w = test::normal(5, 6, 7);
  const Hessian h(test::correlated_inputs(6, 20, 8));
  EXPECT_EQ(test::message_of([&] {
              quantize<Int<8>>(w, Ldlq{h, {}, Matryoshka<8, 4>{{0, 1}}});
            }),
            "nibble::Matryoshka: expected a finite weight above 0, got 0");
  EXPECT_EQ(test::message_of([&] {
              quantize<Int<8>>(w, Ldlq{h, {}, Matryoshka<8, 4>{{1, -1}}});
            }),
            "nibble::Matryoshka: expected finite weights of at least 0, got -1");
  EXPECT_EQ(test::message_of([&] { quantize<UInt<8>>(w, NestedZero<>{0}); }),
            "nibble::NestedZero: expected a multiple from 1 to 128, got 0");
}

}  // namespace
}  // namespace nibble
