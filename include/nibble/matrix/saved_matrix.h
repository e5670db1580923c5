// Files of matrices that consist of several parts.
#pragma once

#include <istream>
#include <ostream>
#include <streambuf>
#include <string>
#include <vector>

#include "nibble/matrix/low_bit_matrix.h"

namespace nibble::detail {

/// Writes the parts of a matrix one behind the other.
class MatrixWriter {
 public:
  explicit MatrixWriter(std::ostream& out) : out_(out) {}

  template <class M> void header(const M& m) { text(matrix_header(matrix_name<M>(), m.rows(), m.cols(), m.bytes())); }

  /// Numbers: u64 how many, zeros up to byte 64, the numbers, zeros up to a multiple of 64 bytes.
  template <class T> void array(const T* data, Index count) {
    std::string block(reinterpret_cast<const char*>(&count), sizeof count);
    block.resize(alignment);
    text(block);
    const Index bytes = count * static_cast<Index>(sizeof(T));
    if (bytes > 0) out_.write(reinterpret_cast<const char*>(data), bytes);
    text(std::string(static_cast<std::size_t>(round_up(bytes, static_cast<Index>(alignment)) - bytes), '\0'));
  }

  template <LowBitMatrix M> void part(const M& m) { m.save(out_); }
  template <class T> void part(const Eigen::Matrix<T, Eigen::Dynamic, 1>& v) { array(v.data(), v.size()); }

  /// Throws IoError where the stream has not taken everything.
  void finish() {
    if (!out_.flush()) raise(IoError("<stream>", 0, "cannot write a matrix"));
  }

 private:
  void text(const std::string& s) { out_.write(s.data(), static_cast<std::streamsize>(s.size())); }

  std::ostream& out_;
};

/// Reads matrices from a stream that is not trusted, and knows at which byte it stands. `Types` are those that
/// AnyMatrix may turn out to be, on any level.
class MatrixReader : private std::streambuf {
 public:
  explicit MatrixReader(std::istream& in) : in_(in) {}

  std::uint64_t offset() const { return offset_; }
  [[noreturn]] void fail(std::uint64_t offset, const std::string& what) const {
    raise(IoError("<stream>", offset, what));
  }

  /// The name in the header that comes next, which stays unread.
  std::string next_name() {
    look_ahead(40, "a header");
    std::uint32_t length;
    std::memcpy(&length, ahead_.data() + 12, sizeof length);
    if (ahead_.compare(0, 8, "NIBBLEQM") != 0) fail(offset_, "not a nibble matrix");
    if (length > longest_name) fail(offset_ + 12, text("expected a name of at most ", longest_name, " bytes"));
    look_ahead(40 + length, "a header");
    return ahead_.substr(40, length);
  }

  /// A matrix of type M. Throws IoError where none comes next.
  template <class M, class... Types> M matrix() {
    if (depth_ == deepest) fail(offset_, text("expected at most ", deepest, " matrices inside each other"));
    ++depth_;
    M m = load<M, Types...>();
    --depth_;
    return m;
  }

  /// What MatrixWriter::part wrote.
  template <class P, class... Types> P part() {
    if constexpr (LowBitMatrix<P>) {
      return matrix<P, Types...>();
    } else {
      const auto numbers = array<typename P::Scalar>();
      return Eigen::Map<const P>(numbers.data(), static_cast<Index>(numbers.size()));
    }
  }

  /// What MatrixWriter::array wrote. Memory grows with the bytes that arrive, never on the file's word.
  template <class T> std::vector<T> array() {
    constexpr std::uint64_t chunk = std::uint64_t{1} << 20;
    const std::uint64_t start = offset_;
    const std::string head = read(alignment, "an array's size");
    std::uint64_t count;
    std::memcpy(&count, head.data(), sizeof count);
    if (count > std::uint64_t{1} << 44) fail(start, text("expected an array that fits memory, got ", count));
    expect_zeros(head, sizeof count, start);
    std::vector<T> numbers;
    while (numbers.size() < count) {
      const std::uint64_t have = numbers.size(), want = std::min(count - have, std::max(chunk, have));
      numbers.resize(have + want);
      read_to(reinterpret_cast<char*>(numbers.data() + have), want * sizeof(T), "an array");
    }
    const std::uint64_t end = offset_;
    expect_zeros(read((alignment - count * sizeof(T) % alignment) % alignment, "an array"), 0, end);
    return numbers;
  }

