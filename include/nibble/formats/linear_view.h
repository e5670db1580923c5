// Formats whose values are a line over their codes: what products over bits need to know of them.
#pragma once

#include "nibble/formats/format.h"

namespace nibble {

/// Where `exists`, every code c of the format decodes to unit * (slope * c - offset), exactly; slope is 2 where the
/// values are odd multiples of the unit, as with signs, else 1.
struct LinearView {
  bool exists = false;
  float unit = 1;
  int slope = 1;
  int offset = 0;
};

/// The linear view of a scalar format of at most 8 bits, computed from its values.
template <Format F>
  requires(dim_of<F> == 1 && table_size_of<F> == 0 && choices_of<F> == 1 && F::bits <= 8)
consteval LinearView make_linear_view() {
  LinearView view;
  const float first = F::decode(0);
  const float step = F::decode(1) - first;
  if (!(step > 0 && step < 0x1p120f) || !(first >= -128 * step && first <= 128 * step)) return view;
  view.slope = first / step == static_cast<float>(static_cast<int>(first / step)) ? 1 : 2;
  view.unit = step / static_cast<float>(view.slope);
  view.offset = -static_cast<int>(first / view.unit);
  for (std::uint32_t c = 0; c < code_count<F>; ++c) {
    const int multiple = view.slope * static_cast<int>(c) - view.offset;
    if (F::decode(static_cast<typename F::code_type>(c)) != view.unit * static_cast<float>(multiple)) return view;
  }
  view.exists = true;
  return view;
}

template <class F>
inline constexpr LinearView linear_view = [] {
  if constexpr (dim_of<F> == 1 && table_size_of<F> == 0 && choices_of<F> == 1 && F::bits <= 8)
    return make_linear_view<F>();
  else
    return LinearView{};
}();

}  // namespace nibble
