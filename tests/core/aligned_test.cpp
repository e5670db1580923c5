#include "nibble/core/aligned.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace nibble {
namespace {

bool aligned(const void* p) {
  return reinterpret_cast<std::uintptr_t>(p) % alignment == 0;
}

Bytes bytes_of(std::initializer_list<std::uint8_t> values) {
  AlignedArray<std::uint8_t> array(values.size());
  std::copy(values.begin(), values.end(), array.data());
  return Bytes(std::move(array));
}

TEST(RoundUp, ToTheNextMultiple) {
  static_assert(round_up(0, 64) == 0);
  static_assert(round_up(1, 64) == 64);
  static_assert(round_up(64, 64) == 64);
  static_assert(round_up(65, 64) == 128);
  for (std::ptrdiff_t value = 0; value < 100; ++value) {
    for (std::ptrdiff_t unit = 1; unit < 20; ++unit) {
      std::ptrdiff_t expected = 0;
      while (expected < value) expected += unit;
      ASSERT_EQ(round_up(value, unit), expected);
    }
  }
}

TEST(AlignedArray, IsZeroedAndAligned) {
  for (std::size_t size : {0U, 1U, 63U, 64U, 65U, 1000U}) {
    // Memory that was written to before is taken again.
    { std::fill_n(AlignedArray<float>(size).data(), size, 7.0f); }
    const AlignedArray<float> array(size);
    EXPECT_EQ(array.size(), size);
    EXPECT_TRUE(aligned(array.data()));
    EXPECT_TRUE(std::all_of(array.data(), array.data() + size, [](float x) { return x == 0; }));
  }
}

TEST(AlignedArray, Moves) {
  AlignedArray<int> a(3);
  a[1] = 5;
  const int* data = a.data();
  const AlignedArray<int> b = std::move(a);
  EXPECT_EQ(b.data(), data);
  EXPECT_EQ(b[1], 5);
  EXPECT_EQ(b.size(), 3U);
  static_assert(!std::is_copy_constructible_v<AlignedArray<int>>);
  EXPECT_EQ(AlignedArray<int>().size(), 0U);
  EXPECT_EQ(AlignedArray<int>().data(), nullptr);
}

TEST(Bytes, SharesWhatItOwns) {
  const Bytes a = bytes_of({1, 2, 3});
  const Bytes b = a;
  EXPECT_EQ(a.data(), b.data());
  EXPECT_TRUE(aligned(a.data()));
  EXPECT_EQ(b.size(), 3U);
  EXPECT_EQ(b.data()[2], 3);
}

TEST(Bytes, ComparesContents) {
  const Bytes a = bytes_of({1, 2, 3});
  EXPECT_EQ(a, bytes_of({1, 2, 3}));
  EXPECT_FALSE(a == bytes_of({1, 2, 4}));
  EXPECT_FALSE(a == bytes_of({1, 2}));
  EXPECT_EQ(Bytes(), Bytes());
  EXPECT_EQ(Bytes(), bytes_of({}));
}

TEST(Bytes, KeepsBorrowedMemoryAlive) {
  auto owner = std::make_shared<AlignedArray<std::uint8_t>>(64);
  const std::weak_ptr<AlignedArray<std::uint8_t>> watch = owner;
  (*owner)[0] = 9;
  {
    Bytes copy;
    {
      const Bytes borrowed(owner->data(), 64, owner);
      owner.reset();
      copy = borrowed;
      EXPECT_EQ(copy.data(), borrowed.data());
    }
    EXPECT_FALSE(watch.expired());
    EXPECT_EQ(copy.data()[0], 9);
  }
  EXPECT_TRUE(watch.expired());
}

}  // namespace
}  // namespace nibble
