// gemm: existing memory, threads, executors, edges, bad input.
#include <gtest/gtest.h>

#include <thread>

#include "kernels/random_operands.h"
#include "message_of.h"

namespace nibble {
namespace {

using test::message_of;

using W4 = Int<4, Group<32>>;

class Gemm : public testing::Test {
 protected:
  const QuantizedMatrix<W4> w = test::random_matrix<W4>(70, 96, 7);
  const Eigen::MatrixXf x = test::random_inputs(96, 14, 8);
  const QuantizedActivations<> xq = quantize_activations(x);
};

TEST_F(Gemm, WritesIntoABlockAndNothingElse) {
  for (Isa isa : available_isas()) {
    Eigen::MatrixXf big = Eigen::MatrixXf::Constant(90, 20, -77);
    gemm(w, xq, big.block(3, 2, 70, 14), {.isa = isa});
    EXPECT_EQ(big.block(3, 2, 70, 14), w * xq);
    big.block(3, 2, 70, 14).setConstant(-77);
    EXPECT_TRUE((big.array() == -77).all());
    gemm(w, x, big.block(3, 2, 70, 14), {.isa = isa});
    big.block(3, 2, 70, 14).setConstant(-77);
    EXPECT_TRUE((big.array() == -77).all());
  }
}

TEST_F(Gemm, SameBitsForAnyNumberOfThreadsAndAnyExecutor) {
  const Executor threads = [](std::ptrdiff_t count, const std::function<void(std::ptrdiff_t)>& task) {
    std::vector<std::thread> pool;
    for (std::ptrdiff_t i = 0; i < count; ++i) pool.emplace_back(task, i);
    for (std::thread& t : pool) t.join();
  };
  for (int n : {1, 2, 3, 5, 100}) {
    for (const auto& executor : {std::optional<Executor>{}, std::optional<Executor>{threads}}) {
      Eigen::MatrixXf y(70, 14), z(70, 14);
      gemm(w, x, y, {.threads = n, .executor = executor});
      gemm(w, xq, z, {.threads = n, .executor = executor});
      EXPECT_EQ(y, w * x);
      EXPECT_EQ(z, w * xq);
    }
  }
}

TEST_F(Gemm, EmptyOperandsAreLegalWhereAlgebraMakesThemSo) {
  for (Isa isa : available_isas()) {
    Eigen::MatrixXf y = Eigen::MatrixXf::Constant(70, 3, 5);
    const QuantizedMatrix<W4> deep(Parts<W4>(70, 0));
    gemm(deep, Eigen::MatrixXf(0, 3), y, {.isa = isa});
    EXPECT_TRUE(y.isZero(0));
    y.setConstant(5);
    gemm(deep, quantize_activations(Eigen::MatrixXf(0, 3)), y, {.isa = isa});
    EXPECT_TRUE(y.isZero(0));
    Eigen::MatrixXf none(70, 0), flat(0, 14);
    gemm(w, Eigen::MatrixXf(96, 0), none, {.isa = isa});
    gemm(w, quantize_activations(Eigen::MatrixXf(96, 0)), none, {.isa = isa});
    const QuantizedMatrix<W4> no_rows(Parts<W4>(0, 96));
    gemm(no_rows, x, flat, {.isa = isa});
    gemm(no_rows, xq, flat, {.isa = isa});
  }
}

TEST_F(Gemm, NamesWhatIsWrong) {
  Eigen::MatrixXf y = Eigen::MatrixXf::Constant(70, 14, 5);
  const Eigen::MatrixXf before = y;
  const auto says = [&](const std::string& words, auto&& f) {
    const std::string message = message_of(f);
    EXPECT_NE(message.find(words), std::string::npos) << message;
    EXPECT_EQ(y, before);
  };
  says("expected X with the 96 rows that W has columns, got 95 x 14", [&] { gemm(w, x.topRows(95), y); });
  says("expected X with the 96 rows that W has columns, got 95 x 14",
       [&] { gemm(w, quantize_activations(x.topRows(95)), y); });
  says("expected Y of 70 x 13, got 70 x 14", [&] { gemm(w, x.leftCols(13), y); });
  says("expected Y of 70 x 14, got 69 x 14", [&] { gemm(w, x, y.topRows(69)); });
  says("expected at least 1 thread, got 0", [&] { gemm(w, x, y, {.threads = 0}); });
  says("expected at least 1 thread, got -1", [&] { gemm(w, xq, y, {.threads = -1}); });
  says("instruction set", [&] { gemm(w, x, y, {.isa = static_cast<Isa>(6)}); });
  Eigen::MatrixXf bad = x;
  bad(17, 5) = std::numeric_limits<float>::quiet_NaN();
  says("a NaN or an infinity in column 5", [&] { gemm(w, bad, y); });
  says("a NaN or an infinity in column 5", [&] { quantize_activations(bad); });
  bad(17, 5) = -std::numeric_limits<float>::infinity();
  says("a NaN or an infinity in column 5", [&] { gemm(w, bad, y, {.threads = 3}); });
}

TEST_F(Gemm, RefusesToWriteOverItsInput) {
  const QuantizedMatrix<W4> square = test::random_matrix<W4>(20, 20, 9);
  Eigen::MatrixXf both = test::random_inputs(20, 20, 10);
  const Eigen::MatrixXf before = both;
  EXPECT_NE(message_of([&] { gemm(square, both, both); }).find("overlaps"), std::string::npos);
  EXPECT_NE(message_of([&] { gemm(square, both.leftCols(10), both.middleCols(9, 10)); }).find("overlaps"),
            std::string::npos);
  EXPECT_EQ(both, before);
  gemm(square, both.leftCols(10), both.rightCols(10));  // side by side is fine
  EXPECT_EQ(both.leftCols(10), before.leftCols(10));
}

}  // namespace
}  // namespace nibble
