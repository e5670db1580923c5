// A scheme: which format codes the weights, and what scale and zero point each group of them shares.
#pragma once

#include <algorithm>
#include <cmath>

#include "nibble/formats.h"

namespace nibble {

/// Groups run along K. One scale for the whole matrix, for each row, or for each run of G inputs of a row.
struct PerTensor {
  static std::string name() { return "tensor"; }
};
struct PerRow {
  static std::string name() { return "row"; }
};
template <int G>
  requires(G > 0)
struct Group {
  static std::string name() { return text("g", G); }
};

/// Inputs per group: G for Group<G>, 0 where a group is a whole row.
template <class G> inline constexpr int group_size = 0;
template <int G> inline constexpr int group_size<Group<G>> = G;

/// Whether groups are offset by a zero point, stored as a byte: value = (decode(code) - zero) * scale.
struct NoZero {};
struct ZeroPoint {};

/// Which values the codes of one group are to span.
struct Range {
  float low;
  float high;
  float reach() const { return std::max(0.0f, std::max(high, -low)); }
};

/// How scales are stored: as codes of format F, nearest to reach / top, where `top` is the largest value of the
/// weights' format and `reach` what a group is to reach.
template <Format F> struct StoredScale {
  using format = F;
  static typename F::code_type encode(float reach, float top) {
    const float scale = reach / top;
    if (scale > F::max()) invalid("quantize", text("scales up to ", F::max(), " (", format_name<F>(), ")"), scale);
    return F::encode(scale);
  }
  static std::string name() { return format_name<F>(); }
};

/// A power of two as OCP MX asks for: 2^(floor(log2 reach) - floor(log2 top)).
/// Source: OCP Microscaling Formats 1.0, section 6.3.
struct FloorScale {
  using format = formats::E8M0;
  static format::code_type encode(float reach, float top) {
    if (!(reach > 0)) return 0;
    const int exponent = std::ilogb(reach) - std::ilogb(top) + format::bias;
    return static_cast<format::code_type>(exponent < 0 ? 0 : exponent > 254 ? 254 : exponent);
  }
  static std::string name() { return format_name<format>(); }
};

/// Scales that are codes of format F times a super-scale of format Super, which the groups of a span share: the whole
/// tensor, a row, or a run of inputs (a multiple of the group). The super-scale lets the largest of its groups have the
/// largest scale that F can code. Sources: k-quants (ggml); double quantization (Dettmers et al., "QLoRA", 2023,
/// without its mean).
template <Format F, Format Super = formats::Float32, class Span = PerTensor> struct SubScale {
  using format = F;
  using super = Super;
  using span = Span;
  /// The super-scale of a span whose weights lie in `whole` and whose groups reach at most `reach`.
  static float super_scale(const Range&, float reach, float top) { return reach / (F::max() * top); }
  static typename F::code_type encode(float reach, float top, float super_scale) {
    return F::encode(super_scale > 0 ? reach / top / super_scale : 0.0f);
  }
  static std::string name() { return text(format_name<F>(), '*', format_name<Super>(), '-', Span::name()); }
};

/// NVFP4's: E4M3 under one float, kept within the normal E4M3.
/// Source: NVIDIA, NVFP4; the lower clamp as in torchao's nvfp4_quantize.
struct NvScale : SubScale<formats::E4M3FN> {
  static float super_scale(const Range&, float reach, float top) {
    const float scale = reach / (format::max() * top);
    return scale >= std::numeric_limits<float>::min() ? scale : std::numeric_limits<float>::min();
  }
  static format::code_type encode(float reach, float top, float super_scale) {
    const float scale = reach / top / super_scale;
    return format::encode(scale > 0x1p-6f ? scale : 0x1p-6f);
  }
  static std::string name() { return "nv-e4m3"; }
};

/// Integer scales under one float per row that maps the row to -119 .. 119, so that (code - zero) * scale is an integer
/// of 8 bits: a row of int8 weights, stored in 4 bits, that decodes without float arithmetic.
/// Source: Lin et al., "QServe", 2024, section 4.1 (progressive quantization, protective range).
struct ProgressiveScale : SubScale<formats::UInt<8>, formats::Float32, PerRow> {
  static float super_scale(const Range& whole, float, float) { return whole.reach() / 119; }
  static format::code_type encode(float reach, float top, float super_scale) {
    const float scale = super_scale > 0 ? reach / top / super_scale : 0.0f;
    return scale > 0 ? std::max<format::code_type>(1, format::encode(scale)) : format::code_type{0};
  }
  static std::string name() { return "progressive"; }
};

/// The super-scales of scale type S, and what shares one of them.
template <class S> struct SuperOf {
  static constexpr bool exists = false;
  using format = formats::Float32;
  using span = PerTensor;
};
template <class S>
  requires requires {
    typename S::span;
  }
struct SuperOf<S> {
  static constexpr bool exists = true;
  using format = typename S::super;
  using span = typename S::span;
};

/// Where a third argument of a scheme is a format, scales are stored in it.
template <class S> struct ScaleOf { using type = S; };
template <Format F> struct ScaleOf<F> { using type = StoredScale<F>; };

/// What is stored: codes of format F; a scale of type S (or of format S) and perhaps a zero point (Z) for each group
/// (G); a table for each T, which is PerTensor, PerRow or G. Everything that depends on the type alone is a constant
/// here.
template <Format F, class G = PerRow, class S = formats::Float32, class Z = NoZero, class T = PerRow> struct Scheme {
  using format = F;
  using group = G;
  using scale = typename ScaleOf<S>::type;
  using table_group = T;
  using code_type = typename F::code_type;
  using scale_code = typename scale::format::code_type;
  using super_format = typename SuperOf<scale>::format;
  using super_span = typename SuperOf<scale>::span;
  using super_code = typename super_format::code_type;
  static constexpr bool has_super = SuperOf<scale>::exists;
  static constexpr bool affine = std::same_as<Z, ZeroPoint>;
  static constexpr int dim = dim_of<F>;
  static constexpr int table_size = table_size_of<F>;
  static constexpr int choices = choices_of<F>;
  /// Inputs per group; 0 where a group is a whole row.
  static constexpr int group_inputs = group_size<G>;
  static_assert(group_inputs % dim == 0, "a group holds whole codes");
  static_assert(F::bits <= 16, "codes have at most 16 bits");
  static_assert(!affine || F::bits <= 8, "zero points have at most 8 bits");
  static_assert(std::same_as<T, PerTensor> || std::same_as<T, PerRow> || std::same_as<T, G>,
                "a table belongs to the tensor, a row or a group");

  /// Rows whose codes lie side by side: 16, or 1 where decoding needs a table of the row or is by runs of inputs.
  static constexpr int panel_rows = !in_panels<F> || (table_size > 0 && !std::same_as<T, PerTensor>) ? 1 : 16;

  static std::string name() {
    const bool other_tables = table_size > 0 && !std::same_as<T, PerRow>;
    return text(format_name<F>(), '/', G::name(), '/', scale::name(), affine ? "/zero" : "",
                other_tables ? text("/table-", T::name()) : "");
  }
};

}  // namespace nibble
