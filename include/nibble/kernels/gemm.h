// The products: W * X and gemm(W, X, Y).
#pragma once

#include "nibble/kernels/bfloat16_product.h"
#include "nibble/kernels/integer_product.h"

namespace nibble {

/// How a product runs.
struct GemmOptions {
  int threads = 1;           ///< parts that panels of 16 rows are spread over; at least 1
  std::optional<Isa> isa{};  ///< instruction set; by default NIBBLE_ISA's, else the best that the CPU has
  Executor executor{};       ///< what runs the parts; by default OpenMP where compiled with it, else the caller
};

namespace kernels {

/// Throws std::invalid_argument unless Y can take W * X and overlaps neither W's bytes nor `bytes` at `x`.
template <class S>
void check_product(const QuantizedMatrix<S>& w, Index x_rows, Index x_cols, const void* x, Index bytes,
                   const Eigen::Ref<Eigen::MatrixXf>& y, const GemmOptions& options) {
  if (options.threads < 1) invalid("gemm", "at least 1 thread", options.threads);
  if (x_rows != w.cols())
    invalid("gemm", text("X with the ", w.cols(), " rows that W has columns"), text(x_rows, " x ", x_cols));
  if (y.rows() != w.rows() || y.cols() != x_cols)
    invalid("gemm", text("Y of ", w.rows(), " x ", x_cols), text(y.rows(), " x ", y.cols()));
  if (y.size() == 0) return;
  const std::less<const void*> before;
  const float* y_end = y.data() + (y.cols() - 1) * y.outerStride() + y.rows();
  const auto overlaps = [&](const void* begin, Index size) {
    return size > 0 && before(begin, y_end) && before(y.data(), static_cast<const char*>(begin) + size);
  };
  if (overlaps(x, bytes) || overlaps(w.plane(0), w.bytes()))
    invalid("gemm", "Y in memory of its own", "one that overlaps W or X");
}

/// The bytes that a dense expression with memory of its own spans, from `data` on; none for other expressions.
template <class Derived> std::pair<const void*, Index> memory_of(const Eigen::MatrixBase<Derived>& x) {
  if constexpr ((Eigen::internal::traits<Derived>::Flags & Eigen::DirectAccessBit) != 0) {
    const Derived& d = x.derived();
    if (d.size() > 0)
      return {d.data(), static_cast<Index>(sizeof(typename Derived::Scalar)) *
                            ((d.outerSize() - 1) * d.outerStride() + (d.innerSize() - 1) * d.innerStride() + 1)};
  }
  return {nullptr, 0};
}

template <class Product>
void run_product(const Product& product, Index rows, Eigen::Ref<Eigen::MatrixXf>& y, const Parallel& parallel) {
  parallel_for((rows + lanes - 1) / lanes, parallel,
               [&](Index begin, Index end) { product.panels(begin, end, y.data(), y.outerStride()); });
}

}  // namespace kernels

/// Y = W * X in float arithmetic, exact in the weights; |error| <= K eps |W| |X| element by element. W is N x K, X any
/// dense K x M expression, Y an existing N x M matrix or block. Five columns or more of bfloat16 are multiplied in
/// bfloat16 where the CPU can, with the error that kernels::BFloat16Product states. The result does not depend on the number of threads.
/// Throws std::invalid_argument, before anything is written, on shapes that do not fit, a NaN or infinity in X, fewer
/// than 1 thread, an instruction set that the CPU lacks, and Y overlapping X or W.
template <class S, class Derived, unsigned Baseline = isa::baseline>
void gemm(const QuantizedMatrix<S>& w, const Eigen::MatrixBase<Derived>& x, Eigen::Ref<Eigen::MatrixXf> y,
          const GemmOptions& options = {}) {
  const auto memory = kernels::memory_of(x);
  kernels::check_product(w, x.rows(), x.cols(), memory.first, memory.second, y, options);
  const Parallel parallel{options.threads, options.executor};
  dispatch(resolve(options.isa), [&](auto tag) {
    using Pairs = kernels::BFloat16Product<decltype(tag), S>;
    if constexpr (Pairs::exists && std::same_as<typename Derived::Scalar, Eigen::bfloat16>) {
      if (x.cols() >= Pairs::least_columns && kernels::BFloat16Dot<decltype(tag)>::available())
        return kernels::run_product(Pairs(w, x, parallel), w.rows(), y, parallel);
    }
    const kernels::FloatProduct<decltype(tag), S> product(w, x, parallel);
    kernels::run_product(product, w.rows(), y, parallel);
  });
}

/// Y = W * X for quantized activations, in integer arithmetic where the values of W's format are small integers times a
/// unit (integers, E2M1, ...): int32 sums within each group of W and of X are exact, scales are applied in float. Other
/// formats multiply the dequantized X in float arithmetic. Same bits on every instruction set and number of threads.
/// Shapes and errors as above. Groups of W and X need a common divisor that is a multiple of 4 inputs, or groups of W
/// must divide those of X.
template <class S, class A, unsigned Baseline = isa::baseline>
void gemm(const QuantizedMatrix<S>& w, const QuantizedActivations<A>& x, Eigen::Ref<Eigen::MatrixXf> y,
          const GemmOptions& options = {}) {
  if constexpr (!has_integer_view<typename S::format>) {
    gemm(w, x.dequantize(), y, options);
  } else {
    kernels::check_product(w, x.rows(), x.cols(), x.codes(0), x.shape().padded_rows() * x.cols(), y, options);
    const Parallel parallel{options.threads, options.executor};
    const Isa isa = resolve(options.isa);
    if (w.cols() == 0) {
      y.setZero();
      return;
    }
    dispatch(isa, [&](auto tag) {
      const kernels::IntegerProduct<decltype(tag), S, A> product(w, x);
      kernels::run_product(product, w.rows(), y, parallel);
    });
  }
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
