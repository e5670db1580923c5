// Compound: what matrices that are made of other matrices have in common.
#pragma once

#include <tuple>
#include <utility>

#include "nibble/matrix/saved_matrix.h"

namespace nibble {

/// Base of Derived, a matrix made of `Parts`: matrices, and vectors of float or int, which may be empty. Derived has
/// rows, cols, dequantize, the word `kind` that files call it by, and a constructor from all parts that throws
/// std::invalid_argument where they do not fit each other.
template <class Derived, class... Parts> class Compound {
 public:
  Compound() = default;

  /// Bytes that the parts occupy.
  Index bytes() const {
    return std::apply([](const auto&... p) { return (bytes_of(p) + ... + Index{0}); }, parts_);
  }

  /// Stored bits of all parts, 32 for each number of a vector, over N K; 0 where N K = 0.
  double bits_per_weight() const {
    const double weights = static_cast<double>(derived().rows()) * static_cast<double>(derived().cols());
    if (weights == 0) return 0;
    return std::apply([](const auto&... p) { return (bits_of(p) + ... + 0.0); }, parts_) / weights;
  }

  /// The same parts.
  friend bool operator==(const Derived& a, const Derived& b) { return same(a.parts_, b.parts_); }

  /// "Sum(e2m1/g32/..., Sparse)".
  static std::string name() {
    std::string names;
    (append_name<Parts>(names), ...);
    return text(Derived::kind, '(', names, ')');
  }

  /// Writes a header that names the type, then the parts. Throws IoError where the stream does not take them.
  void save(std::ostream& out) const {
    detail::MatrixWriter writer(out);
    writer.header(derived());
    std::apply([&](const auto&... p) { (writer.part(p), ...); }, parts_);
    writer.finish();
  }

  /// Reads what `save` wrote and leaves the stream behind it. Memory grows with the bytes that arrive. Throws IoError
  /// where the bytes end early or are no such matrix. `Types` are the types, of matrices or schemes, that each
  /// AnyMatrix in it may turn out to be.
  template <class... Types> static Derived load(std::istream& in) {
    return detail::MatrixReader(in).matrix<Derived, Types...>();
  }

  /// For `load`.
  template <class... Types> static Derived read(detail::MatrixReader& reader) {
    return reader.build<Derived>([&](Index, Index) {
      std::tuple<Parts...> parts{reader.part<Parts, Types...>()...};
      return std::apply([](auto&... p) { return Derived(std::move(p)...); }, parts);
    });
  }

  /// For kernels: f(part) for each part.
  template <class F> void for_each_part(const F& f) const {
    std::apply([&](const auto&... p) { (f(p), ...); }, parts_);
  }

 protected:
  explicit Compound(Parts... parts) : parts_(std::move(parts)...) {}

  template <std::size_t I> const auto& part() const { return std::get<I>(parts_); }

 private:
  const Derived& derived() const { return static_cast<const Derived&>(*this); }

  template <LowBitMatrix M> static Index bytes_of(const M& m) { return m.bytes(); }
  template <class T> static Index bytes_of(const Eigen::Matrix<T, Eigen::Dynamic, 1>& v) {
    return v.size() * static_cast<Index>(sizeof(T));
  }

  template <LowBitMatrix M> static double bits_of(const M& m) {
    return m.bits_per_weight() * static_cast<double>(m.rows()) * static_cast<double>(m.cols());
  }
  template <class T> static double bits_of(const Eigen::Matrix<T, Eigen::Dynamic, 1>& v) {
    return static_cast<double>(v.size()) * 8 * sizeof(T);
  }

  template <std::size_t I = 0> static bool same(const std::tuple<Parts...>& a, const std::tuple<Parts...>& b) {
    if constexpr (I == sizeof...(Parts)) {
      return true;
    } else {
      const auto &p = std::get<I>(a), &q = std::get<I>(b);
      if constexpr (!LowBitMatrix<std::tuple_element_t<I, std::tuple<Parts...>>>)
        if (p.size() != q.size()) return false;
      return p == q && same<I + 1>(a, b);
    }
  }

  template <class P> static void append_name(std::string& names) {
    if constexpr (LowBitMatrix<P>) names += (names.empty() ? "" : ", ") + matrix_name<P>();
  }

  std::tuple<Parts...> parts_;
};

}  // namespace nibble
