#include "nibble/core/error.h"

#include <gtest/gtest.h>

namespace nibble {
namespace {

TEST(Text, JoinsWhatItIsGiven) {
  EXPECT_EQ(text(""), "");
  EXPECT_EQ(text("K = ", 3), "K = 3");
  EXPECT_EQ(text(1.5f, ", ", 'c', ", ", std::string("s")), "1.5, c, s");
}

TEST(Invalid, NamesFunctionExpectedAndGot) {
  try {
    invalid("quantize", "finite weights", 7);
    FAIL();
  } catch (const std::invalid_argument& error) {
    EXPECT_STREQ(error.what(), "nibble::quantize: expected finite weights, got 7");
  }
}

TEST(Raise, KeepsTheType) {
  EXPECT_THROW(raise(std::out_of_range("x")), std::out_of_range);
  EXPECT_THROW(raise(IoError("a", 1, "b")), IoError);
}

TEST(IoError, HasPathOffsetAndMessage) {
  const IoError error("dir/w.npy", std::uint64_t{1} << 40, "cut");
  EXPECT_STREQ(error.what(), "dir/w.npy: byte 1099511627776: cut");
  EXPECT_EQ(error.path(), "dir/w.npy");
  EXPECT_EQ(error.offset(), std::uint64_t{1} << 40);
  const std::runtime_error& base = error;
  EXPECT_STREQ(base.what(), error.what());
}

}  // namespace
}  // namespace nibble
