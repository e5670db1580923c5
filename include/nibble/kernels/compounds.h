// The products of all other matrices: W * X and gemm(W, X, Y) for floats, sparse matrices and compounds.
#pragma once

#include "nibble/kernels/dense_product.h"
#include "nibble/kernels/gemm.h"
#include "nibble/kernels/right_side.h"
#include "nibble/kernels/sparse_product.h"
#include "nibble/matrix/low_rank.h"
#include "nibble/matrix/permuted.h"
#include "nibble/matrix/scaled.h"
#include "nibble/matrix/split.h"
#include "nibble/matrix/sum.h"

namespace nibble {
namespace kernels {

using Outputs = Eigen::Ref<Eigen::MatrixXf>;

/// MatrixProduct<W>::run(w, x, y, options, epilogue): Y = scale .* (W X) + bias, or Y + that; no activation. X is
/// FloatInputs or quantized activations. Operands have been checked.
template <class W, unsigned Baseline = isa::baseline> struct MatrixProduct;

/// The epilogue of a product that another one has been through already, bias included.
inline Epilogue and_then(const Epilogue& e) {
  return {.scale = e.scale, .accumulate = true};
}

template <class S, unsigned Baseline> struct MatrixProduct<QuantizedMatrix<S>, Baseline> {
  template <class X>
  static void run(const QuantizedMatrix<S>& w, const X& x, Outputs y, const GemmOptions& options, const Epilogue& e) {
    gemm(w, x, y, options, e);
  }
};

/// Products in float arithmetic by Kernel<Tag>.
template <class W, template <class> class Kernel, unsigned Baseline> struct FloatOnlyProduct {
  template <class X> static void run(const W& w, const X& x, Outputs y, const GemmOptions& options, const Epilogue& e) {
    with_floats(x, [&](const FloatInputs& inputs) {
      const Parallel parallel{options.threads, options.executor};
      dispatch(resolve(options.isa), [&](auto tag) {
        Scratch scratch("gemm", options.workspace);
        const Kernel<decltype(tag)> product(w, inputs, parallel, part_count(w.rows(), options.threads), scratch);
        run_product(product, w.rows(), FloatOutput<Baseline>{y.data(), y.outerStride(), y.rows(), e}, parallel);
      });
    });
  }
};
template <unsigned Baseline> struct MatrixProduct<Dense, Baseline> : FloatOnlyProduct<Dense, DenseProduct, Baseline> {};
template <unsigned Baseline>
struct MatrixProduct<Sparse, Baseline> : FloatOnlyProduct<Sparse, SparseProduct, Baseline> {};

template <class A, class B, unsigned Baseline> struct MatrixProduct<Sum<A, B>, Baseline> {
  template <class X>
  static void run(const Sum<A, B>& w, const X& x, Outputs y, const GemmOptions& options, const Epilogue& e) {
    MatrixProduct<A, Baseline>::run(w.first(), x, y, options, e);
    MatrixProduct<B, Baseline>::run(w.second(), x, y, options, and_then(e));
  }
};

template <class A, unsigned Baseline> struct MatrixProduct<Scaled<A>, Baseline> {
  template <class X>
  static void run(const Scaled<A>& w, const X& x, Outputs y, const GemmOptions& options, const Epilogue& e) {
    Eigen::VectorXf scale = w.left();
    if (scale.size() == 0)
      scale = e.scale;
    else if (e.scale.size() > 0)
      scale.array() *= e.scale.array();
    const Epilogue scaled{.bias = e.bias, .scale = scale, .accumulate = e.accumulate};
    if (w.right().size() == 0) return MatrixProduct<A, Baseline>::run(w.matrix(), x, y, options, scaled);
    with_floats(x, [&](const FloatInputs& inputs) {
      const Eigen::MatrixXf product = w.right().asDiagonal() * inputs;
      if (!product.allFinite()) invalid("gemm", "X times right scales within floats", "a NaN or an infinity");
      MatrixProduct<A, Baseline>::run(w.matrix(), FloatInputs(product), y, options, scaled);
    });
  }
};

template <class A, class B, unsigned Baseline> struct MatrixProduct<RowSplit<A, B>, Baseline> {
  template <class X>
  static void run(const RowSplit<A, B>& w, const X& x, Outputs y, const GemmOptions& options, const Epilogue& e) {
    const Index n = w.top().rows();
    MatrixProduct<A, Baseline>::run(w.top(), x, y.topRows(n), options, rows(e, 0, n));
    MatrixProduct<B, Baseline>::run(w.bottom(), x, y.bottomRows(y.rows() - n), options, rows(e, n, y.rows() - n));
  }

 private:
  static Epilogue rows(const Epilogue& e, Index first, Index count) {
    const auto part = [&](const auto& v) { return v.segment(v.size() > 0 ? first : 0, v.size() > 0 ? count : 0); };
    return {.bias = part(e.bias), .scale = part(e.scale), .accumulate = e.accumulate};
  }
};

template <class A, class B, unsigned Baseline> struct MatrixProduct<ColumnSplit<A, B>, Baseline> {
  template <class X>
  static void run(const ColumnSplit<A, B>& w, const X& x, Outputs y, const GemmOptions& options, const Epilogue& e) {
    const Index k = w.left().cols();
    with_rows(x, 0, k, [&](const auto& top) { MatrixProduct<A, Baseline>::run(w.left(), top, y, options, e); });
    with_rows(x, k, x.rows() - k,
              [&](const auto& bottom) { MatrixProduct<B, Baseline>::run(w.right(), bottom, y, options, and_then(e)); });
  }
};

template <class A, unsigned Baseline> struct MatrixProduct<Permuted<A>, Baseline> {
  template <class X>
  static void run(const Permuted<A>& w, const X& x, Outputs y, const GemmOptions& options, const Epilogue& e) {
    with_order(x, w.column_order(), [&](const auto& inputs) {
      const Eigen::VectorXi& order = w.row_order();
      if (order.size() == 0) return MatrixProduct<A, Baseline>::run(w.matrix(), inputs, y, options, e);
      Eigen::MatrixXf z(y.rows(), y.cols());
      MatrixProduct<A, Baseline>::run(w.matrix(), inputs, z, options, {});
      for (Index m = 0; m < y.cols(); ++m) {
        for (Index i = 0; i < y.rows(); ++i) {
          const Index to = order[i];
          const float before = e.accumulate ? y(to, m) : 0, bias = e.bias.size() > 0 ? e.bias[to] : 0;
          y(to, m) = before + (z(i, m) * (e.scale.size() > 0 ? e.scale[to] : 1) + bias);
        }
      }
    });
  }
};

template <class U, class V, unsigned Baseline> struct MatrixProduct<LowRank<U, V>, Baseline> {
  template <class X>
  static void run(const LowRank<U, V>& w, const X& x, Outputs y, const GemmOptions& options, const Epilogue& e) {
    Eigen::MatrixXf inner(w.rank(), x.cols());
    MatrixProduct<V, Baseline>::run(w.right(), x, inner, options, {});
    if (!inner.allFinite()) invalid("gemm", "V X within floats", "a NaN or an infinity");
    MatrixProduct<U, Baseline>::run(w.left(), FloatInputs(inner), y, options, e);
  }
};

/// Y = f(Y), element by element.
template <unsigned Baseline = isa::baseline> void activate_all(Activation f, Outputs y) {
  for (Index m = 0; m < y.cols(); ++m) {
    for (Index i = 0; i < y.rows(); i += lanes) {
      auto part = y.col(m).segment(i, std::min<Index>(lanes, y.rows() - i)).array();
      PanelColumn z = PanelColumn::Zero();
      z.head(part.size()) = part;
      activate<Baseline>(f, z);
      part = z.head(part.size());
    }
  }
}

/// MatrixProduct with the activation.
template <unsigned Baseline, class W, class X>
void multiply(const W& w, const X& x, Outputs y, const GemmOptions& options, const Epilogue& e) {
  using Product = MatrixProduct<W, Baseline>;
  if (e.activation == Activation::None) return Product::run(w, x, y, options, e);
  const Epilogue linear{.bias = e.bias, .scale = e.scale};
  if (!e.accumulate) {
    Product::run(w, x, y, options, linear);
    activate_all(e.activation, y);
  } else {
    Eigen::MatrixXf z(y.rows(), y.cols());
    Product::run(w, x, z, options, linear);
    activate_all(e.activation, z);
    y += z;
  }
}

}  // namespace kernels

/// Y = W * X for any matrix but QuantizedMatrix, which has products of its own: X is any dense K x M expression, Y an
/// existing N x M matrix or block. Each QuantizedMatrix, Dense and Sparse in W multiplies in float arithmetic, exact in
/// the weights, and results are added up in Y:
///
///     Sum, ColumnSplit   the first product, then the second is added
///     Scaled             the left scales multiply sums, the right ones X, each rounded to float
///     LowRank            U (V X), V X rounded to float
///     Rotated            U^T (A (V X)), V X and A (V X) rounded to float
///
/// so that |error| <= (terms + roundings on the way) eps |W| |X|, absolute values taken of each part. Results do not
/// depend on the number of threads. Epilogue as for QuantizedMatrix.
///
/// Memory taken, beside what products of the parts take: X as floats where it is no column-major matrix of floats; X
/// again (scaled, reordered or rotated) at each Scaled with right scales, Permuted with a column order and Rotated with
/// a rotation on the right; r x M floats at each LowRank; Y again at each Permuted with a row order and Rotated with a
/// rotation on the left, and where an activation is accumulated.
///
/// Throws std::invalid_argument, before anything is written, on shapes that do not fit, a NaN or infinity in X, fewer
/// than 1 thread, an instruction set that the CPU lacks, a workspace in use, and Y overlapping X, W, bias or scale;
/// and, when Y may have been written, where V X or X times right scales overflow.
template <LowBitMatrix W, class Derived, unsigned Baseline = isa::baseline>
  requires(!is_quantized_matrix<W>)
void gemm(const W& w, const Eigen::MatrixBase<Derived>& x, Eigen::Ref<Eigen::MatrixXf> y,
          const GemmOptions& options = {}, const Epilogue& epilogue = {}) {
  kernels::check_product<float>(w, x.rows(), x.cols(), kernels::memory_of(x), y, options);
  kernels::check_epilogue(epilogue, y);
  const auto run = [&](const kernels::FloatInputs& inputs) {
    for (Index m = 0; m < inputs.cols(); ++m)
      if (!inputs.col(m).allFinite()) invalid("gemm", "finite activations", text("a NaN or an infinity in column ", m));
    kernels::multiply<Baseline>(w, inputs, y, options, epilogue);
  };
  if constexpr (std::same_as<typename Derived::Scalar, float>)
    run(x.derived());
  else
    run(x.template cast<float>());
}

/// Y = W * X for quantized activations. Each QuantizedMatrix in W multiplies as its own product does, in integer
/// arithmetic where its format allows. X keeps its integers through ColumnSplit and Permuted, unless its scales are
/// shared by groups of inputs that a split cuts or a column order mixes. There, and at Dense, Sparse, right scales, the
/// right side of Rotated and the U of LowRank, the dequantized X, or what has become of it, is multiplied in float
/// arithmetic. The rest as above.
template <LowBitMatrix W, class A, unsigned Baseline = isa::baseline>
  requires(!is_quantized_matrix<W>)
void gemm(const W& w, const QuantizedActivations<A>& x, Eigen::Ref<Eigen::MatrixXf> y, const GemmOptions& options = {},
          const Epilogue& epilogue = {}) {
  kernels::check_product<float>(w, x.rows(), x.cols(), {x.codes(0), x.shape().bytes()}, y, options);
  kernels::check_epilogue(epilogue, y);
  kernels::multiply<Baseline>(w, x, y, options, epilogue);
}

/// W * X with default options.
template <LowBitMatrix W, class Derived, unsigned Baseline = isa::baseline>
  requires(!is_quantized_matrix<W>)
Eigen::MatrixXf operator*(const W& w, const Eigen::MatrixBase<Derived>& x) {
  Eigen::MatrixXf y(w.rows(), x.cols());
  gemm(w, x, y);
  return y;
}
template <LowBitMatrix W, class A, unsigned Baseline = isa::baseline>
  requires(!is_quantized_matrix<W>)
Eigen::MatrixXf operator*(const W& w, const QuantizedActivations<A>& x) {
  Eigen::MatrixXf y(w.rows(), x.cols());
  gemm(w, x, y);
  return y;
}

}  // namespace nibble
