// Scalar formats as values, so that one test runs over all of them without being compiled for each.
#pragma once

#include <ostream>
#include <utility>
#include <vector>

#include "nibble/formats.h"

namespace nibble::test {

/// How a format rounds: to the nearest value, ties to the even code; to the nearest, ties otherwise; to a neighbour.
enum class Rounding { Even, Nearest, Neighbour };

template <class F> inline constexpr Rounding rounding = Rounding::Even;
template <> inline constexpr Rounding rounding<formats::HiFloat8> = Rounding::Nearest;
template <int E, int B, formats::Sign S>
inline constexpr Rounding rounding<formats::MiniFloat<E, 0, B, formats::Special::Scale, S>> = Rounding::Nearest;
template <int N> inline constexpr Rounding rounding<formats::Posit<N>> = Rounding::Neighbour;

struct AnyFormat {
  std::string name;
  int bits;
  double max;
  bool has_nan;
  bool has_infinity;
  Rounding rounding;
  double (*decode)(std::uint32_t code);
  std::uint32_t (*encode)(float x);
  /// Values and codes of make_levels.
  std::vector<std::pair<double, std::uint32_t>> (*levels)();
  /// The two values of `neighbours` of x.
  std::pair<double, double> (*enclose)(float x);
};

inline void PrintTo(const AnyFormat& format, std::ostream* out) {
  *out << format.name;
}

template <Format F> AnyFormat any_format() {
  using Code = typename F::code_type;
  static_assert(dim_of<F> == 1 && table_size_of<F> == 0);
  static_assert(sizeof(Code) == (F::bits <= 8 ? 1 : 2));
  static_assert(F::decode(F::encode(F::max())) == F::max(), "at compile time");
  bool has_nan = false;
  bool has_infinity = false;
  if constexpr (requires { F::has_nan; }) {
    has_nan = F::has_nan;
    has_infinity = F::has_infinity;
  }
  return {F::name(),
          F::bits,
          static_cast<double>(F::max()),
          has_nan,
          has_infinity,
          rounding<F>,
          [](std::uint32_t code) { return static_cast<double>(F::decode(static_cast<Code>(code))); },
          [](float x) { return std::uint32_t{F::encode(x)}; },
          [] {
            std::vector<std::pair<double, std::uint32_t>> out;
            for (const auto& [value, code] : make_levels<F>()) out.push_back({static_cast<double>(value), code});
            return out;
          },
          [](float x) {
            static const auto levels = make_levels<F>();
            const auto [below, above] = neighbours(levels, x);
            return std::pair(static_cast<double>(below.value), static_cast<double>(above.value));
          }};
}

template <class... F> std::vector<AnyFormat> any_formats() {
  return {any_format<F>()...};
}

}  // namespace nibble::test
