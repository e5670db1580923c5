// Slices: the matrices of fewer bits inside a matrix of integers.
#pragma once

#include "nibble/matrix/quantized_matrix.h"

namespace nibble {

/// Integers of R bits that codes of F are sliced to.
template <class F, int R> struct SliceFormat;
template <int B, int R>
  requires(R >= 2 && R <= B)
struct SliceFormat<formats::Int<B>, R> {
  using type = formats::Int<R>;
};
template <int B, int R>
  requires(R >= 1 && R <= B)
struct SliceFormat<formats::UInt<B>, R> {
  using type = formats::UInt<R>;
};

/// The integer of format F (Int<R> or UInt<R>) nearest to value / 2^dropped, halves up: the top bits of the value plus
/// half of what they drop, kept within the range of F.
template <class F> constexpr int slice_value(int value, int dropped) {
  const int half = dropped > 0 ? 1 << (dropped - 1) : 0;
  return static_cast<int>(F::decode(F::encode(static_cast<float>((value + half) >> dropped))));
}

/// The scheme of the R-bit slices of a scheme of integers.
template <class S, int R> struct SliceScheme;
template <class F, class G, class C, class Z, class T, int R> struct SliceScheme<Scheme<F, G, C, Z, T>, R> {
  using type = Scheme<typename SliceFormat<F, R>::type, G, C, Z, T>;
};

/// The R-bit matrix inside a B-bit one of scheme Int<B, ...> or UInt<B, ...>, 1 (signed: 2) <= R <= B: every code c
/// becomes clamp(floor(c / 2^(B-R) + 1/2)), every scale 2^(B-R) times as large (super-scales, where the scheme has
/// them), every zero point as many times smaller. Throws std::invalid_argument where the scheme cannot store such a
/// scale or zero point. Source: Nair et al., "Matryoshka quantization", 2025, equation 6.
template <int R, class S> QuantizedMatrix<typename SliceScheme<S, R>::type> slice(const QuantizedMatrix<S>& matrix) {
  using Narrow = typename SliceScheme<S, R>::type;
  using F = typename S::format;
  constexpr int dropped = F::bits - R;
  const Parts<S> wide = matrix.parts();
  Parts<Narrow> parts(wide.rows, wide.cols);
  const auto grown = [](auto format, const auto& codes) {
    using Scale = decltype(format);
    return codes
        .unaryExpr([](auto code) {
          const float scale = std::ldexp(Scale::decode(code), dropped);
          const auto result = Scale::encode(scale);
          if (Scale::decode(result) != scale)
            invalid("slice", text("scales that ", format_name<Scale>(), " has"), scale);
          return result;
        })
        .eval();
  };
  parts.codes = wide.codes.unaryExpr([](auto code) {
    using Slice = typename Narrow::format;
    return Slice::encode(static_cast<float>(slice_value<Slice>(static_cast<int>(F::decode(code)), dropped)));
  });
  parts.scales = wide.scales;
  parts.supers = wide.supers;
  if constexpr (S::has_super)
    parts.supers = grown(typename S::super_format(), wide.supers);
  else
    parts.scales = grown(typename S::scale::format(), wide.scales);
  for (Index e = 0; e < wide.zeros.size(); ++e) {
    const int zero = wide.zeros.data()[e];
    if (zero % (1 << dropped) != 0) invalid("slice", text("zero points that are multiples of ", 1 << dropped), zero);
    parts.zeros.data()[e] = static_cast<std::uint8_t>(zero >> dropped);
  }
  return QuantizedMatrix<Narrow>(parts);
}

}  // namespace nibble
