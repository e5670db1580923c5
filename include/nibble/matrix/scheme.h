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

/// How scales are stored: as codes of format F. `Tensor` adds one float for the whole matrix that multiplies them all.
/// `encode(reach, top, tensor)` is the code of the scale that lets a format whose largest value is `top` reach `reach`;
/// `tensor_scale(reach, top)` chooses the float from the reach of the whole matrix.
template <Format F> struct StoredScale {
  using format = F;
  static constexpr bool has_tensor_scale = false;
  static float tensor_scale(float, float) { return 1; }
  static typename F::code_type encode(float reach, float top, float) {
    const float scale = reach / top;
    if (!stores(reach, top)) invalid("quantize", text("scales up to ", F::max(), " (", format_name<F>(), ")"), scale);
    return F::encode(scale);
  }
  /// Whether the scale is none too large for F.
  static bool stores(float reach, float top) { return reach / top <= F::max(); }
  static std::string name() { return format_name<F>(); }
};

/// A power of two as OCP MX asks for: 2^(floor(log2 reach) - floor(log2 top)). Source: OCP Microscaling Formats 1.0,
/// section 6.3.
struct FloorScale {
  using format = formats::E8M0;
  static constexpr bool has_tensor_scale = false;
  static float tensor_scale(float, float) { return 1; }
  static format::code_type encode(float reach, float top, float) {
    if (!(reach > 0)) return 0;
    const int exponent = std::ilogb(reach) - std::ilogb(top) + format::bias;
    return static_cast<format::code_type>(exponent < 0 ? 0 : exponent > 254 ? 254 : exponent);
  }
  static std::string name() { return "e8m0"; }
};

/// E4M3 scales under one float scale, reach / (448 top), as NVFP4 has them. Block scales stay within the normal E4M3.
/// Source: NVIDIA, NVFP4; the lower clamp as in torchao's nvfp4_quantize.
struct NvScale {
  using format = formats::E4M3FN;
  static constexpr bool has_tensor_scale = true;
  static float tensor_scale(float reach, float top) {
    const float scale = reach / (format::max() * top);
    return scale >= std::numeric_limits<float>::min() ? scale : std::numeric_limits<float>::min();
  }
  static format::code_type encode(float reach, float top, float tensor) {
    const float scale = reach / top / tensor;
    return format::encode(scale > 0x1p-6f ? scale : 0x1p-6f);
  }
  static std::string name() { return "nv-e4m3"; }
};

/// What is stored: codes of format F; a scale of type S and perhaps a zero point (Z) for each group (G). Everything
/// that depends on the type alone is a constant here.
template <Format F, class G = PerRow, class S = StoredScale<formats::Float32>, class Z = NoZero> struct Scheme {
  using format = F;
  using group = G;
  using scale = S;
  using code_type = typename F::code_type;
  using scale_code = typename S::format::code_type;
  static constexpr bool affine = std::same_as<Z, ZeroPoint>;
  static constexpr int dim = dim_of<F>;
  static constexpr int table_size = table_size_of<F>;
  /// Inputs per group; 0 where a group is a whole row.
  static constexpr int group_inputs = group_size<G>;
  static_assert(group_inputs % dim == 0, "a group holds whole codes");
  static_assert(F::bits <= 16, "codes have at most 16 bits");

  /// Rows whose codes lie side by side: 16, or 1 where decoding needs a table of the row or a run of inputs.
  static constexpr int panel_rows = dim > 1 || table_size > 0 ? 1 : 16;

  static std::string name() {
    std::string n = format_name<F>() + "/" + G::name() + "/" + S::name();
    return affine ? n + "/zero" : n;
  }
};

/// Symmetric integers, -(2^(B-1) - 1) .. 2^(B-1) - 1, times a scale.
template <int B, class G = PerRow, class S = StoredScale<formats::Float32>>
  requires(B >= 2 && B <= 8)
using Int = Scheme<formats::Int<B>, G, S>;

/// Affine integers, (0 .. 2^B - 1) minus a zero point, times a scale. The range always includes 0.
template <int B, class G = PerRow, class S = StoredScale<formats::Float32>>
  requires(B >= 1 && B <= 8)
using UInt = Scheme<formats::UInt<B>, G, S, ZeroPoint>;

/// OCP MXFP4: E2M1 in blocks of 32 under a power of two.
using MxFp4 = Scheme<formats::E2M1, Group<32>, FloorScale>;

/// NVIDIA NVFP4: E2M1 in blocks of 16 under an E4M3 scale, under one float.
using NvFp4 = Scheme<formats::E2M1, Group<16>, NvScale>;

}  // namespace nibble
