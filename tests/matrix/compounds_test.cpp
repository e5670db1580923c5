// What compounds, sparse matrices and matrices of floats are apart from their products: values, sizes, files.
#include <gtest/gtest.h>

#include <sstream>

#include "matrix/schemes.h"
#include "message_of.h"

namespace nibble {
namespace {

using Four = Int<4, Group<16>>;

QuantizedMatrix<Four> four(Index n, Index k, std::uint64_t seed = 1) {
  return QuantizedMatrix<Four>(test::random_parts<Four>(n, k, seed));
}

Sparse sparse(Index n, Index k) {
  Sparse::Matrix m(n, k);
  for (Index i = 0; i < n; ++i)
    for (Index j = i % 3; j < k; j += 5) m.insert(i, j) = static_cast<float>(i + 1) / static_cast<float>(j + 2);
  return Sparse(m);
}

Eigen::MatrixXf floats(Index n, Index k) {
  return Eigen::MatrixXf::NullaryExpr(n, k,
                                      [](Index i, Index j) { return std::sin(static_cast<float>(3 * i + 7 * j + 1)); });
}

template <class M> std::string saved(const M& m) {
  std::ostringstream out;
  m.save(out);
  return out.str();
}

template <class M> M load(const std::string& bytes) {
  std::istringstream in(bytes);
  return M::load(in);
}

template <class M> void check_file(const M& m) {
  static_assert(LowBitMatrix<M>);
  SCOPED_TRACE(text(matrix_name<M>(), ' ', m.rows(), " x ", m.cols()));
  const std::string bytes = saved(m);
  EXPECT_EQ(bytes.size() % 64, 0U);
  const M back = load<M>(bytes);
  EXPECT_EQ(back, m);
  EXPECT_EQ(back.dequantize(), m.dequantize());
  EXPECT_EQ(saved(back), bytes);
  for (std::size_t size = 0; size < bytes.size(); size += 7)
    ASSERT_THROW(load<M>(bytes.substr(0, size)), IoError) << size;
}

TEST(Compounds, RoundTrips) {
  for (const auto& [n, k] : test::awkward_shapes) {
    if (n * k > 1000) continue;
    check_file(sparse(n, k));
    check_file(Dense(floats(n, k)));
    check_file(Sum(four(n, k), sparse(n, k)));
    check_file(Scaled(four(n, k), floats(n, 1), {}));
    check_file(RowSplit(four(n, k), four(3, k)));
    check_file(ColumnSplit(four(n, k), sparse(n, 2)));
    check_file(Permuted(four(n, k), {}, Eigen::VectorXi::LinSpaced(k, static_cast<int>(k) - 1, 0)));
    check_file(LowRank(floats(n, 3), floats(3, k)));
    check_file(
        Sum(Permuted(RowSplit(four(n, k), sparse(2, k)), {}, {}), LowRank(Dense(floats(n + 2, 0)), sparse(0, k))));
  }
  check_file(Sum<Sparse, Scaled<Dense>>());
}

TEST(Compounds, Values) {
  const Eigen::MatrixXf a = four(3, 20).dequantize(), s = sparse(3, 20).dequantize(), f = floats(3, 2);
  EXPECT_EQ(Dense(floats(5, 7)).dequantize(), floats(5, 7));
  EXPECT_EQ(Dense(floats(5, 7).cast<double>().transpose()).dequantize(), floats(5, 7).transpose());
  EXPECT_EQ(Sum(four(3, 20), sparse(3, 20)).dequantize(), a + s);
  const Eigen::VectorXf left = floats(3, 1), right = floats(20, 1);
  EXPECT_EQ(Scaled(four(3, 20), left, right).dequantize(),
            ((left.asDiagonal() * a).eval() * right.asDiagonal()).eval());
  EXPECT_EQ(Scaled(four(3, 20), {}, {}).dequantize(), a);
  Eigen::MatrixXf rows(6, 20), columns(3, 22);
  rows << a, s;
  columns << a, f;
  EXPECT_EQ(RowSplit(four(3, 20), sparse(3, 20)).dequantize(), rows);
  EXPECT_EQ(ColumnSplit(four(3, 20), Dense(f)).dequantize(), columns);
  EXPECT_EQ(LowRank(floats(3, 2), floats(2, 4)).dequantize(), floats(3, 2) * floats(2, 4));
  // Row 0 of A is row 2 of W, column 0 of A is input 1.
  const Permuted p(Dense(floats(3, 2)), Eigen::Vector3i(2, 0, 1), Eigen::Vector2i(1, 0));
  Eigen::MatrixXf w(3, 2);
  w.row(2) << f(0, 1), f(0, 0);
  w.row(0) << f(1, 1), f(1, 0);
  w.row(1) << f(2, 1), f(2, 0);
  EXPECT_EQ(p.dequantize(), w);
}

TEST(Compounds, Sizes) {
  const auto q = four(3, 40);
  const Sum sum(q, sparse(3, 40));
  EXPECT_DOUBLE_EQ(sum.bits_per_weight(), q.bits_per_weight() + sparse(3, 40).bits_per_weight());
  EXPECT_EQ(sum.bytes(), q.bytes() + sparse(3, 40).bytes());
  EXPECT_EQ(sparse(3, 40).bytes(), 24 * 8 + 4 * 4);
  const Scaled scaled(q, floats(3, 1), floats(40, 1));
  EXPECT_DOUBLE_EQ(scaled.bits_per_weight(), q.bits_per_weight() + 43 * 32 / 120.0);
  EXPECT_EQ(scaled.bytes(), q.bytes() + 43 * 4);
  EXPECT_DOUBLE_EQ(ColumnSplit(q, Dense(floats(3, 10))).bits_per_weight(), (40 * q.bits_per_weight() + 10 * 32) / 50);
  EXPECT_DOUBLE_EQ(LowRank(floats(3, 2), floats(2, 40)).bits_per_weight(), 32 * 86 / 120.0);
  EXPECT_EQ(Dense(floats(3, 10)).bytes(), 16 * 12 * 4);
  EXPECT_EQ(Sum(sparse(0, 3), sparse(0, 3)).bits_per_weight(), 0);
  EXPECT_EQ(sum.name(), text("Sum(", Four::name(), ", Sparse)"));
  EXPECT_EQ(Scaled(sum, {}, {}).name(), text("Scaled(", sum.name(), ')'));
}

TEST(Compounds, Equality) {
  const Scaled a(four(3, 20), floats(3, 1), {});
  EXPECT_EQ(a, Scaled(four(3, 20), floats(3, 1), {}));
  EXPECT_NE(a, Scaled(four(3, 20, 2), floats(3, 1), {}));
  EXPECT_NE(a, Scaled(four(3, 20), Eigen::VectorXf::Ones(3), {}));
  EXPECT_NE(a, Scaled(four(3, 20), {}, {}));
  EXPECT_NE(sparse(3, 4), sparse(3, 5));
  EXPECT_NE(sparse(3, 4), Sparse(Sparse::Matrix(sparse(3, 4).matrix() * 2)));
  EXPECT_NE(Dense(floats(3, 4)), Dense(floats(4, 3)));
}

TEST(Compounds, SparseCountsItsBits) {
  Eigen::SparseMatrix<float> columns(4, 100);  // column-major comes in too
  columns.insert(2, 7) = 3;
  columns.insert(0, 99) = -1;
  const Sparse few{Sparse::Matrix(columns)};
  EXPECT_DOUBLE_EQ(few.bits_per_weight(), (2 * 48 + 4 * 32) / 400.0);
  EXPECT_EQ(few.dequantize()(2, 7), 3);
  EXPECT_EQ(few.dequantize().cwiseAbs().sum(), 4);
  Sparse::Matrix wide(1, 65537);
  wide.insert(0, 65536) = 1;
  EXPECT_DOUBLE_EQ(Sparse(wide).bits_per_weight(), (64 + 32) / 65537.0);
  EXPECT_EQ(Sparse().bits_per_weight(), 0);
  EXPECT_EQ(Sparse().dequantize().size(), 0);
}

TEST(Compounds, RejectPartsThatDoNotFit) {
  const auto message = [](auto&& call) { return test::message_of(call); };
  EXPECT_EQ(message([] { Sum(four(3, 40), sparse(3, 41)); }),
            "nibble::Sum: expected two matrices of 3 x 40, got 3 x 41");
  EXPECT_EQ(message([] { RowSplit(four(3, 40), sparse(3, 41)); }),
            "nibble::RowSplit: expected two matrices of 40 columns, got 3 x 41");
  EXPECT_EQ(message([] { ColumnSplit(four(3, 40), sparse(4, 40)); }),
            "nibble::ColumnSplit: expected two matrices of 3 rows, got 4 x 40");
  EXPECT_EQ(message([] { LowRank(floats(3, 2), floats(1, 4)); }),
            "nibble::LowRank: expected V with the 2 rows that U has columns, got 1 x 4");
  EXPECT_EQ(message([] { Scaled(four(3, 40), floats(4, 1), {}); }),
            "nibble::Scaled: expected a scale for each of 3 rows, or none, got 4");
  EXPECT_EQ(message([] { Scaled(four(3, 40), {}, floats(3, 1)); }),
            "nibble::Scaled: expected a scale for each of 40 columns, or none, got 3");
  EXPECT_EQ(message([] { Scaled(four(1, 4), Eigen::VectorXf::Constant(1, std::nanf("")), {}); }),
            "nibble::Scaled: expected finite scales, got a NaN or an infinity");
  EXPECT_EQ(message([] { Permuted(four(3, 4), Eigen::Vector2i(0, 1), {}); }),
            "nibble::Permuted: expected an order of 3 rows, or none, got 2");
  EXPECT_EQ(message([] { Permuted(four(3, 4), Eigen::Vector3i(0, 2, 2), {}); }),
            "nibble::Permuted: expected each of 3 rows once, got 2 twice");
  EXPECT_EQ(message([] { Permuted(four(3, 2), {}, Eigen::Vector2i(0, -1)); }),
            "nibble::Permuted: expected each of 2 columns once, got -1");
  EXPECT_EQ(message([] { Permuted(four(3, 2), {}, Eigen::Vector2i(0, 2)); }),
            "nibble::Permuted: expected each of 2 columns once, got 2");
  EXPECT_EQ(message([] { Dense(Eigen::MatrixXf::Constant(1, 1, std::nanf(""))); }),
            "nibble::Dense: expected finite weights, got nan");
  EXPECT_EQ(message([] { Dense(Eigen::MatrixXd::Constant(1, 1, 1e300)); }),
            "nibble::Dense: expected finite weights, got inf");
  EXPECT_EQ(message([] { Sparse(Sparse::Matrix(sparse(2, 2).matrix() * std::numeric_limits<float>::infinity())); }),
            "nibble::Sparse: expected finite weights, got inf");
}

// Not inlined: GCC 12 takes these strings for short ones and warns.
[[gnu::noinline]] void put(std::string& bytes, std::size_t at, const char* value, std::size_t size) {
  std::copy(value, value + size, bytes.begin() + static_cast<std::ptrdiff_t>(at));
}

template <class T> std::string with(std::string bytes, std::size_t at, T value) {
  put(bytes, at, reinterpret_cast<const char*>(&value), sizeof value);
  return bytes;
}

template <class M> std::string fault(const std::string& bytes) {
  return test::message_of<IoError>([&] { load<M>(bytes); });
}

TEST(SavedCompounds, SayWhatIsWrongAndWhere) {
  const Sum sum(sparse(3, 8), four(3, 8));
  using M = std::decay_t<decltype(sum)>;
  const std::string good = saved(sum), one = saved(sparse(3, 8));
  const std::size_t head = 128, second = head + one.size();
  ASSERT_EQ(good.size(), second + saved(four(3, 8)).size());
  EXPECT_EQ(fault<M>(good), "");
  EXPECT_EQ(fault<M>(with(good, 3, 'x')), "<stream>: byte 3: not a nibble matrix");
  EXPECT_EQ(fault<M>(with(good, 8, 2)), "<stream>: byte 8: not version 1");
  EXPECT_EQ(fault<M>(with(good, 42, 'x')), text("<stream>: byte 42: not a matrix of type ", M::name()));
  EXPECT_EQ(fault<M>(with(good, 16, Index{4})), "<stream>: byte 16: expected sizes that fit what follows");
  EXPECT_EQ(fault<M>(with(good, head + 41, 'x')), "<stream>: byte 169: not a matrix of type Sparse");
  EXPECT_EQ(fault<M>(with(good, second + 41, 'x')),
            text("<stream>: byte ", second + 41, ": not a matrix of scheme ", Four::name()));
  EXPECT_EQ(fault<M>(good.substr(0, second + 70)),
            text("<stream>: byte ", second + 70, ": expected ", four(3, 8).bytes(), " bytes of matrix, got 6"));
  EXPECT_EQ(fault<M>(good.substr(0, 264)), "<stream>: byte 264: expected 12 bytes of an array, got 8");
  EXPECT_EQ(fault<Sparse>(saved(sum)), "<stream>: byte 12: not a matrix of type Sparse");
}

// Header, block of a size, ends of rows, block, columns, block, values: 64 bytes each.
TEST(SavedCompounds, SparseMatricesThatAreNone) {
  Sparse::Matrix m(2, 9);
  m.insert(0, 3) = 1;
  m.insert(0, 7) = 2;
  m.insert(1, 0) = 3;
  const std::string good = saved(Sparse(m));
  ASSERT_EQ(good.size(), 64U * 7);
  const auto reason = [&](std::size_t at, auto value) { return fault<Sparse>(with(good, at, value)); };
  const std::string ends =
      "<stream>: byte 0: nibble::Sparse: expected ends of rows in ascending order, the last at the last "
      "value, got others";
  EXPECT_EQ(reason(128, -1), ends);
  EXPECT_EQ(reason(128, 4), ends);
  EXPECT_EQ(reason(132, 4), ends);
  const std::string columns =
      "<stream>: byte 0: nibble::Sparse: expected columns of a row in ascending order, below K, got ";
  EXPECT_EQ(reason(256, -1), columns + "-1");
  EXPECT_EQ(reason(256, 7), columns + "7");
  EXPECT_EQ(reason(260, 9), columns + "9");
  EXPECT_EQ(reason(384, std::nanf("")), "<stream>: byte 0: nibble::Sparse: expected finite weights, got nan");
  EXPECT_EQ(reason(16, Index{3}), "<stream>: byte 0: nibble::Sparse: expected an end of each row, got 2");
  EXPECT_EQ(reason(24, Index{1} << 33),
            "<stream>: byte 0: nibble::Sparse: expected sizes that fit 32 bits, got 2 x 8589934592");
  EXPECT_EQ(reason(72, 'x'), "<stream>: byte 72: expected zeros");
  EXPECT_EQ(reason(136, 'x'), "<stream>: byte 136: expected zeros");
}

// Sizes that are claimed and do not come: were memory taken for them, std::bad_alloc would come out.
TEST(SavedCompounds, TakeNoMemoryOnTheWordOfAFile) {
  const std::string dense = saved(Dense(floats(3, 4)));
  EXPECT_EQ(fault<Dense>(with(dense, 64, Index{1} << 43)),
            "<stream>: byte 192: expected 4194304 bytes of an array, got 64");
  EXPECT_EQ(fault<Dense>(with(dense, 64, ~Index{0})),
            "<stream>: byte 64: expected an array that fits memory, got 18446744073709551615");
  for (const auto& [n, k] :
       {std::pair(Index{1} << 42, Index{4}), {-3, -4}, {12, 2}, {0, 4}, {Index{3} << 62, Index{4}}})
    EXPECT_EQ(fault<Dense>(with(with(dense, 16, n), 24, k)),
              text("<stream>: byte 0: nibble::Dense: expected ", n, " x ", k, " weights, got 12"));
}

TEST(SavedCompounds, StreamsThatTakeNothing) {
  std::ostringstream out;
  out.setstate(std::ios::badbit);
  EXPECT_EQ(test::message_of<IoError>([&] { sparse(2, 3).save(out); }), "<stream>: byte 0: cannot write a matrix");
  EXPECT_THROW(Sum(sparse(2, 3), sparse(2, 3)).save(out), IoError);
  EXPECT_THROW(Dense(floats(2, 3)).save(out), IoError);
}

}  // namespace
}  // namespace nibble
