// Random operands of products: every code of a format, scales of many sizes, zero points at their ends.
#pragma once

#include <nibble/nibble.h>

#include <random>

namespace nibble::test {

/// An N x K matrix of random finite codes. Codes at both ends of the range are as likely as all others together.
template <class S> QuantizedMatrix<S> random_matrix(Index n, Index k, unsigned seed) {
  std::mt19937 random(seed);
  Parts<S> parts(n, k);
  const auto pick = [&](std::uint32_t count) -> std::uint32_t {
    const std::uint32_t kind = random() % 4;
    return kind == 0 ? 0 : kind == 1 ? count - 1 : static_cast<std::uint32_t>(random() % count);
  };
  for (Index t = 0; t < parts.tables.rows(); ++t) {
    for (Index c = 0; c < parts.tables.cols(); ++c) parts.tables(t, c) = static_cast<float>(random() % 4001) / 2000 - 1;
    std::sort(parts.tables.row(t).data(), parts.tables.row(t).data() + S::table_size);
  }
  for (Index i = 0; i < parts.codes.size(); ++i) {
    typename S::code_type code;
    const auto finite = [&](int choice) {
      float value[S::dim] = {};
      decode_to<typename S::format>(code, {parts.table(0, 0), choice}, value);
      return std::all_of(value, value + S::dim, [](float v) { return std::isfinite(v); });
    };
    bool all = true;
    do {
      code = static_cast<typename S::code_type>(pick(code_count<typename S::format>));
      all = true;
      for (int choice = 0; choice < S::choices; ++choice) all = all && finite(choice);
    } while (!all);
    parts.codes.data()[i] = code;
  }
  for (Index i = 0; i < parts.scales.size(); ++i) {
    const float scale = std::ldexp(1 + static_cast<float>(random() % 1024) / 1024, static_cast<int>(random() % 6) - 3);
    parts.scales.data()[i] = S::scale::format::encode(scale);
  }
  for (Index i = 0; i < parts.choices.size(); ++i)
    parts.choices.data()[i] = static_cast<std::uint8_t>(random() % static_cast<unsigned>(S::choices));
  for (Index i = 0; i < parts.zeros.size(); ++i)
    parts.zeros.data()[i] = static_cast<std::uint8_t>(pick(1u << S::format::bits));
  for (Index i = 0; i < parts.supers.size(); ++i)
    parts.supers.data()[i] = S::super_format::encode(0.37f + static_cast<float>(random() % 8) / 16);
  return QuantizedMatrix<S>(parts);
}

/// K x M floats, a quarter of them at the ends of the range, so that their codes are too.
inline Eigen::MatrixXf random_inputs(Index k, Index m, unsigned seed) {
  std::mt19937 random(seed);
  return Eigen::MatrixXf::NullaryExpr(k, m, [&] {
    const auto r = random();
    return r % 8 == 0 ? 1.0f : r % 8 == 1 ? -1.0f : static_cast<float>(r % 2001) / 1000 - 1;
  });
}

}  // namespace nibble::test
