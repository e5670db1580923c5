// Arrays in NumPy's .npy format, read and written.
#pragma once

#include <Eigen/Core>
#include <bit>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <ostream>
#include <string_view>
#include <type_traits>

#include "nibble/io/byte_reader.h"

namespace nibble {

/// Scalars that .npy has a type for: IEEE half, float, double, integers and bool.
template <class T>
concept NpyScalar = std::is_same_v<T, Eigen::half> || std::is_same_v<T, float> || std::is_same_v<T, double> ||
    (std::is_integral_v<T> && sizeof(T) <= 8);

namespace npy {

/// What the bytes before the data say.
struct Header {
  std::string type;  ///< as in the file: byte order, kind, bytes per element: "<f4"
  bool fortran_order = false;
  std::ptrdiff_t rows = 1, cols = 1;
};

/// Parses the Python dictionary of a header: exactly the keys descr, fortran_order and shape, in any order, then
/// blanks. `offset` is the byte of the file at which `dict` begins.
class HeaderParser {
 public:
  HeaderParser(std::string_view dict, std::uint64_t offset, const ByteReader& in)
      : text_(dict), offset_(offset), in_(in) {}

  Header parse() {
    Header header;
    bool seen[3] = {};
    expect('{');
    while (!accept('}')) {
      const std::size_t start = at_;
      const std::string key = quoted();
      const int index = key == "descr" ? 0 : key == "fortran_order" ? 1 : key == "shape" ? 2 : 3;
      if (index == 3 || seen[index])
        fail(nibble::text("expected the keys descr, fortran_order, shape once each, got '", key, "'"), start);
      seen[index] = true;
      expect(':');
      if (index == 0) header.type = quoted();
      if (index == 1) header.fortran_order = boolean();
      if (index == 2) shape(header);
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    if (!(seen[0] && seen[1] && seen[2])) fail("expected the keys descr, fortran_order and shape", at_);
    skip_blanks();
    if (at_ != text_.size()) fail("expected nothing after the dictionary", at_);
    return header;
  }

 private:
  [[noreturn]] void fail(const std::string& what, std::size_t at) const { in_.fail(what, offset_ + at); }

  void skip_blanks() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t')) ++at_;
  }
  bool accept(char c) {
    skip_blanks();
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!accept(c)) fail(nibble::text("expected '", c, "' in the header"), at_);
  }

  std::string quoted() {
    const char quote = accept('"') ? '"' : '\'';
    if (quote == '\'' && !accept(quote)) fail("expected a string in the header", at_);
    const std::size_t end = text_.find(quote, at_);
    if (end == std::string_view::npos) fail("expected the end of a string in the header", text_.size());
    const std::string_view found = text_.substr(at_, end - at_);
    at_ = end + 1;
    return std::string(found);
  }

  bool boolean() {
    skip_blanks();
    for (const std::string_view word : {"True", "False"}) {
      if (text_.substr(at_, word.size()) != word) continue;
      at_ += word.size();
      return word == "True";
    }
    fail("expected True or False", at_);
  }

  void shape(Header& header) {
    skip_blanks();
    const std::size_t start = at_;
    std::ptrdiff_t* const sizes[] = {&header.rows, &header.cols};
    int dimensions = 0;
    expect('(');
    while (!accept(')')) {
      const std::ptrdiff_t size = number();
      if (dimensions == 2) fail("expected at most 2 dimensions", start);
      *sizes[dimensions++] = size;
      const bool comma = accept(',');
      if (!comma && dimensions == 1) fail("expected ',' after the first size", at_);
      if (!comma) {
        expect(')');
        break;
      }
    }
  }

  std::ptrdiff_t number() {
    skip_blanks();
    const std::size_t start = at_;
    std::ptrdiff_t value = 0;
    for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_) {
      const int digit = text_[at_] - '0';
      if (value > (std::numeric_limits<std::ptrdiff_t>::max() - digit) / 10) fail("a size is too large", start);
      value = 10 * value + digit;
    }
    if (at_ == start) fail("expected a size", at_);
    return value;
  }

  std::string_view text_;
  std::uint64_t offset_;
  const ByteReader& in_;
  std::size_t at_ = 0;
};