  /// The M that make(rows, columns) makes of parts that it reads, behind the header of such a matrix.
  template <class M, class Make> M build(const Make& make) {
    const std::uint64_t start = offset_;
    const std::string name = matrix_name<M>();
    std::string expected = matrix_header(name, 0, 0, 0);
    const std::string head = read(expected.size(), "a header");
    Index sizes[3];
    std::memcpy(sizes, head.data() + 16, sizeof sizes);
    std::memcpy(expected.data() + 16, sizes, sizeof sizes);
    const auto compare = [&] {
      for (std::size_t i = 0; i < head.size(); ++i)
        if (head[i] != expected[i])
          fail(start + i, i < 8               ? "not a nibble matrix"
                          : i < 12            ? "not version 1"
                          : i < 16 || i >= 40 ? text("not a matrix of type ", name)
                                              : text("expected sizes that fit what follows"));
    };
    compare();
    M m = valid(start, [&] { return make(sizes[0], sizes[1]); });
    expected = matrix_header(name, m.rows(), m.cols(), m.bytes());
    compare();
    return m;
  }

 private:
  static constexpr std::uint32_t longest_name = 1 << 16;
  static constexpr int deepest = 64;

  template <class M, class... Types> M load() {
    if constexpr (!is_quantized_matrix<M>) {
      return M::template read<Types...>(*this);
    } else {
      // Its errors count bytes from its own beginning.
      const std::uint64_t start = offset_;
      std::istream stream(this);
#ifdef __cpp_exceptions
      try {
        return M::load(stream);
      } catch (const IoError& error) {
        const std::string prefix = text(error.path(), ": byte ", error.offset(), ": ");
        fail(start + error.offset(), error.what() + prefix.size());
      }
#else
      return M::load(stream);
#endif
    }
  }

  /// f(), whose std::invalid_argument becomes an IoError.
  template <class F> auto valid([[maybe_unused]] std::uint64_t start, const F& f) {
#ifdef __cpp_exceptions
    try {
      return f();
    } catch (const std::invalid_argument& error) {
      fail(start, error.what());
    }
#else
    return f();
#endif
  }

  std::string read(std::uint64_t count, const char* what) {
    std::string bytes(count, '\0');
    read_to(bytes.data(), count, what);
    return bytes;
  }
  void read_to(char* to, std::uint64_t count, const char* what) {
    const auto got = static_cast<std::uint64_t>(xsgetn(to, static_cast<std::streamsize>(count)));
    if (got != count) fail(offset_, text("expected ", count, " bytes of ", what, ", got ", got));
  }
  void expect_zeros(const std::string& bytes, std::size_t first, std::uint64_t offset) const {
    const std::size_t at = bytes.find_first_not_of('\0', first);
    if (at != std::string::npos) fail(offset + at, "expected zeros");
  }

  /// Makes the next `count` bytes lie in ahead_.
  void look_ahead(std::size_t count, const char* what) {
    const std::size_t have = ahead_.size();
    ahead_.resize(count);
    in_.read(ahead_.data() + have, static_cast<std::streamsize>(count - have));
    if (static_cast<std::size_t>(in_.gcount()) != count - have)
      fail(offset_ + have + static_cast<std::size_t>(in_.gcount()), text("expected ", what));
  }

  std::streamsize xsgetn(char* to, std::streamsize count) override {
    const std::size_t known = std::min(ahead_.size(), static_cast<std::size_t>(count));
    std::memcpy(to, ahead_.data(), known);
    ahead_.erase(0, known);
    in_.read(to + known, count - static_cast<std::streamsize>(known));
    const std::streamsize got = static_cast<std::streamsize>(known) + in_.gcount();
    offset_ += static_cast<std::uint64_t>(got);
    return got;
  }

  std::istream& in_;
  std::string ahead_;  // read from in_, not yet asked for
  std::uint64_t offset_ = 0;
  int depth_ = 0;
};

}  // namespace nibble::detail
