// DefaultRule: the rule of a scheme for which none is given.
#pragma once

#include "nibble/quantize/abs_mean.h"
#include "nibble/quantize/signed_max.h"

namespace nibble {

template <class S> struct DefaultRuleOf { using type = std::conditional_t<S::affine, MinMax, AbsMax>; };
template <class F>
inline constexpr bool ternary_or_binary =
    std::same_as<F, formats::Ternary> || std::same_as<F, formats::Binary> || std::same_as<F, formats::Bipolar<1>>;
template <int N> inline constexpr bool ternary_or_binary<formats::PackedTernary<N>> = true;
template <class S>
  requires(!S::affine && ternary_or_binary<typename S::format>)
struct DefaultRuleOf<S> {
  using type = AbsMean;
};
template <class S>
  requires(!S::affine && std::same_as<typename S::format, formats::FullInt<S::format::bits>>)
struct DefaultRuleOf<S> {
  using type = SignedMax;
};

/// MinMax for affine schemes, AbsMean for ternary and binary ones, SignedMax for FullInt, AbsMax for all others.
template <class S> using DefaultRule = typename DefaultRuleOf<S>::type;

}  // namespace nibble
