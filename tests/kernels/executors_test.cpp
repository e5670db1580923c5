// Products, the quantizer of activations and the transform on several threads: the bits of one. Built twice: as it is,
// and with OpenMP.
#include <gtest/gtest.h>

#include "../../examples/thread_pool.h"
#include "kernels/random_operands.h"
#include "message_of.h"

namespace nibble {
namespace {

class Executors : public testing::Test {
 protected:
  using W4 = Int<4, Group<32>>;
  const QuantizedMatrix<W4> w = test::random_matrix<W4>(100, 256, 1);
  const Eigen::MatrixXf x = test::random_inputs(256, 50, 2);
  const QuantizedActivations<> xq = quantize_activations(x);

  void expect_same_bits(const std::optional<Executor>& executor) const {
    for (Isa isa : available_isas())
      for (int threads : {1, 2, 3, 16}) {
        Eigen::MatrixXf y(100, 50), z(100, 50);
        gemm(w, x, y, {threads, isa, executor});
        gemm(w, xq, z, {threads, isa, executor});
        EXPECT_EQ(y, product(w, x, isa)) << threads;
        EXPECT_EQ(z, product(w, xq, isa)) << threads;
        EXPECT_EQ(quantize_activations(x, {threads, isa, executor}).dequantize(), xq.dequantize()) << threads;
        EXPECT_EQ(hadamard_transform(x, {threads, isa, executor}), hadamard_transform(x)) << threads;
        EXPECT_EQ(hadamard_quantize_activations(x, {threads, isa, executor}).dequantize(),
                  quantize_activations(hadamard_transform(x)).dequantize())
            << threads;
      }
  }

  template <class X> static Eigen::MatrixXf product(const QuantizedMatrix<W4>& w, const X& x, Isa isa) {
    Eigen::MatrixXf y(w.rows(), x.cols());
    gemm(w, x, y, {.isa = isa});
    return y;
  }
};

TEST_F(Executors, None) {
  expect_same_bits({});
}

TEST_F(Executors, ThreadPool) {
  ThreadPool pool(4);
  expect_same_bits(
      [&](std::ptrdiff_t count, const std::function<void(std::ptrdiff_t)>& task) { pool.run(count, task); });
}

TEST_F(Executors, AThreadForEachTask) {
  expect_same_bits([](std::ptrdiff_t count, const std::function<void(std::ptrdiff_t)>& task) {
    std::vector<std::thread> threads;
    for (std::ptrdiff_t i = 0; i < count; ++i) threads.emplace_back(task, i);
    for (std::thread& thread : threads) thread.join();
  });
}

TEST_F(Executors, AnEmptyOneIsAnErrorBeforeAnythingIsWritten) {
  Eigen::MatrixXf y = Eigen::MatrixXf::Constant(100, 50, 5), z = test::random_inputs(256, 5, 3);
  const Eigen::MatrixXf y_before = y, z_before = z;
  const std::string words = "expected an executor that can be called, got an empty one";
  const auto says = [&](auto&& call) { EXPECT_NE(test::message_of(call).find(words), std::string::npos); };
  says([&] { gemm(w, x, y, {.executor = Executor{}}); });
  says([&] { gemm(w, xq, y, {.executor = Executor{}}); });
  says([&] { quantize_activations(x, {.executor = Executor{}}); });
  says([&] { hadamard_transform_in_place(z, {.executor = Executor{}}); });
  says([&] { hadamard_quantize_activations(x, {.executor = Executor{}}); });
  says([&] { quantize<W4>(x, AbsMax{}, Nearest{}, {.executor = Executor{}}); });
  EXPECT_EQ(y, y_before);
  EXPECT_EQ(z, z_before);
}

}  // namespace
}  // namespace nibble
