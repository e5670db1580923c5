// The schemes that have names.
#pragma once

#include "nibble/matrix/scheme.h"

namespace nibble {

/// Symmetric integers, -(2^(B-1) - 1) .. 2^(B-1) - 1, times a scale.
template <int B, class G = PerRow, class S = formats::Float32>
  requires(B >= 2 && B <= 16)
using Int = Scheme<formats::Int<B>, G, S>;

/// Affine integers, (0 .. 2^B - 1) minus a zero point, times a scale. The range always includes 0.
template <int B, class G = PerRow, class S = formats::Float32>
  requires(B >= 1 && B <= 8)
using UInt = Scheme<formats::UInt<B>, G, S, ZeroPoint>;

/// -1, 0, 1, and -1, 1, times a scale, which by default is the mean magnitude.
/// Sources: Ma et al., "The era of 1-bit LLMs" (BitNet b1.58), 2024; Wang et al., "BitNet", 2023.
template <class G = PerTensor, class S = formats::Float32> using Ternary = Scheme<formats::Ternary, G, S>;
template <class G = PerRow, class S = formats::Float32> using Binary = Scheme<formats::Binary, G, S>;

/// The same three values with less waste: 3 in 5 bits, or 5 in 8. Groups are multiples of 3 or 5.
template <class G = PerTensor, class S = formats::Float32> using Ternary3in5 = Scheme<formats::PackedTernary<3>, G, S>;
template <class G = PerTensor, class S = formats::Float32> using Ternary5in8 = Scheme<formats::PackedTernary<5>, G, S>;

/// Odd integers -(2^B - 1) .. 2^B - 1, each bit a sign, times a scale.
template <int B, class G = PerRow, class S = formats::Float32> using Bipolar = Scheme<formats::Bipolar<B>, G, S>;

/// 8-bit floats times a scale.
template <class G = PerRow, class S = formats::Float32> using Fp8E4M3 = Scheme<formats::E4M3FN, G, S>;
template <class G = PerRow, class S = formats::Float32> using Fp8E5M2 = Scheme<formats::E5M2, G, S>;

/// OCP Microscaling Formats 1.0: blocks of 32 under a power of two.
using MxFp8E4M3 = Scheme<formats::E4M3FN, Group<32>, FloorScale>;
using MxFp8E5M2 = Scheme<formats::E5M2, Group<32>, FloorScale>;
using MxFp6E2M3 = Scheme<formats::E2M3, Group<32>, FloorScale>;
using MxFp6E3M2 = Scheme<formats::E3M2, Group<32>, FloorScale>;
using MxFp4 = Scheme<formats::E2M1, Group<32>, FloorScale>;
using MxInt8 = Scheme<formats::Fixed<8, 6>, Group<32>, FloorScale>;

/// NVIDIA NVFP4: E2M1 in blocks of 16 under an E4M3 scale, under one float.
using NvFp4 = Scheme<formats::E2M1, Group<16>, NvScale>;

/// Block floating point, and at PerTensor dynamic fixed point: integers of B bits under a shared power of two.
/// Sources: Drumond et al., "Training DNNs with hybrid block floating point", 2018; Das et al., "Mixed precision
/// training of convolutional neural networks using integer operations", 2018.
template <int B, class G = Group<32>>
  requires(B >= 2 && B <= 16)
using BlockFloat = Scheme<formats::Int<B>, G, FloorScale>;

/// NormalFloat of 4 bits in blocks of G; Nf4Double stores the scales in 8 bits, under a float for each 256 of them.
/// Source: Dettmers et al., "QLoRA", 2023.
template <int G = 64, class S = formats::Float32> using Nf4 = Scheme<formats::NF4, Group<G>, S>;
template <int G = 64>
using Nf4Double = Scheme<formats::NF4, Group<G>, SubScale<formats::UInt<8>, formats::Float32, Group<256 * G>>>;

/// Affine integers in blocks of 32 whose scales are 6-bit integers under a half for each 256 weights, as ggml's
/// k-quants have them, but for zero points in the place of scaled minima.
template <int B>
using SuperBlock =
    Scheme<formats::UInt<B>, Group<32>, SubScale<formats::UInt<6>, formats::Half, Group<256>>, ZeroPoint>;

/// 4-bit weights that decode to int8 by integers alone; see ProgressiveScale.
template <int G = 128> using Progressive = Scheme<formats::UInt<4>, Group<G>, ProgressiveScale, ZeroPoint>;

/// 2^B learned levels times a scale. Each row has its own, or each T: PerTensor, PerRow or the group.
/// Source: Elhoushi and Johnson, "any4", 2025.
template <int B, class G = PerRow, class T = std::conditional_t<std::same_as<G, PerTensor>, PerTensor, PerRow>,
          class S = formats::Float32>
using Codebook = Scheme<formats::Codebook<B>, G, S, NoZero, T>;

/// FP4 or FP3 with one more value, the most suitable of four for each group. Source: see formats::BitMod4.
template <int B, class G = Group<128>, class S = formats::Float32>
  requires(B == 3 || B == 4)
using BitMod = Scheme<std::conditional_t<B == 4, formats::BitMod4, formats::BitMod3>, G, S>;

/// Of the formats F, all of one width, the one that suits a group best.
template <class G, Format... F> using BestOf = Scheme<formats::BestOf<F...>, G>;

}  // namespace nibble
