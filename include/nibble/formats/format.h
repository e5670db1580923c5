// What a number format is, and the one way to decode and encode through any of them.
#pragma once

#include <array>
#include <concepts>
#include <cstdint>
#include <string>

#include "nibble/core/error.h"

namespace nibble {

/// Numbers per code: F::dim where the format names one (a vector format), else 1.
template <class F>
inline constexpr int dim_of = [] {
  if constexpr (requires { F::dim; })
    return static_cast<int>(F::dim);
  else
    return 1;
}();

/// Floats of side information that decoding needs (a learned codebook): F::table_size where named, else 0.
template <class F>
inline constexpr int table_size_of = [] {
  if constexpr (requires { F::table_size; })
    return static_cast<int>(F::table_size);
  else
    return 0;
}();

/// What one code of F stands for: a float, or a short run of consecutive inputs of one row.
template <class F>
using ValueOf = std::conditional_t<dim_of<F> == 1, float, std::array<float, static_cast<std::size_t>(dim_of<F>)>>;

/// A number format: `bits` stored per code; `decode(code)`, its exact value; `encode(value)`, the nearest value's code,
/// ties to the even code, saturating; `max()`, the largest finite magnitude. All are static. A format with `dim` > 1
/// codes std::array<float, dim>. A format with `table_size` > 0 takes the table, a `const float*`, as the second
/// argument of decode and encode, and learns it from samples by `fit(const float* values, const float* weights,
/// std::ptrdiff_t count, float* table)`, whose weights, those of the squared errors, may be null: all 1. `name()`, where
/// present, is its name in files and reports.
template <class F>
concept Format = std::unsigned_integral<typename F::code_type> &&
    requires(typename F::code_type code, ValueOf<F> value, const float* table) {
  { F::bits } -> std::convertible_to<int>;
  { F::max() } -> std::same_as<float>;
  requires(table_size_of<F> == 0 &&
           requires {
             { F::decode(code) } -> std::same_as<ValueOf<F>>;
             { F::encode(value) } -> std::same_as<typename F::code_type>;
           }) ||
      (table_size_of<F> > 0 && requires {
        { F::decode(code, table) } -> std::same_as<ValueOf<F>>;
        { F::encode(value, table) } -> std::same_as<typename F::code_type>;
      });
};

/// Writes the dim values of `code` to `out`.
template <Format F> constexpr void decode_to(typename F::code_type code, const float* table, float* out) {
  const auto value = [&] {
    if constexpr (table_size_of<F> != 0)
      return F::decode(code, table);
    else
      return F::decode(code);
  }();
  if constexpr (dim_of<F> == 1) {
    *out = value;
  } else {
    for (std::size_t i = 0; i < value.size(); ++i) out[i] = value[i];
  }
}

/// The code of the dim values at `in`.
template <Format F> constexpr typename F::code_type encode_from(const float* in, const float* table) {
  ValueOf<F> value;
  if constexpr (dim_of<F> == 1) {
    value = *in;
  } else {
    for (std::size_t i = 0; i < value.size(); ++i) value[i] = in[i];
  }
  if constexpr (table_size_of<F> != 0)
    return F::encode(value, table);
  else
    return F::encode(value);
}

/// The number of codes of F.
template <class F>
  requires(F::bits < 32)
inline constexpr std::uint32_t code_count = std::uint32_t{1} << F::bits;

/// The format's own name, or "custom<bits>".
template <Format F> std::string format_name() {
  if constexpr (requires { F::name(); })
    return F::name();
  else
    return text("custom", static_cast<int>(F::bits));
}

/// The smallest unsigned type of at least `Bits` bits.
template <int Bits>
using CodeFor =
    std::conditional_t<Bits <= 8, std::uint8_t, std::conditional_t<Bits <= 16, std::uint16_t, std::uint32_t>>;

}  // namespace nibble
