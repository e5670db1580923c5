// Rotated: values, sizes, files, products with floats and quantized activations, parts that do not fit.
#include "nibble/kernels/rotated.h"

#include <gtest/gtest.h>

#include <sstream>

#include "kernels/random_operands.h"
#include "message_of.h"
#include "oracle/products.h"

namespace nibble {
namespace {

using Eigen::MatrixXd;
using Eigen::MatrixXf;
using Four = Int<4, Group<16>>;

template <class M> std::string saved(const M& m) {
  std::ostringstream out;
  m.save(out);
  return out.str();
}

template <class M> M load(const std::string& bytes) {
  std::istringstream in(bytes);
  return M::load(in);
}

/// U^T A V in double by the dense U and V.
MatrixXd naive(const MatrixXf& a, const Rotation& left, const Rotation& right) {
  MatrixXd u = MatrixXd::Identity(a.rows(), a.rows()), v = MatrixXd::Identity(a.cols(), a.cols());
  if (left.size() > 0) left.apply_in_place(u);
  if (right.size() > 0) right.apply_in_place(v);
  return oracle::product(oracle::product(u.transpose(), a.cast<double>()), v);
}

TEST(Rotated, ValuesProductsAndFiles) {
  const Index sizes[][2] = {{1, 1}, {19, 33}, {16, 64}, {7, 97}};
  for (const auto& [n, k] : sizes) {
    for (RotationKind kind : {RotationKind::Hadamard, RotationKind::Kronecker}) {
      for (int sides = 0; sides < 4; ++sides) {
        SCOPED_TRACE(text(n, " x ", k, ", ", sides));
        const auto a = test::random_matrix<Four>(n, k, 1);
        const Rotation left(sides & 1 ? n : 0, 3, kind), right(sides & 2 ? k : 0, 4, kind);
        const Rotated w(a, left, right);
        const MatrixXd exact = naive(a.dequantize(), left, right);
        EXPECT_LT((w.dequantize().cast<double>() - exact).norm(), 3e-6 * exact.norm());
        EXPECT_EQ(load<Rotated<QuantizedMatrix<Four>>>(saved(w)), w);
        EXPECT_EQ(load<Rotated<QuantizedMatrix<Four>>>(saved(w)).right(), w.right());
        for (Index m : {1, 9}) {
          const MatrixXf x = test::random_inputs(k, m, 5);
          const MatrixXd y = oracle::product(exact, x.cast<double>());
          const double size = exact.norm() * x.norm();
          EXPECT_LT(((w * x).cast<double>() - y).norm(), 3e-6 * size);
          const auto xq = quantize_activations(x);
          EXPECT_LT(((w * xq).cast<double>() - oracle::product(exact, xq.dequantize().cast<double>())).norm(),
                    3e-6 * size);
          // Where only outputs are rotated, activations stay integers; where inputs are, a program may rotate first.
          if (sides == 1) {
            EXPECT_EQ(w * xq, left.apply_transposed(a * xq));
          }
          if (sides == 2) {
            EXPECT_EQ(w * x, a * right.apply(x));
          }
        }
      }
    }
  }
}

TEST(Rotated, EpilogueComesLast) {
  const auto a = test::random_matrix<Four>(19, 33, 1);
  const Rotated w(a, Rotation(19, 1), Rotation(33, 2));
  const MatrixXf x = test::random_inputs(33, 5, 3), plain = w * x;
  const Eigen::VectorXf bias = test::random_inputs(19, 1, 4), scale = test::random_inputs(19, 1, 5);
  MatrixXf y = MatrixXf::Constant(19, 5, 2);
  gemm(w, x, y, {.threads = 2}, {.bias = bias, .scale = scale, .activation = Activation::Relu, .accumulate = true});
  for (Index m = 0; m < 5; ++m)
    for (Index i = 0; i < 19; ++i)
      EXPECT_NEAR(y(i, m), 2 + std::max(0.0f, scale[i] * plain(i, m) + bias[i]), 1e-5f * std::abs(y(i, m)) + 1e-5f);
}

TEST(Rotated, IsSmallAndAValue) {
  const auto a = test::random_matrix<Four>(19, 33, 1);
  using M = Rotated<QuantizedMatrix<Four>>;
  const M w(a, Rotation(19, 1), Rotation(33, std::uint64_t{1} << 63));
  EXPECT_EQ(w.bytes(), a.bytes() + 24);
  EXPECT_DOUBLE_EQ(w.bits_per_weight(), a.bits_per_weight() + 6 * 32 / (19 * 33.0));
  EXPECT_EQ(w.name(), text("Rotated(", Four::name(), ')'));
  EXPECT_EQ(w.left(), Rotation(19, 1));
  EXPECT_EQ(w.right().seed(), std::uint64_t{1} << 63);
  EXPECT_NE(w, M(a, Rotation(19, 1), Rotation(33, 1)));
  EXPECT_NE(w, M(a, {}, Rotation(33, std::uint64_t{1} << 63)));
  EXPECT_NE(w, M(a, Rotation(19, 1, RotationKind::Kronecker), w.right()));
  EXPECT_EQ(M(a, {}, Rotation(0, 5)), M(a, {}, {}));
  EXPECT_EQ(M().rows(), 0);
  const M empty(quantize<Four>(MatrixXf(0, 33)), Rotation(0, 1), Rotation(33, 2));
  EXPECT_EQ((empty * MatrixXf::Ones(33, 2)).cols(), 2);
  EXPECT_EQ(load<M>(saved(empty)), empty);
}

TEST(Rotated, PartsThatDoNotFit) {
  const auto a = test::random_matrix<Four>(3, 20, 1);
  using M = Rotated<QuantizedMatrix<Four>>;
  EXPECT_EQ(test::message_of([&] { M(a, Rotation(4), {}); }), "nibble::Rotated: expected a rotation of 3 rows, got 4");
  EXPECT_EQ(test::message_of([&] { M(a, {}, Rotation(19)); }),
            "nibble::Rotated: expected a rotation of 20 columns, got 19");
  const MatrixXf huge = MatrixXf::Constant(20, 1, 1e37f);
  EXPECT_EQ(test::message_of([&] { M(a, {}, Rotation(20, 1)) * huge; }), "");
  EXPECT_EQ(test::message_of([&] { M(a, {}, Rotation(20, 1)) * (30 * huge); }),
            "nibble::gemm: expected rotated X within floats, got a NaN or an infinity");

  const std::string good = saved(M(a, Rotation(3, 1), Rotation(20, 2)));
  // Header, matrix, then for each side a block of the count and one of the numbers.
  const std::size_t left = good.size() - 4 * 64;
  const auto with = [&](std::size_t at, char value) {
    std::string bytes = good;
    bytes[at] = value;
    return test::message_of<IoError>([&] { load<M>(bytes); });
  };
  const std::string none =
      "<stream>: byte 0: nibble::Rotated: expected the kind and the seed of a rotation, or none, got others";
  EXPECT_EQ(with(left, 3), "");
  EXPECT_EQ(with(left, 2), none);
  EXPECT_EQ(with(left + 64, 1), "");
  EXPECT_EQ(with(left + 64, 2), none);
  EXPECT_EQ(with(left + 67, '\x80'), none);
  EXPECT_EQ(with(left + 68, 77), "");
  for (std::size_t size = 0; size < good.size(); size += 5)
    ASSERT_THROW(load<M>(good.substr(0, size)), IoError) << size;
}

// A row of few weights and a billion columns: no rotation of that size is made on the word of a file.
TEST(Rotated, TakesNoMemoryOnTheWordOfAFile) {
  Sparse::Matrix row(1, 1 << 30);
  row.insert(0, 77) = 1;
  std::string bytes = saved(Rotated(Sparse(row), {}, {}));
  std::string numbers(64, '\0'), count(64, '\0');
  count[0] = 3;
  bytes.replace(bytes.size() - 64, 64, count + numbers);
  const std::string said = test::message_of<IoError>([&] { load<Rotated<Sparse>>(bytes); });
  EXPECT_NE(said.find("a size from 0 to 1048576, got 1073741824"), std::string::npos) << said;
}

}  // namespace
}  // namespace nibble
