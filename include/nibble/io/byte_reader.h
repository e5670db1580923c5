// ByteReader: bytes of a file that is not trusted.
#pragma once

#include <algorithm>
#include <cstdint>
#include <istream>
#include <string>
#include <utility>
#include <vector>

#include "nibble/core/error.h"

namespace nibble {

/// Reads a stream from where it stands and counts bytes from there, so that every fault has its offset.
class ByteReader {
 public:
  /// `path` names the stream in errors. The stream must outlive this object.
  explicit ByteReader(std::istream& in, std::string path = "<stream>") : in_(in), path_(std::move(path)) {}

  std::uint64_t offset() const { return offset_; }

  /// The next `count` bytes; `what` names them in the IoError of an early end. Memory grows with the bytes that arrive,
  /// never on the file's word.
  std::vector<std::uint8_t> read(std::uint64_t count, const char* what) {
    constexpr std::uint64_t chunk = std::uint64_t{1} << 22;
    std::vector<std::uint8_t> bytes;
    while (bytes.size() < count) {
      const std::uint64_t have = bytes.size();
      const std::uint64_t want = std::min(count - have, std::max(chunk, have));
      bytes.resize(static_cast<std::size_t>(have + want));
      in_.read(reinterpret_cast<char*>(bytes.data() + have), static_cast<std::streamsize>(want));
      const auto got = static_cast<std::uint64_t>(in_.gcount());
      offset_ += got;
      if (got != want) fail(text("expected ", count, " bytes of ", what, ", got ", have + got));
    }
    return bytes;
  }

  /// Raises IoError where bytes follow.
  void expect_end() {
    if (in_.peek() != std::istream::traits_type::eof()) fail("expected the end of the file");
  }

  /// Raises IoError at `offset`, or where the reader stands.
  [[noreturn]] void fail(const std::string& what, std::uint64_t offset) const { raise(IoError(path_, offset, what)); }
  [[noreturn]] void fail(const std::string& what) const { fail(what, offset_); }

 private:
  std::istream& in_;
  std::string path_;
  std::uint64_t offset_ = 0;
};

}  // namespace nibble
