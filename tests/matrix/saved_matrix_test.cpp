// Saving, loading and mapping; and files that are not to be trusted.
#include <cstring>
#include <new>
#include <sstream>

#include "matrix/schemes.h"

// The largest block of memory asked for since it was last reset: what a header claims must not be taken on its word.
static std::size_t largest_block = 0;

static void* take(std::size_t size, std::size_t alignment) {
  largest_block = std::max(largest_block, size);
  void* p = std::aligned_alloc(alignment, (size + alignment) / alignment * alignment);
  if (p == nullptr) throw std::bad_alloc();
  return p;
}
[[gnu::noinline]] void* operator new(std::size_t size) {
  return take(size, 16);
}
[[gnu::noinline]] void* operator new(std::size_t size, std::align_val_t alignment) {
  return take(size, static_cast<std::size_t>(alignment));
}
[[gnu::noinline]] void operator delete(void* p) noexcept {
  std::free(p);
}
[[gnu::noinline]] void operator delete(void* p, std::size_t) noexcept {
  std::free(p);
}
[[gnu::noinline]] void operator delete(void* p, std::align_val_t) noexcept {
  std::free(p);
}
[[gnu::noinline]] void operator delete(void* p, std::size_t, std::align_val_t) noexcept {
  std::free(p);
}

