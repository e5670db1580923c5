// What codes stand for in integers: the tables of a CodeMap, and the order of the numbers of a panel.
#pragma once

#include "nibble/formats/integer_view.h"
#include "nibble/kernels/tiles.h"

namespace nibble::kernels {

/// The CodeMap of format F, which has an integer view.
template <class F> using CodesOf = CodeMap<F::bits, integer_view<F>.identity ? 0 : integer_view<F>.top, dim_of<F>>;

/// Its tables, with room for a register.
template <class F>
inline constexpr auto code_tables = [] {
  using Code = CodesOf<F>;
  constexpr std::size_t dim = static_cast<std::size_t>(Code::dim), codes = std::size_t{1} << Code::bits;
  std::array<std::uint8_t, Code::tables * codes + 16> tables{};
  for (std::size_t c = 0; c < codes; ++c)
    for (std::size_t d = 0; d < dim; ++d) {
      constexpr std::size_t fields = static_cast<std::size_t>(Code::fields),
                            width = static_cast<std::size_t>(Code::width);
      tables[d / fields * codes + c] = static_cast<std::uint8_t>(
          tables[d / fields * codes + c] | integer_view<F>.bytes[c * dim + d] << d % fields * width);
    }
  return tables;
}();

/// The largest magnitude of a weight of scheme S less its zero point, in units.
template <class S>
inline constexpr std::int64_t largest_weight = [] {
  constexpr auto& v = integer_view<typename S::format>;
  const std::int64_t zeros = S::affine ? static_cast<std::int64_t>(1 / v.unit) * ((1 << S::format::bits) - 1) : 0;
  return std::max<std::int64_t>(v.top - v.offset, v.offset + zeros);
}();

/// Where input k lies among the numbers of a panel of scheme S, in the order of IntegerTile.
template <class S> constexpr Index number_place(Index k) {
  const Index code = Layout<S>::place(k / S::dim);
  return 4 * (S::dim * (code / 4) + k % S::dim) + code % 4;
}

}  // namespace nibble::kernels
