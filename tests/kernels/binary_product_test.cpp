// Products over bits: portable against double precision, every instruction set bit for bit against portable.
#include <gtest/gtest.h>

#include <cstring>

#include "kernels/guard_pages.h"
#include "kernels/random_operands.h"
#include "message_of.h"
#include "oracle/products.h"

namespace nibble {
namespace {

#if defined __x86_64__
TEST(BinaryProduct, CountsByVpopcnt) {
  if (!isa::Avx512::available() || !__builtin_cpu_supports("avx512vpopcntdq"))
    GTEST_SKIP() << "this CPU has no AVX-512 VPOPCNTDQ: the AVX-512 kernels of products over bits are not tested";
}
#endif

template <class S, class A> void check(Index n, Index k, Index m) {
  SCOPED_TRACE(text(S::name(), " x ", A::name(), ": ", n, " x ", k, " x ", m));
  const auto w = test::random_matrix<S>(n, k, 1);
  const auto x = quantize_bit_activations<A>(test::random_inputs(k, m, 2));
  Eigen::MatrixXf expected(n, m);
  gemm(w, x, expected, {.isa = Isa::Portable});
  // The roundings: of each integer, scale product and step, then of the factor and its product.
  const double bound = static_cast<double>(k) / 16 + 6;
  ASSERT_LE(
      oracle::error_in_eps(expected, w.dequantize().template cast<double>(), x.dequantize().template cast<double>()),
      bound);
  for (Isa isa : available_isas()) {
    Eigen::MatrixXf y = Eigen::MatrixXf::Constant(n, m, -77);
    gemm(w, x, y, {.isa = isa});
    ASSERT_EQ(y, expected) << name(isa);
  }
}

template <class S, class A> struct Case {
  using Weights = S;
  using Activations = A;
};
template <class C> class BinaryProduct : public testing::Test {
 protected:
  void check(Index n, Index k, Index m) { nibble::check<typename C::Weights, typename C::Activations>(n, k, m); }
};
using Cases = testing::Types<
    // Signs by signs, ternary by ternary, both with groups of each kind.
    Case<Binary<>, Binary<>>, Case<Binary<Group<32>>, Binary<Group<32>>>, Case<Binary<Group<64>>, Binary<Group<96>>>,
    Case<Binary<PerTensor, formats::E8M0>, Bipolar<1>>, Case<Ternary<>, Ternary<PerRow>>,
    Case<Ternary<Group<32>>, Ternary<Group<64>>>,
    // Offsets and zero points on either side and on both.
    Case<Int<4>, Binary<>>, Case<UInt<2, Group<32>>, Bipolar<3>>, Case<Binary<>, UInt<2>>,
    Case<UInt<3, Group<64>>, UInt<2, Group<32>>>, Case<UInt<1, PerTensor>, UInt<1>>, Case<Ternary<>, Int<2>>,
    // Values that are no line over their codes; super-scales.
    Case<MxFp4, Bipolar<2>>, Case<MxFp4, Int<4>>, Case<SuperBlock<4>, Int<8>>>;
TYPED_TEST_SUITE(BinaryProduct, Cases);

TYPED_TEST(BinaryProduct, Shapes) {
  for (Index n : {1, 15, 16, 17, 37})
    for (Index k : {1, 31, 32, 33, 100, 257})
      for (Index m : {1, 3, 12, 25}) this->check(n, k, m);
}

TYPED_TEST(BinaryProduct, EveryTileWidth) {
  for (Index m = 1; m <= 13; ++m) this->check(16, 132, m);
}

TYPED_TEST(BinaryProduct, EveryDepth) {
  for (Index k = 1; k <= 70; ++k) this->check(16, k, 2);
}

// Runs of 31 words, the most whose counts fit a byte.
TYPED_TEST(BinaryProduct, DeepSums) {
  for (Index k : {30 * 32, 31 * 32, 32 * 32, 63 * 32 + 5}) this->check(16, k, 3);
}

// Integers of any width by integers of any width, to the last bit: all values are integers below 2^24.
template <class S, class A> void check_exact() {
  const Index n = 17, k = 77, m = 3;
  Parts<S> parts = test::random_matrix<S>(n, k, 5).parts();
  for (Index i = 0; i < parts.scales.size(); ++i) parts.scales.data()[i] = S::scale::format::encode(1.0f);
  const QuantizedMatrix<S> w(parts);
  const auto quantized = quantize_bit_activations<A>(test::random_inputs(k, m, 6));
  Eigen::MatrixXd values(k, m);
  for (Index c = 0; c < m; ++c)
    for (Index i = 0; i < k; ++i) values(i, c) = quantized.integer(i, c) - quantized.zero(0, c);
  const Eigen::MatrixXd sums = oracle::product(w.dequantize().template cast<double>(), values);
  for (Isa isa : available_isas()) {
    Eigen::MatrixXf y(n, m);
    gemm(w, quantized, y, {.isa = isa});
    for (Index c = 0; c < m; ++c)
      for (Index r = 0; r < n; ++r)
        ASSERT_EQ(y(r, c), static_cast<float>(sums(r, c)) * quantized.scale(0, c))
            << S::name() << " x " << A::name() << ' ' << name(isa);
  }
}

TEST(BitWidths, ProductsAreExact) {
  check_exact<Bipolar<3>, Bipolar<8>>();
  check_exact<Bipolar<8>, Bipolar<8>>();
  check_exact<Int<5>, Bipolar<4>>();
  check_exact<UInt<8>, UInt<3>>();
  check_exact<UInt<6>, Int<7>>();
  check_exact<Int<8>, Int<8>>();
}

/// The value of the bits of a place.
int integer(const std::uint32_t* words, std::ptrdiff_t stride, int bits, int place, bool is_signed) {
  int value = 0;
  for (int i = 0; i < bits; ++i)
    if ((words[i * stride] >> place & 1u) != 0) value += is_signed && i == bits - 1 ? -(1 << i) : 1 << i;
  return value;
}

template <kernels::BitOp Op> void check_counts(int w_bits, int x_bits, bool is_signed, Index words, int columns) {
  std::mt19937 random(static_cast<unsigned>(8 * w_bits + x_bits));
  AlignedArray<std::uint32_t> w(static_cast<std::size_t>(w_bits * words * 16));
  AlignedArray<std::uint32_t> x(static_cast<std::size_t>(x_bits * words * columns));
  // A quarter of the words are full: the sums of bytes come to their ends.
  for (std::size_t i = 0; i < w.size(); ++i) w[i] = random() % 4 == 0 ? ~0u : static_cast<std::uint32_t>(random());
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = random() % 4 == 0 ? ~0u : static_cast<std::uint32_t>(random());
  std::vector<std::int32_t> expected(static_cast<std::size_t>(16 * columns)), counts(expected.size());
  for (int c = 0; c < columns; ++c) {
    for (int r = 0; r < 16; ++r) {
      int sum = 0;
      for (Index k = 0; k < words; ++k) {
        for (int place = 0; place < 32; ++place) {
          int a = integer(&w[static_cast<std::size_t>(16 * k + r)], 16 * words, w_bits, place, false);
          int b = integer(&x[static_cast<std::size_t>(k * x_bits * columns + c)], columns, x_bits, place, is_signed);
          const int tops = ((1 << w_bits) - 1) * ((1 << x_bits) - 1);
          // Of signs, 2^(i + j) (1 - 2 (w_i ^ x_j)) add up to the product.
          if (Op == kernels::BitOp::Xor)
            sum += (tops - (2 * a - (1 << w_bits) + 1) * (2 * b - (1 << x_bits) + 1)) / 2;
          else
            sum += a * b;
        }
      }
      expected[static_cast<std::size_t>(16 * c + r)] = sum;
    }
  }
  kernels::BinaryTile tile;
  for (int i = 0; i < w_bits; ++i) tile.w[static_cast<std::size_t>(i)] = w.data() + i * words * 16;
  tile.x = x.data();
  tile.w_bits = w_bits;
  tile.x_bits = x_bits;
  tile.x_signed = is_signed;
  tile.words = words;
  tile.counts = counts.data();
  for (Isa isa : available_isas()) {
    std::fill(counts.begin(), counts.end(), -1);
    dispatch(isa, [&](auto tag) { kernels::BinaryCount<decltype(tag), Op>::run(tile, columns); });
    ASSERT_EQ(counts, expected) << w_bits << " x " << x_bits << ' ' << is_signed << ' ' << name(isa);
  }
}

TEST(BitWidths, AllFrom1To8BitsBy1To8Bits) {
  for (int w_bits = 1; w_bits <= 8; ++w_bits) {
    for (int x_bits = 1; x_bits <= 8; ++x_bits) {
      for (const auto& [words, columns] : {std::pair(1, 12), {2, 5}, {33, 3}}) {
        check_counts<kernels::BitOp::Xor>(w_bits, x_bits, false, words, columns);
        check_counts<kernels::BitOp::And>(w_bits, x_bits, false, words, columns);
        check_counts<kernels::BitOp::And>(w_bits, x_bits, true, words, columns);
      }
    }
  }
}

// Formats that are no integers times a unit multiply in floats.
TEST(BinaryProductFallback, RunsInFloats) {
  const auto w = test::random_matrix<Nf4<32>>(17, 70, 1);
  const auto x = quantize_bit_activations(test::random_inputs(70, 5, 2));
  EXPECT_EQ(w * x, w * x.dequantize());
}

// Every weight and every activation at its end: sums pass 2^31 unless K is cut.
template <class S, class A> void check_extremes(Index k, std::uint8_t code, std::uint8_t zero, float sign) {
  Parts<S> parts(16, k);
  parts.codes.setConstant(code);
  for (Index i = 0; i < parts.scales.size(); ++i) parts.scales.data()[i] = S::scale::format::encode(1.0f);
  parts.zeros.setConstant(zero);
  const QuantizedMatrix<S> w(parts);
  const auto x = quantize_bit_activations<A>(Eigen::MatrixXf::Constant(k, 2, sign));
  const double exact = static_cast<double>(w.at(0, 0)) * static_cast<double>(x.at(0, 0)) * static_cast<double>(k);
  for (Isa isa : available_isas()) {
    Eigen::MatrixXf y(16, 2);
    gemm(w, x, y, {.isa = isa});
    EXPECT_LE((y.cast<double>().array() / exact - 1).abs().maxCoeff(), 1e-6)
        << S::name() << " x " << A::name() << ' ' << name(isa) << ' ' << y(0, 0);
  }
}

TEST(BinaryProductExtremes, DoNotOverflow) {
  for (Index k : {32, 4096, 32768, 32800, 140000}) {
    for (float sign : {1.0f, -1.0f}) {
      check_extremes<Bipolar<8>, Bipolar<8>>(k, 0, 0, sign);
      check_extremes<Bipolar<8>, Bipolar<8>>(k, 255, 0, sign);
      check_extremes<UInt<8>, UInt<8>>(k, 255, 0, sign);
      check_extremes<UInt<8>, UInt<8>>(k, 0, 255, sign);
      check_extremes<Int<8>, Int<8>>(k, 0, 0, sign);
      check_extremes<Binary<>, Binary<>>(k, 1, 0, sign);
      check_extremes<Ternary<>, Ternary<PerRow>>(k, 0, 0, sign);
    }
  }
}

// Code 3 of ternary weights stands for 2, which the ternary kernel does not know.
TEST(BinaryProductTernary, KnowsTheCodeThatIsNeverChosen) {
  Parts<Ternary<>> parts = quantize<Ternary<>>(test::random_inputs(48, 200, 3)).parts();
  const auto product = [&](Index m) {
    const QuantizedMatrix<Ternary<>> w(parts);
    const auto x = quantize_bit_activations<Ternary<PerRow>>(test::random_inputs(200, m, 4));
    for (Isa isa : available_isas()) {
      Eigen::MatrixXf y(48, m);
      gemm(w, x, y, {.isa = isa});
      EXPECT_LE(oracle::error_in_eps(y, w.dequantize().cast<double>(), x.dequantize().cast<double>()), 6)
          << name(isa) << ' ' << m;
    }
  };
  for (Index m : {1, 13}) product(m);
  parts.codes(17, 199) = 3;
  for (Index m : {1, 13}) product(m);
}

// What lies beyond K in a matrix is not read as weights, whatever a file holds there.
TEST(BinaryProductPadding, DoesNotCount) {
  const auto check = [](auto scheme, auto activations) {
    using S = decltype(scheme);
    using A = decltype(activations);
    const auto w = test::random_matrix<S>(16, 37, 8);
    std::ostringstream out;
    w.save(out);
    std::string file = out.str();
    const auto head = file.size() - static_cast<std::size_t>(w.bytes());
    for (std::size_t p = 0; p < w.layout().planes.count; ++p) {
      for (Index r = 0; r < 16; ++r) {
        for (Index at = 37; at < w.layout().places; ++at) {
          const auto field = w.layout().field(p, r, at);
          const int mask = ((1 << w.layout().planes.width[p]) - 1) << field.shift;
          char& byte = file[head + static_cast<std::size_t>(w.layout().plane_offset[p] + field.byte)];
          byte = static_cast<char>(byte ^ mask);
        }
      }
    }
    std::istringstream in(file);
    const auto other = QuantizedMatrix<S>::load(in);
    EXPECT_EQ(other.dequantize(), w.dequantize());
    EXPECT_FALSE(other == w);
    const auto x = quantize_bit_activations<A>(test::random_inputs(37, 5, 9));
    for (Isa isa : available_isas()) {
      Eigen::MatrixXf y(16, 5);
      gemm(other, x, y, {.isa = isa});
      EXPECT_EQ(y, w * x) << S::name() << ' ' << name(isa);
    }
  };
  check(Binary<>(), Binary<>());
  check(Ternary<>(), Ternary<PerRow>());
  check(Int<4>(), Bipolar<2>());
  check(UInt<3>(), UInt<2>());
}

TEST(BinaryProductOptions, SameBitsForAnyNumberOfThreads) {
  const auto w = test::random_matrix<Binary<Group<32>>>(70, 96, 7);
  const auto x = quantize_bit_activations(test::random_inputs(96, 14, 8));
  for (int threads : {1, 2, 3, 100}) {
    Eigen::MatrixXf big = Eigen::MatrixXf::Constant(90, 20, -77);
    gemm(w, x, big.block(3, 2, 70, 14), {.threads = threads});
    EXPECT_EQ(big.block(3, 2, 70, 14), w * x);
    big.block(3, 2, 70, 14).setConstant(-77);
    EXPECT_TRUE((big.array() == -77).all());
    EXPECT_EQ(hamming_distances(w, x, {.threads = threads}), hamming_distances(w, x));
  }
}

/// The same product from a matrix and into a result that end, or start, at memory without access.
template <class S, class A> void check_guarded(Index k, test::Guard guard) {
  const Index n = 17, m = 13;
  const auto w = test::random_matrix<S>(n, k, 11);
  std::ostringstream file;
  w.save(file);
  const std::string saved = file.str();
  const auto memory = std::make_shared<test::GuardedBytes>(saved.size(), guard);
  std::memcpy(memory->data(), saved.data(), saved.size());
  const auto mapped = QuantizedMatrix<S>::map(Bytes(memory->data(), saved.size(), memory));
  test::GuardedBytes result(static_cast<std::size_t>(n * m) * sizeof(float), guard);
  Eigen::Map<Eigen::MatrixXf> y(reinterpret_cast<float*>(result.data()), n, m);
  const auto x = quantize_bit_activations<A>(test::random_inputs(k, m, 12));
  for (Isa isa : available_isas()) {
    gemm(mapped, x, y, {.isa = isa});
    EXPECT_EQ(y, w * x) << S::name() << ' ' << k << name(isa);
  }
}

TEST(BinaryProductMemory, StaysInside) {
  for (test::Guard guard : {test::Guard::Before, test::Guard::After}) {
    for (Index k : {1, 33, 128}) {
      check_guarded<Binary<>, Binary<>>(k, guard);
      check_guarded<Ternary<>, Ternary<PerRow>>(k, guard);
      check_guarded<UInt<3, Group<64>>, UInt<2, Group<32>>>(k, guard);
    }
  }
}

TEST(BinaryProductOptions, EmptyOperands) {
  for (Isa isa : available_isas()) {
    Eigen::MatrixXf y = Eigen::MatrixXf::Constant(5, 3, 5);
    const QuantizedMatrix<Binary<>> flat(Parts<Binary<>>(5, 0));
    const auto none = quantize_bit_activations(Eigen::MatrixXf(0, 3));
    gemm(flat, none, y, {.isa = isa});
    EXPECT_TRUE(y.isZero(0));
    EXPECT_EQ(hamming_distances(flat, none, {.isa = isa}), Eigen::MatrixXi::Zero(5, 3));
    Eigen::MatrixXf no_columns(16, 0), no_rows(0, 3);
    gemm(test::random_matrix<Binary<>>(16, 40, 1), quantize_bit_activations(Eigen::MatrixXf(40, 0)), no_columns,
         {.isa = isa});
    gemm(QuantizedMatrix<Binary<>>(Parts<Binary<>>(0, 40)), quantize_bit_activations(Eigen::MatrixXf::Ones(40, 3)),
         no_rows, {.isa = isa});
  }
}

TEST(BinaryProductOptions, NamesWhatIsWrong) {
  const auto w = test::random_matrix<Binary<>>(70, 96, 7);
  const auto x = quantize_bit_activations(test::random_inputs(96, 14, 8));
  const auto short_x = quantize_bit_activations(test::random_inputs(95, 14, 8));
  Eigen::MatrixXf y = Eigen::MatrixXf::Constant(70, 14, 5);
  const Eigen::MatrixXf before = y;
  const auto says = [&](const std::string& words, auto&& f) {
    const std::string message = test::message_of(f);
    EXPECT_NE(message.find(words), std::string::npos) << message;
    EXPECT_EQ(y, before);
  };
  says("gemm: expected X with the 96 rows that W has columns, got 95 x 14", [&] { gemm(w, short_x, y); });
  says("gemm: expected Y of 70 x 14, got 69 x 14", [&] { gemm(w, x, y.topRows(69)); });
  says("gemm: expected at least 1 thread, got 0", [&] { gemm(w, x, y, {.threads = 0}); });
  says("instruction set", [&] { gemm(w, x, y, {.isa = static_cast<Isa>(6)}); });
  says("hamming_distances: expected X with the 96 rows that W has columns, got 95 x 14",
       [&] { hamming_distances(w, short_x); });
  says("hamming_distances: expected at least 1 thread, got -1", [&] { hamming_distances(w, x, {.threads = -1}); });
  says("instruction set", [&] { hamming_distances(w, x, {.isa = static_cast<Isa>(6)}); });
}

template <class S, class A> void check_distances() {
  for (Index n : {1, 16, 37}) {
    for (Index k : {1, 31, 32, 33, 1000, 1024}) {
      for (Index m : {1, 2, 12, 17}) {
        const auto w = test::random_matrix<S>(n, k, 1);
        const auto x = quantize_bit_activations<A>(test::random_inputs(k, m, 2));
        Eigen::MatrixXi expected = Eigen::MatrixXi::Zero(n, m);
        for (Index i = 0; i < n; ++i)
          for (Index c = 0; c < m; ++c)
            for (Index j = 0; j < k; ++j) expected(i, c) += (w.code(i, j) != 0) != (x.integer(j, c) > 0);
        for (Isa isa : available_isas())
          ASSERT_EQ(hamming_distances(w, x, {.isa = isa}), expected) << n << " x " << k << " x " << m << name(isa);
      }
    }
  }
}

TEST(HammingDistances, CountWhatDiffers) {
  check_distances<Binary<>, Binary<>>();
  check_distances<Binary<Group<12>>, Bipolar<1, Group<32>>>();
}

/// The bit planes of a panel against the codes of the matrix, bit by bit.
template <class S> void check_planes(Index k) {
  const auto w = test::random_matrix<S>(33, k, 4);
  for (Isa isa : available_isas()) {
    dispatch(isa, [&](auto tag) {
      using Panels = kernels::BitPanels<decltype(tag), S>;
      const Panels panels(w);
      Scratch memory("test", nullptr);
      const auto room = panels.room(memory);
      ASSERT_EQ(panels.words(), (k + 31) / 32);
      for (Index p = 0; p < 3; ++p) {
        const auto planes = panels.planes(p, room);
        for (std::size_t i = 0; i < static_cast<std::size_t>(S::format::bits); ++i) {
          for (Index r = 0; r < 16 && 16 * p + r < 33; ++r) {
            for (Index word = 0; word < panels.words(); ++word) {
              std::uint32_t expected = 0;
              for (Index j = 32 * word; j < std::min(k, 32 * word + 32); ++j)
                expected |= (std::uint32_t{w.code(16 * p + r, j)} >> i & 1u) << BitActivations<>::Shape::bit(j);
              ASSERT_EQ(planes[i][word * 16 + r], Panels::ordered(expected)) << S::name() << ' ' << name(isa);
            }
          }
        }
      }
    });
  }
}

TEST(BitPanels, HoldTheBitsOfTheCodes) {
  for (Index k : {1, 17, 32, 70, 128}) {
    check_planes<Binary<>>(k);
    check_planes<Ternary<>>(k);
    check_planes<Int<3>>(k);
    check_planes<UInt<4>>(k);
    check_planes<Int<7>>(k);
    check_planes<UInt<8>>(k);
  }
}

}  // namespace
}  // namespace nibble
