// GPTQ on the weight of a real transformer layer, calibrated on some tokens and judged on others.
#include <gtest/gtest.h>
#include <nibble/nibble.h>

#include <filesystem>

namespace nibble {
namespace {

struct Layer {
  Eigen::MatrixXf weight, eval;
  Hessian hessian;
  static const Layer& get() {
    static const Layer layer = [] {
      const std::filesystem::path folder = NIBBLE_EXAMPLE_DATA_DIR;
      return Layer{read_npy(folder / "weight.npy"), read_npy(folder / "activations_eval.npy"),
                   Hessian(read_npy(folder / "activations_train.npy"))};
    }();
    return layer;
  }
};

template <class S> void expect_better() {
  const Layer& layer = Layer::get();
  const auto error = [&](const auto&... method) {
    return compare_outputs(layer.weight, quantize<S>(layer.weight, method...), layer.eval).relative_error;
  };
  const double nearest = error(), gptq = error(Gptq{layer.hessian});
  const double act = error(Gptq{layer.hessian, {.order = Order::ActOrder, .groups = Groups::Static}});
  std::printf("%-32s nearest %7.3f %%, GPTQ %7.3f %%, act-order %7.3f %%\n", S::name().c_str(), 100 * nearest,
              100 * gptq, 100 * act);
  EXPECT_LT(gptq, nearest) << S::name();
  EXPECT_LT(act, nearest) << S::name();
}

TEST(Layer, GptqBeatsNearestOnTokensThatItHasNotSeen) {
  expect_better<UInt<2>>();
  expect_better<UInt<3>>();
  expect_better<UInt<4>>();
  expect_better<UInt<2, Group<128>>>();
  expect_better<UInt<3, Group<128>>>();
  expect_better<UInt<4, Group<128>>>();
  expect_better<Int<3, Group<128>>>();
}

}  // namespace
}  // namespace nibble