/// The element of type T at `bytes`, its last byte first where `big`.
template <class T> T element(const std::uint8_t* bytes, bool big) {
  if constexpr (std::is_same_v<T, bool>) {
    return *bytes != 0;
  } else {
    std::uint8_t native[sizeof(T)];
    const bool swap = big != (std::endian::native == std::endian::big);
    for (std::size_t i = 0; i < sizeof(T); ++i) native[i] = bytes[swap ? sizeof(T) - 1 - i : i];
    T value;
    std::memcpy(static_cast<void*>(&value), native, sizeof(T));
    return value;
  }
}

/// A number of one type as another; to half by way of float.
template <class To, class From> To convert(From value) {
  if constexpr (std::is_same_v<To, From>)
    return value;
  else if constexpr (std::is_same_v<To, Eigen::half> || std::is_same_v<From, Eigen::half>)
    return static_cast<To>(static_cast<float>(value));
  else
    return static_cast<To>(value);
}

/// Whether every value of From is one of To: true for all To that are no integers.
template <class To, class From> constexpr bool fits() {
  if constexpr (!std::is_integral_v<To>)
    return true;
  else if constexpr (!std::is_integral_v<From>)
    return false;
  else
    return std::is_signed_v<From> <= std::is_signed_v<To> &&
           std::numeric_limits<From>::digits <= std::numeric_limits<To>::digits;
}

/// Calls f(From{}) for the type that `kind` ("f4") names; false where it names none.
template <class F> bool with_type(std::string_view kind, F&& f) {
  if (kind == "f4") return f(float{}), true;
  if (kind == "f8") return f(double{}), true;
  if (kind == "f2") return f(Eigen::half{}), true;
  if (kind == "i1") return f(std::int8_t{}), true;
  if (kind == "u1") return f(std::uint8_t{}), true;
  if (kind == "i2") return f(std::int16_t{}), true;
  if (kind == "u2") return f(std::uint16_t{}), true;
  if (kind == "i4") return f(std::int32_t{}), true;
  if (kind == "u4") return f(std::uint32_t{}), true;
  if (kind == "i8") return f(std::int64_t{}), true;
  if (kind == "u8") return f(std::uint64_t{}), true;
  if (kind == "b1") return f(bool{}), true;
  return false;
}

/// The name of a type in files: "f4".
template <class T> std::string type_name() {
  const char* kind = std::is_same_v<T, bool> ? "b" : !std::is_integral_v<T> ? "f" : std::is_signed_v<T> ? "i" : "u";
  return text(kind, sizeof(T));
}

inline Header read_header(ByteReader& in) {
  const auto start = in.read(8, "header");
  if (std::memcmp(start.data(), "\x93NUMPY", 6) != 0) in.fail("expected a .npy file", 0);
  const int version = start[6];
  if (version < 1 || version > 3 || start[7] != 0)
    in.fail(text("expected version 1.0, 2.0 or 3.0, got ", version, ".", int{start[7]}), 6);
  const auto length = in.read(version == 1 ? 2 : 4, "header");
  std::uint32_t size = 0;
  for (std::size_t i = 0; i < length.size(); ++i) size |= std::uint32_t{length[i]} << (8 * i);
  if (size > 65535) in.fail(text("expected a header of at most 65535 bytes, got ", size), 8);
  const std::uint64_t offset = in.offset();
  const auto dict = in.read(size, "header");
  return HeaderParser({reinterpret_cast<const char*>(dict.data()), dict.size()}, offset, in).parse();
}

