// quantize_activations: from a matrix of activations to the right-hand side of integer products.
#pragma once

#include "nibble/kernels/hadamard.h"

namespace nibble {

/// How activations are quantized.
struct ActivationOptions {
  int threads = 1;                     ///< parts that tiles of 12 columns are spread over; at least 1
  std::optional<Isa> isa{};            ///< instruction set; by default NIBBLE_ISA's, else the best that the CPU has
  std::optional<Executor> executor{};  ///< runs the parts; by default OpenMP where compiled with it, else the caller
};

namespace kernels {

/// Columns of X, a dense expression that is cheap to evaluate, as floats that lie together.
template <class X, unsigned Baseline = isa::baseline> class FloatColumns {
 public:
  explicit FloatColumns(const X& x) : x_(x) {}

  /// Where columns first .. first + count - 1 start, and the distance from one to the next; `count` never grows. What
  /// is no column-major float matrix is copied, over the columns of the last call.
  std::pair<const float*, Index> get(Index first, Index count) {
    if constexpr (in_place)
      if (x_.innerStride() == 1) return {x_.data() + first * x_.outerStride(), x_.outerStride()};
    if (copy_.size() == 0) copy_.resize(x_.rows(), count);
    constexpr Index piece = 64;  // rows that stay in the L1 cache with all their columns, whatever the storage order
    for (Index k = 0; k < x_.rows(); k += piece) {
      const Index rows = std::min(piece, x_.rows() - k);
      copy_.block(k, 0, rows, count) = x_.block(k, first, rows, count).template cast<float>();
    }
    return {copy_.data(), copy_.rows()};
  }

 private:
  static constexpr bool in_place = std::same_as<typename X::Scalar, float> && !X::IsRowMajor &&
                                   (Eigen::internal::traits<X>::Flags & Eigen::DirectAccessBit) != 0;
  const X& x_;
  Eigen::MatrixXf copy_;
};

/// Makes q the quantized X, or H X where `hadamard` is given, in the memory that it has if that is enough; 0 x 0 where
/// X turns out not to be finite. All groups get the scale `fixed_scale` where that is given.
template <class S, class Derived, unsigned Baseline = isa::baseline>
void quantize_columns(const char* function, const Eigen::MatrixBase<Derived>& x, QuantizedActivations<S>& q,
                      const Parallel& parallel, Isa isa, const HadamardShape* hadamard = nullptr,
                      const float* fixed_scale = nullptr) {
  using Activations = QuantizedActivations<S>;
  const typename Activations::Shape shape{x.rows(), x.cols()};
  const bool same = shape.rows == q.rows() && shape.cols == q.cols();
  typename Activations::Arrays arrays = q.release();
  const auto fit = [same](auto& array, Index size) {
    if (static_cast<Index>(array.size()) < size)
      array = std::remove_cvref_t<decltype(array)>(static_cast<std::size_t>(size));
    else if (!same && size > 0)
      std::memset(array.data(), 0, static_cast<std::size_t>(size) * sizeof(array[0]));  // the padding
  };
  fit(arrays.codes, shape.bytes());
  fit(arrays.scales, shape.scales());
  fit(arrays.zeros, S::affine ? shape.scales() : 0);

  const typename Eigen::internal::nested_eval<Derived, 1>::type in(x.derived());
  dispatch(isa, [&](auto tag) {
    using Tag = decltype(tag);
    parallel_for(shape.rows == 0 ? 0 : shape.tiles.count, parallel, [&](Index begin, Index end) {
      FloatColumns<std::remove_cvref_t<decltype(in)>> floats(in);
      // Columns between the passes over them, in the L2 cache.
      const Index together = std::min(shape.rows > 6144 ? Index{4} : shape.tiles.width(0), shape.cols);
      Eigen::MatrixXf transformed(hadamard != nullptr ? shape.rows : 0, together);
      for (Index tile = begin; tile < end; ++tile) {
        const Index start = shape.tiles.first(tile), width = shape.tiles.width(tile);
        const auto [data, stride] = floats.get(start, width);
        ActivationColumns all{.x = data,
                              .stride = stride,
                              .rows = shape.rows,
                              .codes = arrays.codes.data() + shape.code_index(0, start),
                              .scales = arrays.scales.data() + shape.scale_index(0, start),
                              .zeros = S::affine ? arrays.zeros.data() + shape.scale_index(0, start) : nullptr,
                              .width = width,
                              .fixed_scale = fixed_scale};
        for (Index c = 0; c < width; c += together) {
          const Index count = std::min(together, width - c);
          ActivationColumns t = all.from(0, 0, c, Activations::parts);
          if (hadamard != nullptr) {
            for (Index j = 0; j < count; ++j)
              hadamard->template run<Tag>(t.x + j * t.stride, transformed.col(j).data());
            t.x = transformed.data();
            t.stride = shape.rows;
          }
          if (QuantizeColumns<Tag, S>::run(t, count)) continue;
          for (Index j = 0; j < count; ++j)
            if (!Eigen::Map<const Eigen::VectorXf>(t.x + j * t.stride, t.rows).allFinite())
              invalid(function, "finite activations", text("a NaN or an infinity in column ", start + c + j));
        }
      }
    });
  });
  q = Activations(shape, std::move(arrays.codes), std::move(arrays.scales), std::move(arrays.zeros));
}

}  // namespace kernels

/// Quantizes X (K x M, any dense expression of any real scalar) along K, one grid per column (S = Int<B>, 8 bits by
/// default, or UInt<B>) or per G inputs of a column (Int<B, Group<G>>, UInt<B, Group<G>>), in float arithmetic:
///
///     symmetric   scale = largest magnitude / top               integer = nearest(x * (1 / scale))
///     affine      scale = high / top - low / top                integer = nearest(x * (1 / scale)) + zero
///                 zero = nearest(-low * (1 / scale)) - offset
///
/// held to the integers of S: low and high are the ends of a range that always includes 0, nearest goes to even in
/// ties, `top` and `offset` are those of QuantizedActivations<S>. Where the scale is so small (below 2^-128) that it
/// has no reciprocal, x / scale takes the place of the product; an all-zero group has scale 0 and integers 0. Same bits
/// on every instruction set and number of threads. Throws std::invalid_argument on a NaN or an infinity in X, fewer
/// than 1 thread, an empty executor and an instruction set that the CPU lacks.
template <class S = Int<8>, class Derived, unsigned Baseline = isa::baseline>
QuantizedActivations<S> quantize_activations(const Eigen::MatrixBase<Derived>& x,
                                             const ActivationOptions& options = {}) {
  const Parallel parallel{options.threads, options.executor};
  check_parallel("quantize_activations", parallel);
  QuantizedActivations<S> q({0, 0}, {}, {});
  kernels::quantize_columns("quantize_activations", x, q, parallel, resolve(options.isa));
  return q;
}

/// The same into an existing q, whose memory is used again where it is enough: no allocation then for a column-major
/// float matrix. Errors of the options leave q as it was, all others, as of an X that is
/// not finite, 0 x 0.
template <class S, class Derived, unsigned Baseline = isa::baseline>
void quantize_activations_into(const Eigen::MatrixBase<Derived>& x, QuantizedActivations<S>& q,
                               const ActivationOptions& options = {}) {
  const Parallel parallel{options.threads, options.executor};
  check_parallel("quantize_activations_into", parallel);
  kernels::quantize_columns("quantize_activations_into", x, q, parallel, resolve(options.isa));
}

/// The same under one static scale for all columns of a symmetric S, as calibration found it; what lies beyond
/// scale * top is clipped. Throws std::invalid_argument unless the scale is finite and at least 0, too.
template <class S = Int<8>, class Derived, unsigned Baseline = isa::baseline>
  requires(!S::affine)
QuantizedActivations<S> quantize_activations_at(const Eigen::MatrixBase<Derived>& x, float scale,
                                                const ActivationOptions& options = {}) {
  constexpr const char* function = "quantize_activations_at";
  if (!(scale >= 0 && std::isfinite(scale))) invalid(function, "a finite scale of at least 0", scale);
  const Parallel parallel{options.threads, options.executor};
  check_parallel(function, parallel);
  QuantizedActivations<S> q({0, 0}, {}, {});
  kernels::quantize_columns(function, x, q, parallel, resolve(options.isa), nullptr, &scale);
  return q;
}

/// quantize_activations<S>(hadamard_transform(x, options)), to the bit, in one pass: a few columns at a time are
/// transformed, then quantized while they lie in the cache. Errors are those of both; it also throws where sums of the
/// transform overflow.
template <class S = Int<8>, class Derived, unsigned Baseline = isa::baseline>
QuantizedActivations<S> hadamard_quantize_activations(const Eigen::MatrixBase<Derived>& x,
                                                      const TransformOptions& options = {}) {
  constexpr const char* function = "hadamard_quantize_activations";
  const Parallel parallel{options.threads, options.executor};
  check_parallel(function, parallel);
  const kernels::HadamardShape hadamard(function, x.rows(), options.block);
  QuantizedActivations<S> q({0, 0}, {}, {});
  kernels::quantize_columns(function, x, q, parallel, resolve(options.isa), &hadamard);
  return q;
}

}  // namespace nibble
