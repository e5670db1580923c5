// Incoherence processing of the weight of a real transformer layer, judged on tokens that it has not seen.
#include <gtest/gtest.h>
#include <nibble/nibble.h>

#include <filesystem>

namespace nibble {
namespace {

using Eigen::MatrixXf;

template <class S> void expect_better() {
  static const std::filesystem::path folder = NIBBLE_EXAMPLE_DATA_DIR;
  static const MatrixXf w = read_npy(folder / "weight.npy"), eval = read_npy(folder / "activations_eval.npy");
  static const MatrixXf exact = w * eval;
  static const Hessian h(read_npy(folder / "activations_train.npy"));
  const auto error = [&](const auto& q) {
    return static_cast<double>((exact - q.dequantize() * eval).norm() / exact.norm());
  };
  const auto turned = [&](const IncoherentOptions& options) {
    return error(quantize_incoherent<S>(
        w, h, [](const Hessian& rotated) { return Gptq{rotated}; }, options));
  };
  const double plain = error(quantize<S>(w, Gptq{h})), hadamard = turned({}), rescaled = turned({.rescale = true});
  const double kronecker = turned({.kind = RotationKind::Kronecker});
  std::printf("%-22s GPTQ %6.3f %%, Hadamard %6.3f %%, rescaled %6.3f %%, Kronecker %6.3f %%\n", S::name().c_str(),
              100 * plain, 100 * hadamard, 100 * rescaled, 100 * kronecker);
  for (double e : {hadamard, rescaled, kronecker}) EXPECT_LT(e, 0.9 * plain) << S::name();
}

TEST(IncoherentLayer, BeatsGptqOnTokensThatItHasNotSeen) {
  expect_better<UInt<2>>();
  expect_better<UInt<3>>();
  expect_better<UInt<4>>();
  expect_better<UInt<2, Group<128>>>();
  expect_better<UInt<3, Group<128>>>();
  expect_better<UInt<4, Group<128>>>();
}

}  // namespace
}  // namespace nibble
