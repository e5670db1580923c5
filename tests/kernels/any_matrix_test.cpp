// AnyMatrix, and through it random nestings of every compound, against double precision; their files.
#include "nibble/kernels/any_matrix.h"

#include <gtest/gtest.h>

#include "kernels/random_trees.h"
#include "message_of.h"
#include "oracle/products.h"

namespace nibble {
namespace {

static_assert(LowBitMatrix<AnyMatrix> && LowBitMatrix<Sum<AnyMatrix, AnyMatrix>>);

/// The largest |y - wanted| in units of eps * size.
double error_in_eps(const Eigen::MatrixXf& y, const Eigen::MatrixXd& wanted, const Eigen::MatrixXd& size) {
  const Eigen::ArrayXXd error = (y.cast<double>() - wanted).array().abs();
  return error.size() == 0 ? 0 : (error / (0x1p-23 * size.array() + 1e-300)).maxCoeff();
}

template <class X> void check(const test::Tree& tree, const X& x, const Eigen::MatrixXd& inputs, std::mt19937& random) {
  const Index n = tree.values.rows(), m = inputs.cols();
  const Eigen::MatrixXd exact = oracle::product(tree.values, inputs);
  const Eigen::MatrixXd size = oracle::product(tree.sizes, inputs.cwiseAbs());
  const double bound = static_cast<double>(tree.values.cols()) + 64;
  ASSERT_LE(error_in_eps(tree.matrix * x, exact, size), bound);
  const unsigned parts = static_cast<unsigned>(random()) % 16;
  const Eigen::VectorXf bias = test::random_inputs(parts & 1 ? n : 0, 1, 1),
                        scale = test::random_inputs(parts & 2 ? n : 0, 1, 2);
  Eigen::MatrixXd wanted = exact, limit = size;
  for (Index j = 0; j < m; ++j) {
    for (Index i = 0; i < n; ++i) {
      const double s = parts & 2 ? static_cast<double>(scale[i]) : 1, b = parts & 1 ? static_cast<double>(bias[i]) : 0;
      wanted(i, j) = s * exact(i, j) + b;
      if (parts & 4) wanted(i, j) = std::max(0.0, wanted(i, j));
      if (parts & 8) wanted(i, j) += 3;
      limit(i, j) = std::abs(s) * size(i, j) + std::abs(b) + 3;
    }
  }
  Eigen::MatrixXf first;
  for (Isa isa : available_isas()) {
    for (int threads : {1, 2, 5}) {
      Eigen::MatrixXf y = Eigen::MatrixXf::Constant(n + 2, m, 3);
      gemm(tree.matrix, x, y.middleRows(1, n), {.threads = threads, .isa = isa},
           {.bias = bias,
            .scale = scale,
            .activation = parts & 4 ? Activation::Relu : Activation::None,
            .accumulate = (parts & 8) != 0});
      ASSERT_LE(error_in_eps(y.middleRows(1, n), wanted, limit), bound) << name(isa) << ' ' << parts;
      ASSERT_TRUE((y.row(0).array() == 3).all() && (y.row(n + 1).array() == 3).all());
      if (threads == 1) first = y;
      ASSERT_EQ(y, first) << threads;
    }
  }
}

std::string saved(const AnyMatrix& m) {
  std::ostringstream out;
  m.save(out);
  return out.str();
}

template <class... Types> struct Loads {
  static AnyMatrix from(const std::string& bytes) {
    std::istringstream in(bytes);
    AnyMatrix m = AnyMatrix::load<Types...>(in);
    EXPECT_EQ(static_cast<std::size_t>(in.tellg()), bytes.size());
    return m;
  }
};
AnyMatrix load(const std::string& bytes) {
  return test::TreeTypes<Loads>::from(bytes);
}

TEST(RandomTrees, MultiplyAsTheirValuesDo) {
  std::mt19937 random(1);
  for (Index n : {0, 1, 16, 17}) {
    for (Index k : {1, 33}) {
      for (int round = 0; round < 24; ++round) {
        const auto tree = test::random_tree(round % 4, n, k, random);
        SCOPED_TRACE(text(n, " x ", k, ' ', round, ' ', tree.matrix.type_name()));
        const Eigen::MatrixXf dense = tree.matrix.dequantize();
        ASSERT_LE(error_in_eps(dense, tree.values, tree.sizes), 64);
        if (n > 0) {
          ASSERT_LT(compare(tree.values, tree.matrix).relative_error, 1e-5);
        }
        const Eigen::MatrixXf x = test::random_inputs(k, round % 2 == 0 ? 1 : 13, static_cast<unsigned>(round));
        ASSERT_NO_FATAL_FAILURE(check(tree, x, x.cast<double>(), random));
        const auto xq = quantize_activations(x);
        ASSERT_NO_FATAL_FAILURE(check(tree, xq, xq.dequantize().cast<double>(), random));
        ASSERT_EQ(load(saved(tree.matrix)), tree.matrix);
      }
    }
  }
}

TEST(RandomTrees, TruncatedAndChangedFiles) {
  std::mt19937 random(2);
  int accepted = 0, rejected = 0;
  for (int round = 0; round < 12; ++round) {
    const auto tree = test::random_tree(2, 5, 19, random);
    SCOPED_TRACE(tree.matrix.type_name());
    const std::string bytes = saved(tree.matrix);
    for (std::size_t size = 0; size < bytes.size(); ++size) ASSERT_THROW(load(bytes.substr(0, size)), IoError) << size;
    for (std::size_t at = 0; at < bytes.size(); ++at) {
      std::string changed = bytes;
      changed[at] = static_cast<char>(changed[at] ^ (1 << random() % 8));
      try {
        const AnyMatrix m = load(changed);
        ASSERT_EQ(saved(m), changed);
        ASSERT_EQ(m.dequantize().rows(), m.rows());
        ++accepted;
      } catch (const IoError& error) {
        ASSERT_LE(error.offset(), bytes.size());
        ++rejected;
      }
    }
  }
  EXPECT_GT(accepted, 1000);
  EXPECT_GT(rejected, 1000);
}

TEST(AnyMatrix, IsAValue) {
  const auto q = test::random_matrix<Int<4>>(3, 40, 1);
  const AnyMatrix any = q, same = q, other = test::random_sparse(3, 40, 1);
  EXPECT_EQ(any, same);
  EXPECT_NE(any, other);
  EXPECT_NE(any, AnyMatrix(test::random_matrix<Int<4>>(3, 40, 2)));
  EXPECT_EQ(*any.get<QuantizedMatrix<Int<4>>>(), q);
  EXPECT_EQ(any.get<Sparse>(), nullptr);
  EXPECT_EQ(any.type_name(), Int<4>::name());
  EXPECT_EQ(any.bytes(), q.bytes());
  EXPECT_EQ(any.bits_per_weight(), q.bits_per_weight());
  EXPECT_EQ(any.dequantize(), q.dequantize());
  EXPECT_EQ(AnyMatrix().rows(), 0);
  EXPECT_EQ(AnyMatrix(), AnyMatrix(Dense()));
  const Eigen::MatrixXf x = test::random_inputs(40, 3, 3);
  EXPECT_EQ(any * x, q * x);
  EXPECT_EQ(any * quantize_activations(x), q * quantize_activations(x));
}

TEST(AnyMatrix, FilesAreThoseOfTheMatrixHeld) {
  const auto q = test::random_matrix<MxFp4>(3, 40, 1);
  std::stringstream stream;
  AnyMatrix(q).save(stream);
  q.save(stream);
  stream << "end";
  EXPECT_EQ(QuantizedMatrix<MxFp4>::load(stream), q);
  EXPECT_EQ((AnyMatrix::load<Int<4>, QuantizedMatrix<MxFp4>>(stream)), AnyMatrix(q));
  std::string rest;
  stream >> rest;
  EXPECT_EQ(rest, "end");
  const auto message = [&](const std::string& bytes) {
    return test::message_of<IoError>([&] {
      std::istringstream in(bytes);
      (void)AnyMatrix::load<Int<4>, Sparse>(in);
    });
  };
  EXPECT_EQ(message(saved(q)), text("<stream>: byte 40: none of the types asked for: ", MxFp4::name()));
  EXPECT_EQ(message(std::string(64, 'x')), "<stream>: byte 0: not a nibble matrix");
  EXPECT_EQ(message("NIBBLEQM"), "<stream>: byte 8: expected a header");
  EXPECT_EQ(message("NIBBLEQM" + std::string(32, '\xff')), "<stream>: byte 12: expected a name of at most 65536 bytes");
}

TEST(AnyMatrix, FilesAreOfBoundedDepth) {
  const auto nested = [](int depth) {
    AnyMatrix m = test::random_sparse(2, 3, 1);
    for (int i = 0; i < depth; ++i) m = Scaled(m, {}, {});
    return m;
  };
  // Each level counts twice: the Scaled and the AnyMatrix in it.
  EXPECT_EQ(load(saved(nested(31))), nested(31));
  EXPECT_NE(test::message_of<IoError>([&] { load(saved(nested(100))); }).find("at most 64 matrices inside each other"),
            std::string::npos);
}

}  // namespace
}  // namespace nibble
