// AdaRound, AdaQuant and bias correction on the first rows of a real layer, judged on tokens that they have not seen.
#include <gtest/gtest.h>
#include <nibble/io.h>
#include <nibble/rounding.h>

#include <filesystem>

namespace nibble {
namespace {

using Eigen::MatrixXf;

struct Layer {
  MatrixXf weight, eval;
  Hessian hessian;
  static const Layer& get() {
    static const Layer layer = [] {
      const std::filesystem::path folder = NIBBLE_EXAMPLE_DATA_DIR;
      return Layer{read_npy(folder / "weight.npy").topRows(48), read_npy(folder / "activations_eval.npy"),
                   Hessian(read_npy(folder / "activations_train.npy"))};
    }();
    return layer;
  }
};

/// Relative error of the outputs, with the bias corrected or not.
template <class S> double error(const QuantizedMatrix<S>& q, bool bias = false) {
  const Layer& layer = Layer::get();
  MatrixXf error = (layer.weight - q.dequantize()) * layer.eval;
  if (bias) error.colwise() -= corrected_bias(layer.weight, q, layer.hessian);
  return static_cast<double>(error.norm() / (layer.weight * layer.eval).norm());
}

template <class S> void expect_better() {
  const auto& [w, eval, h] = Layer::get();
  const auto nearest = quantize<S>(w), gptq = quantize<S>(w, Gptq{h});
  const auto up_down = quantize<S>(w, AdaRound{h}), learned = quantize<S>(w, AdaQuant{h});
  const auto with_bias = quantize<S>(w, AdaQuant{h, {.bias = true}});
  std::printf(
      "%-24s nearest %6.3f (bias corrected %6.3f), GPTQ %6.3f (%6.3f), AdaRound %6.3f, AdaQuant %6.3f (%6.3f) %%\n",
      S::name().c_str(), 100 * error(nearest), 100 * error(nearest, true), 100 * error(gptq), 100 * error(gptq, true),
      100 * error(up_down), 100 * error(learned), 100 * error(with_bias, true));
  EXPECT_LT(error(up_down), 0.9 * error(nearest));
  EXPECT_LT(error(learned), 1.02 * error(gptq));
  EXPECT_LT(error(nearest, true), error(nearest));
}

TEST(LearnedLayer, BeatsNearestOnTokensThatItHasNotSeen) {
  expect_better<UInt<2>>();
  expect_better<UInt<3>>();
  expect_better<UInt<4, Group<128>>>();
  expect_better<MxFp4>();
}

}  // namespace
}  // namespace nibble
