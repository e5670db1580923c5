// The fast Walsh-Hadamard transform.
#pragma once

#include <Eigen/Core>

#include <cmath>

#include "nibble/core/parallel.h"
#include "nibble/kernels/targets.h"

namespace nibble {

/// How a transform runs.
struct TransformOptions {
  int threads = 1;           ///< parts that the columns are spread over; at least 1
  std::optional<Isa> isa{};  ///< instruction set; by default NIBBLE_ISA's, else the best that the CPU has
  Executor executor{};       ///< what runs the parts; by default OpenMP where compiled with it, else the caller
};

namespace kernels {

inline constexpr int max_hadamard_steps = 20;

/// log2 of a number of rows that the transform takes. Throws std::invalid_argument for any other number but 0.
inline int hadamard_steps(const char* function, Eigen::Index rows) {
  for (int steps = 0; steps <= max_hadamard_steps; ++steps)
    if (rows == Eigen::Index{1} << steps) return steps;
  if (rows != 0) invalid(function, "a power of two up to 2^20 as the number of rows", rows);
  return 0;
}

/// Transforms columns of `rows` floats, `in_stride` and `out_stride` apart.
template <unsigned Baseline = isa::baseline>
void transform_columns(const char* function, const float* in, Eigen::Index in_stride, float* out,
                       Eigen::Index out_stride, Eigen::Index rows, Eigen::Index cols, const TransformOptions& options) {
  if (options.threads < 1) invalid(function, "at least 1 thread", options.threads);
  const int steps = hadamard_steps(function, rows);
  const Isa isa = resolve(options.isa);
  if (rows == 0) return;
  const auto scale = static_cast<float>(1 / std::sqrt(static_cast<double>(rows)));
  dispatch(isa, [&](auto tag) {
    parallel_for(cols, Parallel{options.threads, options.executor}, [&](Eigen::Index begin, Eigen::Index end) {
      for (Eigen::Index j = begin; j < end; ++j)
        HadamardColumn<decltype(tag)>::run(in + j * in_stride, out + j * out_stride, steps, scale);
    });
  });
}

}  // namespace kernels

/// Replaces each column of X by H times it, where H(i, j) = (-1)^popcount(i & j) / sqrt(n) and n is the number of rows:
/// the orthonormal Walsh-Hadamard matrix in Sylvester's order, its own inverse. It takes n log2(n) additions a column,
/// each step rounded to float, and one product by 1 / sqrt(n) at the end: |error| <= (log2(n) + 2) eps / 2 |x|, both
/// norms over a column. Finite sums can overflow before that product, where n max |x| exceeds the largest float; NaNs
/// and infinities pass through as arithmetic makes them. The same bits, those of NaNs aside, on every instruction set
/// and number of threads. Throws std::invalid_argument, before anything is written, unless n is a power of two up to
/// 2^20 or 0, and on fewer than 1 thread and an instruction set that the CPU lacks.
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
