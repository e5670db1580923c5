// quantize_bit_activations: from a matrix of activations to the right-hand side of products over bits.
#pragma once

#include <vector>

#include "nibble/core/parallel.h"
#include "nibble/matrix/bit_activations.h"
#include "nibble/quantize/default_rule.h"

namespace nibble {

/// Quantizes X (K x M, any scalar type) along K to integers of 1 to 8 bits, cut into bits. S says to which: Binary (the
/// default; signs), Bipolar<B>, Ternary, Int<B> or UInt<B>, PerRow (one scale for each column) or in groups of a
/// multiple of 32 inputs. The rule chooses the scale of each group, by default as for weights: the mean magnitude for
/// binary and ternary schemes, the range for others. Throws std::invalid_argument where X has a NaN or an infinity.
/// Source: Rastegari et al., "XNOR-Net", 2016, section 3.2 (signs of inputs under their mean magnitude).
template <class S = Binary<>, class Derived, class Rule = DefaultRule<S>>
  requires(ScaleRule<Rule, S>)
BitActivations<S> quantize_bit_activations(const Eigen::MatrixBase<Derived>& x, const Rule& rule = {},
                                           const Parallel& parallel = {}) {
  using Bits = BitActivations<S>;
  const typename Bits::Shape shape{x.rows(), x.cols()};
  if constexpr (requires { rule.check(shape.rows); }) rule.check(shape.rows);
  AlignedArray<std::uint32_t> words(static_cast<std::size_t>(shape.words() * Bits::planes * shape.cols));
  const auto shared = static_cast<std::size_t>(shape.scales());
  AlignedArray<float> scales(shared);
  AlignedArray<std::uint8_t> zeros(S::affine ? shared : 0);
  const typename Eigen::internal::nested_eval<Derived, 1>::type in(x.derived());
  parallel_for(shape.cols, parallel, [&](Index begin, Index end) {
    Eigen::VectorXf column(shape.rows);
    std::vector<std::uint8_t> codes(static_cast<std::size_t>(round_up(shape.rows, 32)));
    for (Index m = begin; m < end; ++m) {
      column = in.col(m).template cast<float>();
      if (!column.allFinite())
        invalid("quantize_bit_activations", "finite activations", text("a NaN or an infinity in column ", m));
      for_each_group<S>(shape.rows, [&](Index g, Index first, Index count) {
        const Quantizer<S> quantizer;
        const GroupParams<S> p = rule(
            WeightGroup{{column.data() + first, static_cast<std::size_t>(count)}, m, first, shape.rows}, quantizer);
        const auto at = static_cast<std::size_t>(shape.scale_index(g, m));
        scales[at] = p.scale;
        if constexpr (S::affine) zeros[at] = p.zero_code;
        for (Index k = first; k < first + count; ++k) {
          const auto code = quantizer.encode(&column[k], p);
          codes[static_cast<std::size_t>(k)] =
              Bits::bit_value == BitValue::Signed ? static_cast<std::uint8_t>(static_cast<int>(S::format::decode(code)))
                                                  : code;
        }
      });
      for (Index word = 0; word < shape.words(); ++word) {
        std::uint32_t fours[8];  // 4 codes each
        std::memcpy(fours, codes.data() + 32 * word, sizeof fours);
        for (int p = 0; p < Bits::planes; ++p) {
          std::uint32_t bits = 0;
          for (int j = 0; j < 8; ++j) bits |= (fours[j] >> p & 0x01010101u) << j;
          words[static_cast<std::size_t>(shape.word_index(word, p, m))] = bits;
        }
      }
    }
  });
  return BitActivations<S>(shape, std::move(words), std::move(scales), std::move(zeros));
}

}  // namespace nibble
