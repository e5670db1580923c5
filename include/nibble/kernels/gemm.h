// The products: W * X and gemm(W, X, Y).
#pragma once

#include "nibble/kernels/bfloat16_product.h"
#include "nibble/kernels/epilogue.h"
#include "nibble/kernels/integer_product.h"
#include "nibble/kernels/memory.h"

namespace nibble {

/// How a product runs.
struct GemmOptions {
  int threads = 1;                     ///< parts that panels of 16 rows are spread over; at least 1
  std::optional<Isa> isa{};            ///< instruction set; by default NIBBLE_ISA's, else the best that the CPU has
  std::optional<Executor> executor{};  ///< runs the parts; by default OpenMP where compiled with it, else the caller
  Workspace* workspace{};              ///< where scratch memory comes from; by default each call takes its own
};

namespace kernels {

/// Throws std::invalid_argument, in the name of `function`, on options that no product can run with.
template <unsigned Baseline = isa::baseline> void check_options(const char* function, const GemmOptions& options) {
  check_parallel(function, {options.threads, options.executor});
  (void)resolve(options.isa);
  const Scratch free(function, options.workspace);
}

/// Throws std::invalid_argument unless Y can take W * X, for an X that lies at `x`, and overlaps neither.
template <class Scalar, class W>
void check_product(const W& w, Index x_rows, Index x_cols, const Memory& x,
                   const Eigen::Ref<Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic>>& y,
                   const GemmOptions& options) {
  check_options("gemm", options);
  if (x_rows != w.cols())
    invalid("gemm", text("X with the ", w.cols(), " rows that W has columns"), text(x_rows, " x ", x_cols));
  if (y.rows() != w.rows() || y.cols() != x_cols)
    invalid("gemm", text("Y of ", w.rows(), " x ", x_cols), text(y.rows(), " x ", y.cols()));
  const Memory out = memory_of(y);
  if (out.overlaps(x) || out.overlaps(w)) invalid("gemm", "Y in memory of its own", "one that overlaps W or X");
}

/// Throws std::invalid_argument unless the epilogue has an entry for each row, where it has any, and Y overlaps none.
inline void check_epilogue(const Epilogue& epilogue, const Eigen::Ref<Eigen::MatrixXf>& y) {
  for (const auto* v : {&epilogue.bias, &epilogue.scale}) {
    if (v->size() == 0) continue;
    if (v->size() != y.rows())
      invalid("gemm", text("a bias and a scale for each of ", y.rows(), " rows, or none"), v->size());
    if (memory_of(y).overlaps(memory_of(*v)))
      invalid("gemm", "Y in memory of its own", "one that overlaps the bias or the scale");
  }
}

/// The number of parts that run at once.
inline Index part_count(Index rows, int threads) {
  return std::min<Index>(threads, (rows + lanes - 1) / lanes);
}

template <class Product, class Output>
void run_product(const Product& product, Index rows, const Output& output, const Parallel& parallel) {
  const Index panels = (rows + lanes - 1) / lanes;
  const Index parts = part_count(rows, parallel.threads);
  parallel_for(parts, parallel, [&](Index begin, Index end) {
    for (Index part = begin; part < end; ++part)
      product.panels(part * panels / parts, (part + 1) * panels / parts, part, output);
  });
}

template <bool Raw, unsigned Baseline, class S, class A, class Output>
void integer_product(const QuantizedMatrix<S>& w, const QuantizedActivations<A>& x, const Output& output,
                     const GemmOptions& options) {
  dispatch(resolve(options.isa), [&](auto tag) {
    using Product = IntegerProduct<decltype(tag), S, A, Raw>;
    if constexpr (Raw) {
      if (w.cols() > Product::longest_raw())
        invalid("gemm", text("K of at most ", Product::longest_raw(), " so that integers fit 32 bits"), w.cols());
    }
    Scratch memory("gemm", options.workspace);
    const Product product(w, x, part_count(w.rows(), options.threads), memory);
    run_product(product, w.rows(), output, {options.threads, options.executor});
  });
}

}  // namespace kernels

/// Y = W * X in float arithmetic, exact in the weights; |error| <= K eps |W| |X| element by element. W is N x K, X any
/// dense K x M expression, Y an existing N x M matrix or block. Five columns or more of bfloat16 are multiplied in
/// bfloat16 where the CPU can, with the error that kernels::BFloat16Product states. The result does not depend on the
/// number of threads. What `epilogue` asks for is done before Y is written. Throws std::invalid_argument, before
/// anything is written, on shapes that do not fit, a NaN or infinity in X, fewer than 1 thread, an executor that cannot
/// be called, an instruction set that the CPU lacks, a workspace in use, and Y overlapping X, W, bias or scale.
template <class S, class Derived, unsigned Baseline = isa::baseline>
void gemm(const QuantizedMatrix<S>& w, const Eigen::MatrixBase<Derived>& x, Eigen::Ref<Eigen::MatrixXf> y,
          const GemmOptions& options = {}, const Epilogue& epilogue = {}) {
  kernels::check_product<float>(w, x.rows(), x.cols(), kernels::memory_of(x), y, options);
  kernels::check_epilogue(epilogue, y);
  const typename Eigen::internal::nested_eval<Derived, 1>::type in(x.derived());
  const Parallel parallel{options.threads, options.executor};
  dispatch(resolve(options.isa), [&](auto tag) {
    using Tag = decltype(tag);
    using Pairs = kernels::BFloat16Product<Tag, S>;
    Scratch memory("gemm", options.workspace);
    const Index parts = kernels::part_count(w.rows(), options.threads);
    const kernels::FloatOutput<Baseline> output{y.data(), y.outerStride(), y.rows(), epilogue};
    if constexpr (Pairs::exists && std::same_as<typename Derived::Scalar, Eigen::bfloat16>) {
      if (x.cols() >= Pairs::least_columns && kernels::BFloat16Dot<Tag>::available())
        return kernels::run_product(Pairs(w, in, parallel, parts, memory), w.rows(), output, parallel);
    }
    kernels::run_product(kernels::FloatProduct<Tag, S>(w, in, parallel, parts, memory), w.rows(), output, parallel);
  });
}

/// Y = W * X for quantized activations, in integer arithmetic where the values of W's format are small integers times a
/// unit (integers, E2M1, ...): int32 sums within each group of W and of X are exact, scales are applied in float. Other
/// formats multiply the dequantized X, allocated by each call, in float arithmetic. Same bits on every instruction set
/// and number of threads. Shapes, epilogue and errors as above. Groups of W and X need a common divisor that is a
/// multiple of 4 inputs, or groups of W must divide those of X.
template <class S, class A, unsigned Baseline = isa::baseline>
void gemm(const QuantizedMatrix<S>& w, const QuantizedActivations<A>& x, Eigen::Ref<Eigen::MatrixXf> y,
          const GemmOptions& options = {}, const Epilogue& epilogue = {}) {
  if constexpr (!has_integer_view<typename S::format>) {
    gemm(w, x.dequantize(), y, options, epilogue);
  } else {
    kernels::check_product<float>(w, x.rows(), x.cols(), {x.codes(0), x.shape().bytes()}, y, options);
    kernels::check_epilogue(epilogue, y);
    const kernels::FloatOutput<Baseline> output{y.data(), y.outerStride(), y.rows(), epilogue};
    if (w.cols() == 0) {
      output.store_zeros(y.cols());
    } else {
      kernels::integer_product<false, Baseline>(w, x, output, options);
    }
  }
}

/// The raw product of integers, exact: Y(i, j) = sum over k of w(i, k) x(k, j) with the weights' integers (values of
/// the format less the zero point, in units of its smallest step; times the scale where scales are integers) and the
/// activations' (less their zero). W has one scale per row or tensor, or integer scales (Progressive); X one per column
/// and at most 8 bits. Throws std::invalid_argument as above and where K is so large that sums might not fit 32 bits.
template <class S, class A, unsigned Baseline = isa::baseline>
void gemm(const QuantizedMatrix<S>& w, const QuantizedActivations<A>& x, Eigen::Ref<Eigen::MatrixXi> y,
          const GemmOptions& options = {}) {
  kernels::check_product<int>(w, x.rows(), x.cols(), {x.codes(0), x.shape().bytes()}, y, options);
  if (w.cols() == 0)
    y.setZero();
  else
    kernels::integer_product<true, Baseline>(
        w, x, kernels::IntegerOutput<Baseline>{y.data(), y.outerStride(), y.rows()}, options);
}

using MatrixXi8 = Eigen::Matrix<std::int8_t, Eigen::Dynamic, Eigen::Dynamic>;

/// The same, each sum rescaled to -127 .. 127 by integers alone: `factors` has a number for each row of W, or one for
/// all. Throws std::invalid_argument as above, and unless factors fit N and lie in Dyadic's range.
/// Source: Yao et al., "HAWQ-V3: dyadic neural network quantization", 2021, section 3.
template <class S, class A, unsigned Baseline = isa::baseline>
void gemm(const QuantizedMatrix<S>& w, const QuantizedActivations<A>& x, const std::vector<Dyadic>& factors,
          Eigen::Ref<MatrixXi8> y, const GemmOptions& options = {}) {
  kernels::check_product<std::int8_t>(w, x.rows(), x.cols(), {x.codes(0), x.shape().bytes()}, y, options);
  if (factors.size() != 1 && factors.size() != static_cast<std::size_t>(w.rows()))
    invalid("gemm", text("a factor for each of ", w.rows(), " rows, or one"), factors.size());
  for (const Dyadic& f : factors)
    if (f.multiplier <= 0 || f.shift < 0 || f.shift > 62)
      invalid("gemm", "positive multipliers and shifts of 0 to 62", text(f.multiplier, " / 2^", f.shift));
  if (w.cols() == 0)
    y.setZero();
  else
    kernels::integer_product<true, Baseline>(
        w, x, kernels::DyadicOutput<Baseline>{y.data(), y.outerStride(), y.rows(), factors.data(), factors.size() == 1},
        options);
}

/// W * X with default options: float arithmetic for an Eigen expression, integer for quantized activations.
template <class S, class Derived, unsigned Baseline = isa::baseline>
Eigen::MatrixXf operator*(const QuantizedMatrix<S>& w, const Eigen::MatrixBase<Derived>& x) {
  Eigen::MatrixXf y(w.rows(), x.cols());
  gemm(w, x, y);
  return y;
}
template <class S, class A, unsigned Baseline = isa::baseline>
Eigen::MatrixXf operator*(const QuantizedMatrix<S>& w, const QuantizedActivations<A>& x) {
  Eigen::MatrixXf y(w.rows(), x.cols());
  gemm(w, x, y);
  return y;
}

}  // namespace nibble
