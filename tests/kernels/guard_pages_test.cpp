// Products whose operands touch memory without access: one byte too far and the program dies.
#include "kernels/guard_pages.h"

#include <gtest/gtest.h>

#include <cstring>
#include <sstream>

#include "kernels/random_operands.h"

namespace nibble {
namespace {

using test::Guard;
using test::GuardedBytes;

/// The same matrix, its bytes mapped from guarded memory.
template <class S> void check(Index n, Index k, Index m, Guard guard) {
  SCOPED_TRACE(text(S::name(), ": ", n, " x ", k, " x ", m));
  const auto w = test::random_matrix<S>(n, k, 11);
  std::stringstream file;
  w.save(file);
  const std::string saved = file.str();
  const auto memory = std::make_shared<GuardedBytes>(saved.size(), guard);
  std::memcpy(memory->data(), saved.data(), saved.size());
  const auto mapped = QuantizedMatrix<S>::map(Bytes(memory->data(), saved.size(), memory));

  const auto floats = [&](Index rows, Index cols) {
    return std::make_shared<GuardedBytes>(static_cast<std::size_t>(rows * cols) * sizeof(float), guard);
  };
  const auto x_memory = floats(k, m), y_memory = floats(n, m);
  Eigen::Map<Eigen::MatrixXf> x(reinterpret_cast<float*>(x_memory->data()), k, m);
  Eigen::Map<Eigen::MatrixXf> y(reinterpret_cast<float*>(y_memory->data()), n, m);
  x = test::random_inputs(k, m, 12);
  const auto xq = quantize_activations(x);
  for (Isa isa : available_isas()) {
    Eigen::MatrixXf expected(n, m);
    gemm(w, Eigen::MatrixXf(x), expected, {.isa = isa});
    gemm(mapped, x, y, {.isa = isa});
    EXPECT_EQ(y, expected);
    gemm(w, xq, expected, {.isa = isa});
    gemm(mapped, xq, y, {.isa = isa});
    EXPECT_EQ(y, expected);
  }
}

template <class S> class GuardPages : public testing::Test {};
using Schemes = testing::Types<Int<8>, Int<4>, Int<4, Group<32>>, UInt<4, Group<10>>, MxFp4, NvFp4, Int<7, Group<32>>,
                               Int<3>, UInt<1>, Scheme<formats::E4M3FN, Group<32>>, Scheme<formats::Half>,
                               BitMod<4, Group<32>>, Codebook<4>, Scheme<formats::Pair11, Group<32>>>;
TYPED_TEST_SUITE(GuardPages, Schemes);

TYPED_TEST(GuardPages, ProductsStayInside) {
  for (Guard guard : {Guard::Before, Guard::After})
    for (Index n : {1, 16, 17})
      for (Index k : {1, 33, 128})
        for (Index m : {1, 5, 13}) check<TypeParam>(n, k, m, guard);
}

/// The integer micro-kernel alone, its activations and everything else of the tile guarded.
TEST(GuardPagesOfTiles, IntegerTilesStayInside) {
  for (Guard guard : {Guard::Before, Guard::After}) {
    for (Index m = 1; m <= kernels::max_columns; ++m) {
      const Index quanta = 16;
      const std::size_t columns = static_cast<std::size_t>(m);
      GuardedBytes codes(quanta * 64, guard), x(static_cast<std::size_t>(quanta) * 4 * columns, guard);
      GuardedBytes scales(64, guard), sums(4 * columns, guard), starts(4 * columns, guard), factors(4 * columns, guard);
      GuardedBytes y(64 * columns, guard);
      std::memset(codes.data(), 3, quanta * 64);
      std::memset(x.data(), 2, static_cast<std::size_t>(quanta) * 4 * columns);
      for (int r = 0; r < 16; ++r) reinterpret_cast<float*>(scales.data())[r] = 1;
      for (std::size_t c = 0; c < columns; ++c) reinterpret_cast<float*>(factors.data())[c] = 0.5f;
      kernels::IntegerTile tile;
      tile.panel.plane[0] = codes.data();
      tile.x = reinterpret_cast<const std::int8_t*>(x.data());
      tile.w_scales = scales.data();
      tile.x_sums = reinterpret_cast<const std::int32_t*>(sums.data());
      tile.x_starts = reinterpret_cast<const std::int32_t*>(starts.data());
      tile.factors = reinterpret_cast<const float*>(factors.data());
      tile.quanta = tile.step = quanta;
      tile.y = reinterpret_cast<float*>(y.data());
      for (Isa isa : available_isas()) {
        dispatch(isa, [&](auto tag) {
          using Tag = decltype(tag);
          kernels::ActivationSums<Tag>::run(tile.x, static_cast<int>(m), quanta, quanta,
                                            reinterpret_cast<std::int32_t*>(sums.data()));
          kernels::IntegerDot<Tag, kernels::CodeMap<8, 0>, 0, formats::Float32, false, false>::run(tile,
                                                                                                   static_cast<int>(m));
        });
        EXPECT_EQ(reinterpret_cast<std::int32_t*>(sums.data())[m - 1], 2 * 4 * quanta);
        EXPECT_EQ(tile.y[16 * m - 1], 0.5f * 3 * 2 * 4 * quanta) << name(isa);
      }
    }
  }
}

TEST(GuardPagesOfTiles, AreGuarded) {
  GuardedBytes after(100, Guard::After), before(100, Guard::Before);
  EXPECT_DEATH(after.data()[100] = 1, "");
  EXPECT_DEATH(before.data()[-1] = 1, "");
}

}  // namespace
}  // namespace nibble
