// Errors: what every rejected input of the library turns into.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
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

/// A computation that its progress callback ended.
class Cancelled : public std::runtime_error {
 public:
  explicit Cancelled(const char* function) : std::runtime_error(text("nibble::", function, ": cancelled")) {}
};

/// Called by long computations, by one thread at a time, with the steps done and those to do: first (0, total), last
/// (total, total). Where it returns false the computation ends with the exception Cancelled.
using Progress = std::function<bool(std::ptrdiff_t done, std::ptrdiff_t total)>;

}  // namespace nibble
