// Errors: what every rejected input of the library turns into.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <stdexcept>
#include <string>

namespace nibble {

/// Joins the printed forms of `parts` into one string: text("K = ", 3) is "K = 3".
template <class... Parts> std::string text(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

/// Throws `error`. In a program built with -fno-exceptions its message goes to stderr and the program aborts.
template <class Exception> [[noreturn]] void raise(const Exception& error) {
#ifdef __cpp_exceptions
  throw error;
#else
  std::fprintf(stderr, "%s\n", error.what());
  std::abort();
#endif
}

/// Raises std::invalid_argument that names the function, what it expected and what it got.
template <class Expected, class Got>
[[noreturn]] void invalid(const char* function, const Expected& expected, const Got& got) {
  raise(std::invalid_argument(text("nibble::", function, ": expected ", expected, ", got ", got)));
}

/// A file or stream that cannot be read or written, or that does not hold what it claims.
class IoError : public std::runtime_error {
 public:
  /// `path` names the file ("<stream>" for a nameless one); `offset` is the byte at which the fault was found.
  IoError(const std::string& path, std::uint64_t offset, const std::string& what)
      : std::runtime_error(text(path, ": byte ", offset, ": ", what)), path_(path), offset_(offset) {}

  const std::string& path() const { return path_; }
  std::uint64_t offset() const { return offset_; }

 private:
  std::string path_;
  std::uint64_t offset_;
};

}  // namespace nibble
