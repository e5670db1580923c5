// Schemes of every kind, and random matrices of them as plain parts.
#pragma once

#include <gtest/gtest.h>

#include "formats/toy_formats.h"
#include "nibble/core/random.h"
#include "nibble/matrix.h"

namespace nibble::test {

using EveryKind =
    testing::Types<Int<4, Group<32>>, Int<2>, Int<3, Group<10>>, Int<5, PerTensor>, Int<6, Group<5>>, Int<7>,
                   Int<8, Group<16>>, UInt<1, Group<7>>, UInt<4, Group<32>, StoredScale<formats::Half>>,
                   UInt<8, PerTensor>, UInt<3, PerRow>, MxFp4, NvFp4, Int<4, Group<16>, StoredScale<formats::E4M3FN>>,
                   Scheme<formats::Half, Group<8>>, Scheme<Uneven, Group<6>>, Scheme<Grid, Group<6>>, Scheme<Grid>,
                   Scheme<Quantiles, Group<9>>, Scheme<Quantiles>>;

/// Random finite codes, scales, zero points and tables; every other field keeps its default.
template <class S> Parts<S> random_parts(Index n, Index k, std::uint64_t seed) {
  using F = typename S::format;
  const Random random(seed);
  std::uint64_t next = 0;
  Parts<S> parts(n, k);
  for (Index i = 0; i < parts.codes.size(); ++i) {
    auto& code = parts.codes.data()[i];
    do code = static_cast<typename S::code_type>(random.bits(next++) % code_count<F>);
    while ([&] {
      if constexpr (S::dim == 1 && S::table_size == 0) return !std::isfinite(F::decode(code));
      return false;
    }());
  }
  for (Index i = 0; i < parts.scales.size(); ++i)
    parts.scales.data()[i] = S::scale::format::encode(0.01f + 2 * random.uniform(next++));
  for (Index i = 0; i < parts.zeros.size(); ++i)
    parts.zeros.data()[i] = static_cast<std::uint8_t>(random.bits(next++) % code_count<F>);
  for (Index i = 0; i < parts.tables.size(); ++i) parts.tables.data()[i] = 2 * random.uniform(next++) - 1;
  return parts;
}

inline const std::pair<Index, Index> awkward_shapes[] = {{0, 0},   {0, 9},   {9, 0},   {1, 1},   {1, 37},  {37, 1},
                                                         {15, 15}, {16, 16}, {17, 17}, {31, 64}, {33, 65}, {2, 131}};

}  // namespace nibble::test
