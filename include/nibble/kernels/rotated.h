// Rotated: a matrix between two rotations, and its products.
#pragma once

#include "nibble/kernels/compounds.h"
#include "nibble/kernels/rotation.h"

namespace nibble {

/// U^T A V with a rotation `left`, U, of the rows and `right`, V, of the columns; those of size 0 are none. The
/// rotations are seeds: what is stored of them are three numbers each.
template <LowBitMatrix A> class Rotated : public Compound<Rotated<A>, A, Eigen::VectorXi, Eigen::VectorXi> {
 public:
  static constexpr const char* kind = "Rotated";

  Rotated() = default;
  /// Throws std::invalid_argument unless the size of each rotation is that of the side, or 0.
  Rotated(A a, const Rotation& left, const Rotation& right)
      : Compound<Rotated, A, Eigen::VectorXi, Eigen::VectorXi>(std::move(a), numbers(left), numbers(right)),
        left_(left),
        right_(right) {
    check(left, rows(), "rows");
    check(right, cols(), "columns");
    if (left.size() == 0) left_ = {};
    if (right.size() == 0) right_ = {};
  }

  Index rows() const { return matrix().rows(); }
  Index cols() const { return matrix().cols(); }
  const A& matrix() const { return this->template part<0>(); }
  const Rotation& left() const { return left_; }
  const Rotation& right() const { return right_; }

  template <unsigned Baseline = isa::baseline> Eigen::MatrixXf dequantize() const {
    Eigen::MatrixXf w = matrix().dequantize();
    if (left_.size() > 0) left_.template apply_transposed_in_place<Baseline>(w);
    if (right_.size() > 0) {
      w.transposeInPlace();
      right_.template apply_transposed_in_place<Baseline>(w);
      w.transposeInPlace();
    }
    return w;
  }

  /// For Compound::load.
  template <class... Types> static Rotated read(detail::MatrixReader& reader) {
    return reader.build<Rotated>([&](Index, Index) {
      A a = reader.part<A, Types...>();
      const auto left = reader.part<Eigen::VectorXi>(), right = reader.part<Eigen::VectorXi>();
      const Rotation u = rotation(left, a.rows()), v = rotation(right, a.cols());
      return Rotated(std::move(a), u, v);
    });
  }

 private:
  /// Kind and the halves of the seed; nothing for none.
  static Eigen::VectorXi numbers(const Rotation& r) {
    if (r.size() == 0) return {};
    return Eigen::Vector3i(static_cast<int>(r.kind()), static_cast<int>(static_cast<std::uint32_t>(r.seed())),
                           static_cast<int>(static_cast<std::uint32_t>(r.seed() >> 32)));
  }
  static Rotation rotation(const Eigen::VectorXi& numbers, Index size) {
    if (numbers.size() == 0) return {};
    if (numbers.size() != 3 || size == 0 || numbers[0] < 0 || numbers[0] > static_cast<int>(RotationKind::Kronecker))
      invalid("Rotated", "the kind and the seed of a rotation, or none", "others");
    const auto half = [&](Index i) { return std::uint64_t{static_cast<std::uint32_t>(numbers[i])}; };
    return Rotation(size, half(1) | half(2) << 32, static_cast<RotationKind>(numbers[0]));
  }
  static void check(const Rotation& r, Index count, const char* what) {
    if (r.size() != 0 && r.size() != count) invalid("Rotated", text("a rotation of ", count, ' ', what), r.size());
  }

  Rotation left_, right_;
};

/// U^T (A (V X)): X and Y once more, rounded to float each, and quantized activations become floats where there is a V.
template <class A, unsigned Baseline> struct kernels::MatrixProduct<Rotated<A>, Baseline> {
  template <class X>
  static void run(const Rotated<A>& w, const X& x, Outputs y, const GemmOptions& options, const Epilogue& e) {
    const TransformOptions transform{.threads = options.threads, .isa = options.isa, .executor = options.executor};
    if (w.right().size() == 0) return of_rotated(w, x, y, options, transform, e);
    with_floats(x, [&](const FloatInputs& inputs) {
      Eigen::MatrixXf rotated = inputs;
      w.right().template apply_in_place<Baseline>(rotated, transform);
      if (!rotated.allFinite()) invalid("gemm", "rotated X within floats", "a NaN or an infinity");
      of_rotated(w, FloatInputs(rotated), y, options, transform, e);
    });
  }

 private:
  template <class X>
  static void of_rotated(const Rotated<A>& w, const X& x, Outputs y, const GemmOptions& options,
                         const TransformOptions& transform, const Epilogue& e) {
    if (w.left().size() == 0) return MatrixProduct<A, Baseline>::run(w.matrix(), x, y, options, e);
    Eigen::MatrixXf z(y.rows(), y.cols());
    MatrixProduct<A, Baseline>::run(w.matrix(), x, z, options, {});
    w.left().template apply_transposed_in_place<Baseline>(z, transform);
    if (!z.allFinite()) invalid("gemm", "rotated outputs within floats", "a NaN or an infinity");
    for (Index m = 0; m < y.cols(); ++m) {
      for (Index i = 0; i < y.rows(); ++i) {
        const float before = e.accumulate ? y(i, m) : 0, bias = e.bias.size() > 0 ? e.bias[i] : 0;
        y(i, m) = before + (z(i, m) * (e.scale.size() > 0 ? e.scale[i] : 1) + bias);
      }
    }
  }
};

}  // namespace nibble
