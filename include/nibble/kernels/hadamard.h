// The fast Walsh-Hadamard transform.
#pragma once

#include <Eigen/Core>

#include <cmath>

#include "nibble/core/parallel.h"
#include "nibble/kernels/targets.h"

namespace nibble {

/// How a transform runs.
struct TransformOptions {
  int threads = 1;                     ///< parts that the columns are spread over; at least 1
  std::optional<Isa> isa{};            ///< instruction set; by default NIBBLE_ISA's, else the best that the CPU has
  std::optional<Executor> executor{};  ///< runs the parts; by default OpenMP where compiled with it, else the caller
  Eigen::Index block = 0;              ///< rows of each block of a block-diagonal H, a power of two; 0: all rows
};

namespace kernels {

inline constexpr int max_hadamard_steps = 20;

/// H for columns of `rows` floats: blocks of 2^steps, each multiplied by `scale`.
struct HadamardShape {
  Eigen::Index rows;
  int steps = 0;
  float scale = 1;

  /// Throws std::invalid_argument, in the name of `function`, for sizes that the transform does not take.
  template <unsigned Baseline = isa::baseline>
  HadamardShape(const char* function, Eigen::Index all, Eigen::Index block) : rows(all) {
    const Eigen::Index size = block == 0 ? rows : block;
    if (block != 0 && rows % block != 0) invalid(function, text("a block that divides the ", rows, " rows"), block);
    if (size == 0) return;
    while (steps < max_hadamard_steps && size > Eigen::Index{1} << steps) ++steps;
    if (size != Eigen::Index{1} << steps)
      invalid(function, text("a power of two up to 2^20 as the ", block == 0 ? "number of rows" : "block"), size);
    scale = static_cast<float>(1 / std::sqrt(static_cast<double>(size)));
  }

  /// Transforms one column; `out` is `in` or does not overlap it.
  template <class Tag> void run(const float* in, float* out) const {
    for (Eigen::Index k = 0; k < rows; k += Eigen::Index{1} << steps)
      HadamardColumn<Tag>::run(in + k, out + k, steps, scale);
  }
};

/// Transforms columns of `rows` floats, `in_stride` and `out_stride` apart.
template <unsigned Baseline = isa::baseline>
void transform_columns(const char* function, const float* in, Eigen::Index in_stride, float* out,
                       Eigen::Index out_stride, Eigen::Index rows, Eigen::Index cols, const TransformOptions& options) {
  const Parallel parallel{options.threads, options.executor};
  check_parallel(function, parallel);
  const HadamardShape shape(function, rows, options.block);
  dispatch(resolve(options.isa), [&](auto tag) {
    parallel_for(cols, parallel, [&](Eigen::Index begin, Eigen::Index end) {
      for (Eigen::Index j = begin; j < end; ++j)
        shape.template run<decltype(tag)>(in + j * in_stride, out + j * out_stride);
    });
  });
}

}  // namespace kernels

/// Replaces each column of X by H times it, where H(i, j) = (-1)^popcount(i & j) / sqrt(n) and n is the number of rows:
/// the orthonormal Walsh-Hadamard matrix in Sylvester's order, its own inverse. It takes n log2(n) additions a column,
/// each step rounded to float, and one product by 1 / sqrt(n) at the end: |error| <= (log2(n) + 2) eps / 2 |x|, both
/// norms over a column. Finite sums can overflow before that product, where n max |x| exceeds the largest float; NaNs
/// and infinities pass through as arithmetic makes them. The same bits, those of NaNs aside, on every instruction set
/// and number of threads. With a block of n rows that divides their number, H is block-diagonal: each run of n rows is
/// transformed by itself. Throws std::invalid_argument, before anything is written, unless n is a power of two up to
/// 2^20 or there are no rows, and on a block that does not divide them, fewer than 1 thread, an empty executor and an
/// instruction set that the CPU lacks.
template <unsigned Baseline = isa::baseline>
void hadamard_transform_in_place(Eigen::Ref<Eigen::MatrixXf> x, const TransformOptions& options = {}) {
  kernels::transform_columns("hadamard_transform_in_place", x.data(), x.outerStride(), x.data(), x.outerStride(),
                             x.rows(), x.cols(), options);
}

/// H X, a matrix of the same shape. X is any dense expression; its elements are rounded to float first. The rest as
/// above.
template <class Derived, unsigned Baseline = isa::baseline>
Eigen::MatrixXf hadamard_transform(const Eigen::MatrixBase<Derived>& x, const TransformOptions& options = {}) {
  Eigen::MatrixXf y(x.rows(), x.cols());
  const auto run = [&](const Eigen::Ref<const Eigen::MatrixXf>& in) {
    kernels::transform_columns("hadamard_transform", in.data(), in.outerStride(), y.data(), y.outerStride(), y.rows(),
                               y.cols(), options);
  };
  if constexpr (std::same_as<typename Derived::Scalar, float>)
    run(x.derived());
  else
    run(x.template cast<float>());
  return y;
}

}  // namespace nibble
