// GPTQ against the published code's arithmetic; see golden/make_gptq.py.
#include <gtest/gtest.h>
#include <nibble/nibble.h>

#include <filesystem>

namespace nibble {
namespace {

template <class S> void expect_golden(const std::string& name, const ColumnOptions& options) {
  const std::filesystem::path folder = std::filesystem::path(NIBBLE_TEST_DATA_DIR) / "gptq";
  const Eigen::MatrixXf w = read_npy(folder / "weights.npy");
  const Hessian h(read_npy(folder / "inputs.npy"));
  const Eigen::MatrixXf codes = read_npy(folder / (name + ".codes.npy"));
  const double golden = read_npy<double>(folder / (name + ".loss.npy"))(0, 0);
  double loss = 0;
  ColumnOptions with_loss = options;
  with_loss.loss = &loss;
  const auto q = quantize<S>(w, MinMax{}, Gptq{h, with_loss});
  const auto same = (q.codes().template cast<float>().array() == codes.array()).count();
  EXPECT_GE(static_cast<double>(same), 0.999 * static_cast<double>(w.size())) << name << ": " << same;
  EXPECT_NEAR(loss, golden, 1e-4 * golden) << name;
}

TEST(GptqGolden, PerRow) {
  expect_golden<UInt<4>>("row", {});
}
TEST(GptqGolden, PerRowActOrder) {
  expect_golden<UInt<4>>("row_act", {.order = Order::ActOrder});
}
TEST(GptqGolden, Groups) {
  expect_golden<UInt<4, Group<32>>>("g32", {});
}
TEST(GptqGolden, StaticGroupsActOrder) {
  expect_golden<UInt<4, Group<32>>>("g32_act", {.order = Order::ActOrder, .groups = Groups::Static});
}

}  // namespace
}  // namespace nibble
