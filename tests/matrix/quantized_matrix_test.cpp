// QuantizedMatrix: what goes in comes out, at any size, and bad parts do not go in.
#include "nibble/matrix/quantized_matrix.h"

#include "matrix/schemes.h"

namespace nibble {
namespace {

template <class S> class Matrix : public testing::Test {};
TYPED_TEST_SUITE(Matrix, test::EveryKind);

TYPED_TEST(Matrix, HoldsItsParts) {
  using S = TypeParam;
  for (const auto& [n, k] : test::awkward_shapes) {
    SCOPED_TRACE(text(S::name(), ", ", n, " x ", k));
    const Parts<S> parts = test::random_parts<S>(n, k, 1);
    const QuantizedMatrix<S> q(parts);
    EXPECT_EQ(q.rows(), n);
    EXPECT_EQ(q.cols(), k);
    EXPECT_EQ(q.codes(), parts.codes);
    const Parts<S> out = q.parts();
    EXPECT_EQ(out.rows, n);
    EXPECT_EQ(out.cols, k);
    EXPECT_EQ(out.codes, parts.codes);
    EXPECT_EQ(out.scales, parts.scales);
    EXPECT_EQ(out.zeros, parts.zeros);
    EXPECT_EQ(out.tables, parts.tables);
    EXPECT_EQ(QuantizedMatrix<S>(out), q);
    for (Index i = 0; i < n; ++i) {
      for (Index g = 0; k > 0 && g < parts.scales.cols(); ++g) {
        const Index row = std::same_as<typename S::group, PerTensor> ? 0 : i;
        ASSERT_EQ(q.group(i, g).scale_code, parts.scales(row, g));
        if (S::affine) {
          ASSERT_EQ(q.group(i, g).zero_code, parts.zeros(row, g));
        }
      }
    }
  }
}

// A weight is (value of its code - zero) * scale.
TYPED_TEST(Matrix, WeightsFollowTheFormula) {
  using S = TypeParam;
  using F = typename S::format;
  for (const auto& [n, k] : test::awkward_shapes) {
    SCOPED_TRACE(text(S::name(), ", ", n, " x ", k));
    const Parts<S> parts = test::random_parts<S>(n, k, 2);
    const QuantizedMatrix<S> q(parts);
    const Eigen::MatrixXf dense = q.dequantize();
    ASSERT_EQ(dense.rows(), n);
    ASSERT_EQ(dense.cols(), k);
    for (Index i = 0; i < n; ++i) {
      for (Index j = 0; j < k; ++j) {
        const auto code = parts.codes(i, j / S::dim);
        double value;
        if constexpr (S::table_size > 0)
          value = static_cast<double>(parts.tables(i, code));
        else if constexpr (S::dim > 1)
          value = static_cast<double>(F::decode(code)[static_cast<std::size_t>(j % S::dim)]);
        else
          value = static_cast<double>(F::decode(code));
        const auto p = q.group(i, S::group_inputs == 0 ? 0 : j / S::group_inputs);
        const double expected = (value - static_cast<double>(p.zero)) * static_cast<double>(p.scale);
        ASSERT_EQ(q.at(i, j), static_cast<float>(expected)) << i << ", " << j;
        ASSERT_EQ(dense(i, j), q.at(i, j));
      }
    }
  }
}

TYPED_TEST(Matrix, GroupsDecodeTheirScales) {
  using S = TypeParam;
  const Parts<S> parts = test::random_parts<S>(19, 50, 3);
  const QuantizedMatrix<S> q(parts);
  for (Index i = 0; i < 19; ++i) {
    for (Index g = 0; g < parts.scales.cols(); ++g) {
      const auto p = q.group(i, g);
      const auto same = parts.group(i, g);
      EXPECT_EQ(p.scale, same.scale);
      EXPECT_EQ(p.zero, S::affine ? static_cast<float>(p.zero_code) : 0);
    }
  }
}

TYPED_TEST(Matrix, IsAValue) {
  using S = TypeParam;
  const QuantizedMatrix<S> a(test::random_parts<S>(17, 40, 4));
  QuantizedMatrix<S> b = a;
  EXPECT_EQ(b, a);
  EXPECT_EQ(b.plane(0), a.plane(0));  // shared
  const QuantizedMatrix<S> c = std::move(b);
  EXPECT_EQ(c, a);
  b = QuantizedMatrix<S>();
  EXPECT_EQ(b.rows(), 0);
  EXPECT_EQ(b.cols(), 0);
  EXPECT_EQ(QuantizedMatrix<S>(), b);
  EXPECT_FALSE(a == b);
}

TYPED_TEST(Matrix, ComparesAllParts) {
  using S = TypeParam;
  const Parts<S> parts = test::random_parts<S>(17, 40, 5);
  const QuantizedMatrix<S> q(parts);
  EXPECT_EQ(QuantizedMatrix<S>(parts), q);
  const auto differs = [&](auto&& change) {
    Parts<S> other = parts;
    change(other);
    return !(QuantizedMatrix<S>(other) == q);
  };
  EXPECT_TRUE(differs([](Parts<S>& p) { p.codes(16, 3) = p.codes(16, 3) == 0 ? 1 : 0; }));
  EXPECT_TRUE(differs([](Parts<S>& p) { p.scales(p.scales.rows() - 1, 0) = S::scale::format::encode(4.0f); }));
  if constexpr (S::affine) {
    EXPECT_TRUE(differs([](Parts<S>& p) { p.zeros(0, 0) = p.zeros(0, 0) == 0 ? 1 : 0; }));
  }
  if constexpr (S::table_size > 0) {
    EXPECT_TRUE(differs([](Parts<S>& p) { p.tables(3, 2) = 9; }));
  }
  EXPECT_FALSE(QuantizedMatrix<S>(test::random_parts<S>(17, 41, 5)) == q);
}

template <class F> std::string message(F&& f) {
  try {
    f();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "nothing thrown";
}

TYPED_TEST(Matrix, RejectsPartsThatDoNotFit) {
  using S = TypeParam;
  const Parts<S> parts = test::random_parts<S>(17, 40, 6);
  const auto with = [&](auto&& change) {
    Parts<S> other = parts;
    change(other);
    return message([&] { QuantizedMatrix<S>{other}; });
  };
  const std::string expected = "nibble::QuantizedMatrix: expected ";
  EXPECT_EQ(with([](auto&) {}), "nothing thrown");
  const Index codes = parts.codes.cols();
  EXPECT_EQ(with([&](auto& p) { p.codes.setZero(17, codes + 1); }),
            expected + text("codes of N x ceil(K / dim), got 17 x ", codes + 1));
  EXPECT_EQ(with([&](auto& p) { p.codes.setZero(16, codes); }),
            expected + text("codes of N x ceil(K / dim), got 16 x ", codes));
  EXPECT_EQ(with([](auto& p) { p.scales.setZero(3, 99); }), expected + "scales of N x groups, got 3 x 99");
  EXPECT_EQ(with([](auto& p) { p.zeros.setZero(3, 99); }),
            expected + "zero points of the shape of the scales, got 3 x 99");
  EXPECT_EQ(with([](auto& p) { p.rows = -1; }), expected + "sizes of at least 0, got -1 x 40");
  EXPECT_EQ(with([](auto& p) { p.cols = -2; }), expected + "sizes of at least 0, got 17 x -2");
  EXPECT_NE(with([](auto& p) { p.tables.setZero(17, 99); }), "nothing thrown");
  if constexpr (S::format::bits % 8 != 0) {
    constexpr std::uint32_t beyond = code_count<typename S::format>;
    EXPECT_EQ(with([](auto& p) { p.codes(2, 1) = static_cast<typename S::code_type>(beyond); }),
              expected + text("codes below 2^bits, got ", beyond));
    if constexpr (S::affine) {
      EXPECT_EQ(with([](auto& p) { p.zeros(0, 0) = static_cast<std::uint8_t>(beyond); }),
                expected + text("zero points below 2^bits, got ", beyond));
    }
  }
  if constexpr (std::same_as<typename S::scale::format, formats::Float32>) {
    EXPECT_EQ(with([](auto& p) { p.scales(0, 0) = 0x7f800000; }), expected + "finite scales, got inf");
    EXPECT_EQ(with([](auto& p) { p.scales(0, 0) = 0x7fc00000; }), expected + "finite scales, got nan");
  } else {
    constexpr auto nan = S::scale::format::encode(std::numeric_limits<float>::quiet_NaN());
    EXPECT_EQ(with([](auto& p) { p.scales(0, 0) = nan; }), expected + "finite scales, got nan");
  }
}

TYPED_TEST(Matrix, AtChecksItsIndices) {
  const QuantizedMatrix<TypeParam> q(test::random_parts<TypeParam>(3, 4, 7));
  const auto at = [&](Index i, Index j) { return message([&] { q.at(i, j); }); };
  for (const auto& [i, j] : {std::pair(-1, 0), {0, -1}, {3, 0}, {0, 4}})
    EXPECT_EQ(at(i, j), text("nibble::QuantizedMatrix::at: expected an index inside 3 x 4, got (", i, ", ", j, ")"));
}

template <class S> double bits(Index n, Index k) {
  return QuantizedMatrix<S>(Parts<S>(n, k)).bits_per_weight();
}

TEST(BitsPerWeight, ClosedForm) {
  EXPECT_DOUBLE_EQ((bits<Int<4, Group<32>>>(64, 128)), 5);
  EXPECT_DOUBLE_EQ((bits<Int<4, Group<128>, StoredScale<formats::Half>>>(64, 128)), 4.125);
  EXPECT_DOUBLE_EQ((bits<UInt<4, Group<32>, StoredScale<formats::Half>>>(64, 128)), 4.75);
  EXPECT_DOUBLE_EQ((bits<MxFp4>(5, 320)), 4.25);
  EXPECT_DOUBLE_EQ((bits<NvFp4>(16, 64)), 4.5 + 32.0 / (16 * 64));
  EXPECT_DOUBLE_EQ((bits<Int<8>>(7, 100)), 8 + 32.0 / 100);
  EXPECT_DOUBLE_EQ((bits<UInt<3>>(7, 100)), 3 + 40.0 / 100);
  EXPECT_DOUBLE_EQ((bits<Int<8, PerTensor>>(10, 100)), 8 + 32.0 / 1000);
  EXPECT_DOUBLE_EQ((bits<Int<4, Group<32>>>(3, 33)), 4 + 64.0 / 33);        // a group of one
  EXPECT_DOUBLE_EQ((bits<Scheme<test::Grid>>(10, 100)), 2.5 + 32.0 / 100);  // two inputs to a code
  EXPECT_DOUBLE_EQ((bits<Scheme<test::Grid>>(1, 3)), (10.0 + 32.0) / 3);    // the last one half empty
  EXPECT_DOUBLE_EQ((bits<Scheme<test::Quantiles>>(10, 100)), 2 + 32.0 / 100 + 4 * 32.0 / 100);
  EXPECT_DOUBLE_EQ((bits<Int<4>>(0, 7)), 0);
  EXPECT_DOUBLE_EQ((bits<Int<4>>(7, 0)), 0);
}

// 16 x 8 codes of 4 bits are 64 bytes; 16 float scales are 64 more.
TEST(Bytes, CountPadding) {
  EXPECT_EQ((QuantizedMatrix<Int<4>>(Parts<Int<4>>(16, 8)).bytes()), 128);
  EXPECT_EQ((QuantizedMatrix<Int<4>>(Parts<Int<4>>(1, 1)).bytes()), 128);
  EXPECT_EQ((QuantizedMatrix<Int<4>>(Parts<Int<4>>(17, 9)).bytes()), 2 * (2 * 64 + 64));
  EXPECT_EQ((QuantizedMatrix<Int<4>>().bytes()), 0);
}

}  // namespace
}  // namespace nibble