namespace nibble {
namespace {

template <class S> std::string saved(const QuantizedMatrix<S>& q) {
  std::ostringstream out;
  q.save(out);
  return out.str();
}

template <class S> QuantizedMatrix<S> load(const std::string& bytes) {
  std::istringstream in(bytes);
  return QuantizedMatrix<S>::load(in);
}

Bytes as_bytes(const std::string& s) {
  AlignedArray<std::uint8_t> array(s.size());
  std::memcpy(array.data(), s.data(), s.size());
  return Bytes(std::move(array));
}

template <class F> std::string message(F&& f) {
  try {
    f();
  } catch (const IoError& error) {
    return error.what();
  }
  return "nothing thrown";
}

template <class S> class Saved : public testing::Test {};
TYPED_TEST_SUITE(Saved, test::EveryKind);

TYPED_TEST(Saved, RoundTrip) {
  using S = TypeParam;
  for (const auto& [n, k] : test::awkward_shapes) {
    SCOPED_TRACE(text(S::name(), ", ", n, " x ", k));
    const QuantizedMatrix<S> q(test::random_parts<S>(n, k, 1));
    const std::string bytes = saved(q);
    EXPECT_EQ(bytes.size() % 64, 0U);
    EXPECT_EQ(load<S>(bytes), q);
    const Bytes file = as_bytes(bytes);
    const QuantizedMatrix<S> mapped = QuantizedMatrix<S>::map(file);
    EXPECT_EQ(mapped, q);
    EXPECT_EQ(mapped.dequantize(), q.dequantize());
    EXPECT_EQ(saved(mapped), bytes);
    if (n * k > 0) {
      EXPECT_TRUE(mapped.plane(0) >= file.data() && mapped.plane(0) < file.data() + file.size());  // no copy
    }
  }
}

TYPED_TEST(Saved, EveryTruncationIsFound) {
  using S = TypeParam;
  const std::string bytes = saved(QuantizedMatrix<S>(test::random_parts<S>(3, 9, 2)));
  for (std::size_t size = 0; size < bytes.size(); size += size < 128 ? 1 : 13) {
    ASSERT_THROW(load<S>(bytes.substr(0, size)), IoError) << size;
    ASSERT_THROW(QuantizedMatrix<S>::map(as_bytes(bytes.substr(0, size))), IoError) << size;
  }
  ASSERT_THROW(load<S>(bytes.substr(0, bytes.size() - 1)), IoError);
}

// Bytes changed at random: an IoError, or a matrix of which every weight can be read.
TYPED_TEST(Saved, SurvivesMutations) {
  using S = TypeParam;
  const std::string bytes = saved(QuantizedMatrix<S>(test::random_parts<S>(5, 21, 3)));
  const Random random(17);
  std::uint64_t next = 0;
  const auto draw = [&](std::size_t below) { return random.bits(next++) % below; };
  int accepted = 0;
  int rejected = 0;
  for (int round = 0; round < 400; ++round) {
    std::string changed = bytes;
    for (std::size_t c = 0; c <= draw(3); ++c) {
      // Every other change hits the header.
      const std::size_t at = draw(2) == 0 ? draw(64) : draw(bytes.size());
      changed[at] =
          static_cast<char>(draw(4) == 0 ? draw(256) : static_cast<std::uint8_t>(changed[at]) ^ (1u << draw(8)));
    }
    if (draw(8) == 0) changed.resize(draw(bytes.size()));
    try {
      const QuantizedMatrix<S> q = draw(2) == 0 ? load<S>(changed) : QuantizedMatrix<S>::map(as_bytes(changed));
      ASSERT_EQ(q.dequantize().size(), q.rows() * q.cols());
      ++accepted;
    } catch (const IoError&) {
      ++rejected;
    }
  }
  EXPECT_GT(accepted, 20);
  EXPECT_GT(rejected, 100);
}

using S = Int<4, Group<32>>;

QuantizedMatrix<S> example() {
  return QuantizedMatrix<S>(test::random_parts<S>(20, 50, 4));
}

template <class T> void put(std::string& bytes, std::size_t at, T value) {
  std::memcpy(bytes.data() + at, &value, sizeof value);
}

TEST(SavedMatrix, Header) {
  const std::string bytes = saved(example());
  const std::string name = S::name();
  EXPECT_EQ(bytes.substr(0, 8), "NIBBLEQM");
  EXPECT_EQ(bytes.substr(8, 8), std::string("\1\0\0\0", 4) + static_cast<char>(name.size()) + std::string(3, '\0'));
  EXPECT_EQ(bytes.substr(16, 16), std::string("\x14\0\0\0\0\0\0\0\x32\0\0\0\0\0\0\0", 16));
  EXPECT_EQ(bytes.substr(40, name.size()), name);
  EXPECT_EQ(bytes.size() - 64, static_cast<std::size_t>(example().bytes()));
}

TEST(SavedMatrix, TwoInAStream) {
  const QuantizedMatrix<MxFp4> other(test::random_parts<MxFp4>(3, 70, 5));
  std::stringstream stream;
  example().save(stream);
  other.save(stream);
  stream << "end";
  EXPECT_EQ(QuantizedMatrix<S>::load(stream), example());
  EXPECT_EQ(QuantizedMatrix<MxFp4>::load(stream), other);
  std::string rest;
  stream >> rest;
  EXPECT_EQ(rest, "end");
}

TEST(SavedMatrix, MappedMemoryLivesAsLongAsItsMatrices) {
  auto memory = std::make_shared<AlignedArray<std::uint8_t>>(saved(example()).size());
  std::memcpy(memory->data(), saved(example()).data(), memory->size());
  const std::weak_ptr<AlignedArray<std::uint8_t>> watch = memory;
  {
    QuantizedMatrix<S> copy;
    {
      const auto mapped = QuantizedMatrix<S>::map(Bytes(memory->data(), memory->size(), memory));
      memory.reset();
      copy = mapped;
    }
    EXPECT_FALSE(watch.expired());
    EXPECT_EQ(copy, example());
  }
  EXPECT_TRUE(watch.expired());
}

TEST(SavedMatrix, SaysWhatIsWrong) {
  const std::string good = saved(example());
  const auto with = [&](auto&& change) {
    std::string bytes = good;
    change(bytes);
    const std::string got = message([&] { load<S>(bytes); });
    EXPECT_EQ(message([&] { QuantizedMatrix<S>::map(as_bytes(bytes)); }), got);
    return got;
  };
  EXPECT_EQ(with([](std::string&) {}), "nothing thrown");
  EXPECT_EQ(with([](std::string& b) { b[3] = 'x'; }), "<matrix>: byte 3: not a nibble matrix");
  EXPECT_EQ(with([](std::string& b) { b[8] = 2; }), "<matrix>: byte 8: not version 1");
  EXPECT_EQ(with([](std::string& b) { b[43] ^= 1; }), text("<matrix>: byte 43: not a matrix of scheme ", S::name()));
  EXPECT_EQ(with([](std::string& b) { put(b, 16, std::uint64_t{33}); }).substr(0, 27), "<matrix>: byte 32: expected");
  EXPECT_EQ(with([](std::string& b) { put(b, 32, std::uint64_t{1}); }),
            text("<matrix>: byte 32: expected ", example().bytes(), " bytes of matrix, got 1"));
  EXPECT_EQ(with([](std::string& b) { put(b, 16, ~std::uint64_t{0}); }),
            "<matrix>: byte 16: expected a size that fits memory, got 18446744073709551615 x 50");
  EXPECT_EQ(with([](std::string& b) { put(b, 24, std::uint64_t{1} << 43); }),
            "<matrix>: byte 16: expected a size that fits memory, got 20 x 8796093022208");
  const auto scales = static_cast<std::size_t>(64 + example().layout().scale_offset);
  EXPECT_EQ(with([&](std::string& b) { put(b, scales + 4, std::numeric_limits<float>::quiet_NaN()); }),
            text("<matrix>: byte ", scales, ": a scale is not finite"));
  EXPECT_EQ(with([&](std::string& b) { put(b, scales, -std::numeric_limits<float>::infinity()); }),
            text("<matrix>: byte ", scales, ": a scale is not finite"));
}

TEST(SavedMatrix, EndsEarlyOrLate) {
  const std::string good = saved(example());
  const Index size = example().bytes();
  EXPECT_EQ(message([&] { load<S>(""); }), "<matrix>: byte 0: expected a header of 64 bytes");
  EXPECT_EQ(message([&] { load<S>(good.substr(0, 63)); }), "<matrix>: byte 63: expected a header of 64 bytes");
  EXPECT_EQ(message([&] { load<S>(good.substr(0, 65)); }),
            text("<stream>: byte 65: expected ", size, " bytes of matrix, got 1"));
  EXPECT_EQ(message([&] { QuantizedMatrix<S>::map(as_bytes(good + "x")); }),
            text("<memory>: byte ", good.size() + 1, ": expected ", good.size(), " bytes"));
}

TEST(SavedMatrix, OtherSchemesAreRejected) {
  const std::string bytes = saved(example());
  EXPECT_THROW((load<Int<4, Group<64>>>(bytes)), IoError);
  EXPECT_THROW((load<Int<3, Group<32>>>(bytes)), IoError);
  EXPECT_THROW((load<UInt<4, Group<32>>>(bytes)), IoError);
  EXPECT_THROW((load<Int<4, Group<32>, StoredScale<formats::Half>>>(bytes)), IoError);
  EXPECT_THROW((load<MxFp4>(bytes)), IoError);
}

template <class T> void expect_rejected_at(const QuantizedMatrix<T>& q, Index offset, char byte, const char* what) {
  std::string bytes = saved(q);
  const auto at = bytes.size() - static_cast<std::size_t>(q.bytes()) + static_cast<std::size_t>(offset);
  bytes[at] = byte;
  EXPECT_EQ(message([&] { load<T>(bytes); }), text("<matrix>: byte ", at, ": ", what));
}

TEST(SavedMatrix, BadZeroPointsScalesAndTables) {
  const QuantizedMatrix<UInt<4>> affine(test::random_parts<UInt<4>>(5, 9, 6));
  expect_rejected_at(affine, affine.layout().zero_offset, 16, "a zero point is out of range");
  const QuantizedMatrix<MxFp4> mx(test::random_parts<MxFp4>(5, 9, 6));
  expect_rejected_at(mx, mx.layout().scale_offset, '\xff', "a scale is not finite");
  using T = Scheme<test::Quantiles>;
  Parts<T> parts = test::random_parts<T>(5, 9, 6);
  parts.tables(0, 0) = 1;  // 3f800000: with 7f as the highest byte, infinite
  const QuantizedMatrix<T> table(parts);
  std::string bytes = saved(table);
  const auto at = bytes.size() - static_cast<std::size_t>(table.bytes() - table.layout().table_offset);
  bytes[at + 3] = 0x7f;
  EXPECT_EQ(message([&] { load<T>(bytes); }), text("<matrix>: byte ", at, ": a table entry is not finite"));
}

// A header that is right in itself and claims 4 x 10^12 weights, followed by little: no memory is taken for them.
TEST(SavedMatrix, TakesNoMemoryOnTheWordOfAHeader) {
  for (const auto& [n, k] :
       {std::pair(Index{1} << 21, Index{1} << 21), {Index{1} << 42, Index{1}}, {Index{1}, Index{1} << 42}}) {
    std::string bytes = saved(example()).substr(0, 64) + std::string(1000, 'x');
    const Layout<S> layout(n, k);
    put(bytes, 16, static_cast<std::uint64_t>(n));
    put(bytes, 24, static_cast<std::uint64_t>(k));
    put(bytes, 32, static_cast<std::uint64_t>(layout.size));
    largest_block = 0;
    const std::string got = message([&] { load<S>(bytes); });
    if (n == k) {
      EXPECT_EQ(got, text("<stream>: byte 1064: expected ", layout.size, " bytes of matrix, got 1000"));
    }
    EXPECT_NE(got, "nothing thrown");
    EXPECT_LE(largest_block, std::size_t{1} << 23);
    largest_block = 0;
    EXPECT_NE(message([&] { QuantizedMatrix<S>::map(as_bytes(bytes)); }), "nothing thrown");
    EXPECT_LE(largest_block, std::size_t{1} << 23);
  }
}

// More than the chunks in which bytes are read.
TEST(SavedMatrix, LargeOnes) {
  using L = Int<8, PerTensor>;
  const QuantizedMatrix<L> q(test::random_parts<L>(1040, 9001, 7));
  EXPECT_GT(q.bytes(), 2 << 22);
  const std::string bytes = saved(q);
  EXPECT_EQ(load<L>(bytes), q);
  EXPECT_THROW(load<L>(bytes.substr(0, bytes.size() - 64)), IoError);
}

TEST(SavedMatrix, ReportsStreamsThatDoNotTakeIt) {
  std::ostringstream out;
  out.setstate(std::ios::badbit);
  EXPECT_EQ(message([&] { example().save(out); }), "<stream>: byte 0: cannot write a quantized matrix");
}

}  // namespace
}  // namespace nibble
