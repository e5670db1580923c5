// Transposition of small blocks of floats, four by four.
#pragma once

#include <cstddef>
#include <cstring>

namespace nibble::kernels {

/// out[j * out_stride + i] = in[i * in_stride + j] for i < rows, j < cols.
inline void transpose(const float* in, std::ptrdiff_t in_stride, std::ptrdiff_t rows, std::ptrdiff_t cols, float* out,
                      std::ptrdiff_t out_stride) {
  typedef float Four __attribute__((vector_size(16)));
  const auto load = [&](std::ptrdiff_t i, std::ptrdiff_t j) {
    Four v;
    std::memcpy(&v, in + i * in_stride + j, sizeof v);
    return v;
  };
  const auto store = [&](std::ptrdiff_t j, std::ptrdiff_t i, Four v) {
    std::memcpy(out + j * out_stride + i, &v, sizeof v);
  };
  const std::ptrdiff_t whole_rows = rows / 4 * 4, whole_cols = cols / 4 * 4;
  for (std::ptrdiff_t i = 0; i < whole_rows; i += 4) {
    for (std::ptrdiff_t j = 0; j < whole_cols; j += 4) {
      const Four a = load(i, j), b = load(i + 1, j), c = load(i + 2, j), d = load(i + 3, j);
      const Four ab_low = __builtin_shufflevector(a, b, 0, 4, 1, 5),
                 ab_high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
      const Four cd_low = __builtin_shufflevector(c, d, 0, 4, 1, 5),
                 cd_high = __builtin_shufflevector(c, d, 2, 6, 3, 7);
      store(j, i, __builtin_shufflevector(ab_low, cd_low, 0, 1, 4, 5));
      store(j + 1, i, __builtin_shufflevector(ab_low, cd_low, 2, 3, 6, 7));
      store(j + 2, i, __builtin_shufflevector(ab_high, cd_high, 0, 1, 4, 5));
      store(j + 3, i, __builtin_shufflevector(ab_high, cd_high, 2, 3, 6, 7));
    }
  }
  for (std::ptrdiff_t i = 0; i < rows; ++i)
    for (std::ptrdiff_t j = i < whole_rows ? whole_cols : 0; j < cols; ++j)
      out[j * out_stride + i] = in[i * in_stride + j];
}

}  // namespace nibble::kernels
