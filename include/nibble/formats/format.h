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

/// Whether codes of several numbers are stored as codes of one number are, 16 rows side by side, because integer
/// products decode them in registers: where the format says `in_panels`.
template <class F>
inline constexpr bool in_panels = [] {
  if constexpr (requires { F::in_panels; })
    return static_cast<bool>(F::in_panels);
  else
    return dim_of<F> == 1;
}();

/// Formats that a group may choose from: F::choices where named, else 1.
template <class F>
inline constexpr int choices_of = [] {
  if constexpr (requires { F::choices; })
    return static_cast<int>(F::choices);
  else
    return 1;
}();

/// What codes mean beside their format: the table of formats that have one, the choice of formats that offer several.
struct Side {
  const float* table = nullptr;
  int choice = 0;
};

/// What one code of F stands for: a float, or a short run of consecutive inputs of one row.
template <class F>
using ValueOf = std::conditional_t<dim_of<F> == 1, float, std::array<float, static_cast<std::size_t>(dim_of<F>)>>;

/// A number format: `bits` stored per code; `decode(code)`, its exact value; `encode(value)`, the nearest value's code,
/// ties to the even code, saturating; `max()`, the largest finite magnitude. All are static.
/// A format with `dim` > 1 codes std::array<float, dim>.
/// A format with `table_size` > 0 takes the table, a `const float*`, as the second argument of decode and encode, and
/// learns it by `fit(const float* values, const float* weights, std::ptrdiff_t count, float* table)` from samples whose
/// squared errors count by their weights (null: all 1). Where tables must ascend, `check(table)` throws unless they do.
/// A format with `choices` > 1 takes the choice, an int, as the last argument of decode, encode and max.
/// Where named, `name()` is its name in files and reports, and `reach()` the value that scale rules make of the largest
/// weight of a group; otherwise that is max().
template <class F>
concept Format = std::unsigned_integral<typename F::code_type> &&(table_size_of<F> == 0 || choices_of<F> == 1) &&
                 requires(typename F::code_type code, ValueOf<F> value, const float* table, int choice) {
  { F::bits } -> std::convertible_to<int>;
  requires(table_size_of<F> == 0 && choices_of<F> == 1 &&
           requires {
             { F::decode(code) } -> std::same_as<ValueOf<F>>;
             { F::encode(value) } -> std::same_as<typename F::code_type>;
             { F::max() } -> std::same_as<float>;
           }) ||
      (table_size_of<F> > 0 &&
       requires {
         { F::decode(code, table) } -> std::same_as<ValueOf<F>>;
         { F::encode(value, table) } -> std::same_as<typename F::code_type>;
         { F::max() } -> std::same_as<float>;
       }) ||
      (choices_of<F> > 1 && requires {
        { F::decode(code, choice) } -> std::same_as<ValueOf<F>>;
        { F::encode(value, choice) } -> std::same_as<typename F::code_type>;
        { F::max(choice) } -> std::same_as<float>;
      });
};

/// Writes the dim values of `code` to `out`.
template <Format F> constexpr void decode_to(typename F::code_type code, const Side& side, float* out) {
  const auto value = [&] {
    if constexpr (table_size_of<F> != 0)
      return F::decode(code, side.table);
    else if constexpr (choices_of<F> != 1)
      return F::decode(code, side.choice);
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
template <Format F> constexpr typename F::code_type encode_from(const float* in, const Side& side) {
  ValueOf<F> value;
  if constexpr (dim_of<F> == 1) {
    value = *in;
  } else {
    for (std::size_t i = 0; i < value.size(); ++i) value[i] = in[i];
  }
  if constexpr (table_size_of<F> != 0)
    return F::encode(value, side.table);
  else if constexpr (choices_of<F> != 1)
    return F::encode(value, side.choice);
  else
    return F::encode(value);
}

/// The largest finite magnitude of F, of the given choice.
template <Format F> constexpr float max_of(int choice = 0) {
  if constexpr (choices_of<F> != 1)
    return F::max(choice);
  else
    return F::max();
}

/// The value that scale rules make of the largest weight of a group.
template <Format F> constexpr float reach_of(int choice = 0) {
  if constexpr (requires { F::reach(); })
    return F::reach();
  else
    return max_of<F>(choice);
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