template <NpyScalar Scalar> Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic> read(ByteReader& in) {
  const Header header = read_header(in);
  const char order = header.type.empty() ? '\0' : header.type[0];
  Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic> out;
  const bool known = with_type(std::string_view(header.type).substr(order == '\0' ? 0 : 1), [&](auto zero) {
    using From = decltype(zero);
    if (!(order == '<' || order == '>' || (order == '|' && sizeof(From) == 1)))
      in.fail(text("expected a type in byte order < or >, got '", header.type, "'"));
    if constexpr (!fits<Scalar, From>()) {
      in.fail(text("expected a type whose values all fit ", type_name<Scalar>(), ", got '", header.type, "'"));
    } else {
      constexpr std::ptrdiff_t widest = static_cast<std::ptrdiff_t>(std::max(sizeof(From), sizeof(Scalar)));
      constexpr std::ptrdiff_t limit = std::numeric_limits<std::ptrdiff_t>::max() / widest;
      const auto [rows, cols] = std::pair(header.rows, header.cols);
      if (cols != 0 && rows > limit / cols)
        in.fail(text("expected a size that fits in memory, got ", rows, " x ", cols));
      const auto bytes = in.read(static_cast<std::uint64_t>(rows * cols) * sizeof(From), "data");
      out.resize(rows, cols);
      const std::uint8_t* next = bytes.data();
      const auto take = [&] {
        const Scalar value = convert<Scalar>(element<From>(next, order == '>'));
        next += sizeof(From);
        return value;
      };
      if (header.fortran_order) {
        for (std::ptrdiff_t i = 0; i < out.size(); ++i) out.data()[i] = take();
      } else {
        for (std::ptrdiff_t i = 0; i < (out.size() == 0 ? 0 : rows); ++i)
          for (std::ptrdiff_t j = 0; j < cols; ++j) out(i, j) = take();
      }
    }
  });
  if (!known) in.fail(text("expected a type of f2 f4 f8 i1 i2 i4 i8 u1 u2 u4 u8 b1, got '", header.type, "'"));
  return out;
}

template <class Derived>
void write(std::ostream& out, const std::string& path, const Eigen::MatrixBase<Derived>& matrix) {
  using Scalar = typename Derived::Scalar;
  const auto& plain = matrix.derived().eval();
  const char* order = sizeof(Scalar) == 1 ? "|" : std::endian::native == std::endian::big ? ">" : "<";
  std::string dict = text("{'descr': '", order, type_name<Scalar>(),
                          "', 'fortran_order': ", std::decay_t<decltype(plain)>::IsRowMajor ? "False" : "True",
                          ", 'shape': (", plain.rows(), ", ", plain.cols(), "), }");
  // Magic, version and length take 10 bytes, the end of line one; data start on a multiple of 64.
  dict.append((64 - (10 + dict.size() + 1) % 64) % 64, ' ');
  dict += '\n';
  std::string head = {'\x93', 'N', 'U', 'M', 'P', 'Y', 1, 0};
  head += static_cast<char>(dict.size() & 255);
  head += static_cast<char>(dict.size() >> 8);
  head += dict;
  out.write(head.data(), static_cast<std::streamsize>(head.size()));
  if (!out) raise(IoError(path, 0, "cannot write the header"));
  out.write(reinterpret_cast<const char*>(plain.data()), plain.size() * static_cast<std::streamsize>(sizeof(Scalar)));
  if (!out.flush()) raise(IoError(path, head.size(), "cannot write the data"));
}

}  // namespace npy

/// The array that `in` holds, from where it stands to the end of the array. A 1-D array is a column, a 0-D array 1 x 1.
/// Any numeric type becomes a floating Scalar, rounded where need be; an integer Scalar takes types whose values all
/// fit. Either byte order, either storage order. Throws IoError where the bytes end early or are not such an array.
template <NpyScalar Scalar = float> Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic> read_npy(std::istream& in) {
  ByteReader reader(in);
  return npy::read<Scalar>(reader);
}

/// The array that the file at `path` holds, as above. Throws IoError, too, where the file does not open or bytes follow
/// the array.
template <NpyScalar Scalar = float>
Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic> read_npy(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) raise(IoError(path.string(), 0, "cannot open the file"));
  ByteReader reader(in, path.string());
  const auto out = npy::read<Scalar>(reader);
  reader.expect_end();
  return out;
}

/// Writes `matrix` as a 2-D array of its own scalar type, in Fortran order where it is column-major. Throws IoError
/// where the stream does not take it.
template <class Derived>
  requires NpyScalar<typename Derived::Scalar>
void write_npy(std::ostream& out, const Eigen::MatrixBase<Derived>& matrix) {
  npy::write(out, "<stream>", matrix);
}

/// Writes the file at `path`, as above, in place of what it held.
template <class Derived>
  requires NpyScalar<typename Derived::Scalar>
void write_npy(const std::filesystem::path& path, const Eigen::MatrixBase<Derived>& matrix) {
  std::ofstream out(path, std::ios::binary);
  if (!out) raise(IoError(path.string(), 0, "cannot open the file for writing"));
  npy::write(out, path.string(), matrix);
}

}  // namespace nibble
