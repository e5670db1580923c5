// Rotations: orthogonal matrices of any size that a seed stands for and that are never stored.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <vector>

#include "nibble/core/random.h"
#include "nibble/kernels/hadamard.h"

namespace nibble {

/// How a rotation mixes a run of s rows.
enum class RotationKind {
  Hadamard,   ///< s a power of two: random signs, then the Walsh-Hadamard matrix
  Kronecker,  ///< s = p q, p <= q <= 2 p: P (x) Q of random orthogonal P and Q; and before all else a random order
};

namespace kernels {

/// A rotation as it is used, or its transpose: signs, order and factors are made for one call.
template <unsigned Baseline = isa::baseline> class RotationSteps {
 public:
  RotationSteps(RotationKind kind, Eigen::Index rows, std::uint64_t seed, bool transposed)
      : rows_(rows), transposed_(transposed) {
    if (rows == 0) return;
    const Random random(seed);
    if (kind == RotationKind::Hadamard) {
      size_ = static_cast<Eigen::Index>(std::bit_floor(static_cast<std::uint64_t>(rows)));
      log2_ = std::countr_zero(static_cast<std::uint64_t>(size_));
    } else {
      for (size_ = rows; !factorise(); --size_) {
      }
      make_order(random);
    }
    for (std::uint64_t s = 0; s < (size_ < rows ? 2 : 1); ++s) {
      Step step{s == 0 ? 0 : rows - size_, {}, {}, {}};
      if (kind == RotationKind::Hadamard) {
        for (Eigen::Index i = 0; i < size_; i += 128)
          for (const std::uint32_t bits : random.block(static_cast<std::uint64_t>(i / 128), s))
            for (int b = 0; b < 32; ++b) step.signs.push_back(bits >> b & 1 ? -1.0f : 1.0f);
      } else {
        step.p = orthogonal(random, p_, 2 * s);
        step.q = orthogonal(random, q_, 2 * s + 1);
        if (transposed) {
          step.p.transposeInPlace();
          step.q.transposeInPlace();
        }
      }
      steps_.push_back(std::move(step));
    }
    if (transposed) std::reverse(steps_.begin(), steps_.end());
  }

  /// Rotates columns of `rows` numbers, `stride` apart.
  template <class T> void run(T* x, Eigen::Index stride, Eigen::Index cols, const TransformOptions& options) const {
    dispatch(resolve(options.isa), [&](auto tag) {
      parallel_for(cols, {options.threads, options.executor}, [&](Eigen::Index begin, Eigen::Index end) {
        std::vector<T> copy(static_cast<std::size_t>(order_.empty() ? 0 : rows_));
        std::vector<double> sums(static_cast<std::size_t>(q_));
        for (Eigen::Index j = begin; j < end; ++j) {
          T* const column = x + j * stride;
          if (!transposed_) reorder(column, copy);
          for (const Step& step : steps_) {
            if (order_.empty())
              mix<decltype(tag)>(step, column + step.first);
            else
              multiply(step, column + step.first, copy.data(), sums.data());
          }
          if (transposed_) reorder(column, copy);
        }
      });
    });
  }

 private:
  struct Step {
    Eigen::Index first;
    std::vector<float> signs;
    Eigen::MatrixXf p, q;
  };

  /// Whether size_ = p_ q_ with p_ <= q_ <= 2 p_.
  bool factorise() {
    p_ = static_cast<Eigen::Index>(std::sqrt(static_cast<double>(size_)));
    while (size_ % p_ != 0) --p_;
    q_ = size_ / p_;
    return q_ <= 2 * p_;
  }

  void make_order(const Random& random) {
    order_.resize(static_cast<std::size_t>(rows_));
    for (std::size_t i = 0; i < order_.size(); ++i) {
      const auto j = static_cast<std::size_t>(std::uint64_t{random.bits(i, 4)} * (i + 1) >> 32);
      order_[i] = order_[j];
      order_[j] = static_cast<Eigen::Index>(i);
    }
  }

  /// n orthonormal vectors: nearly normal ones (sums of twelve uniform numbers), each made orthogonal to those before
  /// it. Built of correctly rounded operations alone, so that all machines make the same ones.
  static Eigen::MatrixXf orthogonal(const Random& random, Eigen::Index n, std::uint64_t stream) {
    Eigen::MatrixXd vectors(n, n);
    std::uint64_t draw = 0;
    for (Eigen::Index done = 0; done < n;) {
      double* const v = vectors.col(done).data();
      for (Eigen::Index i = 0; i < n; ++i) {
        std::int64_t sum = 0;
        for (int part = 0; part < 3; ++part)
          for (const std::uint32_t bits : random.block(draw++, 8 + stream)) sum += bits;
        v[i] = static_cast<double>(sum - 6 * (std::int64_t{1} << 32)) * 0x1p-32;
      }
      const auto dot = [&](const double* u) {
        double sum = 0;
        for (Eigen::Index i = 0; i < n; ++i) sum = std::fma(u[i], v[i], sum);
        return sum;
      };
      for (int twice = 0; twice < 2; ++twice) {
        for (Eigen::Index other = 0; other < done; ++other) {
          const double* const u = vectors.col(other).data();
          const double along = dot(u);
          for (Eigen::Index i = 0; i < n; ++i) v[i] = std::fma(-along, u[i], v[i]);
        }
      }
      const double norm = std::sqrt(dot(v));
      if (norm < 0.01) continue;  // little is left of it but rounding: another one
      for (Eigen::Index i = 0; i < n; ++i) v[i] /= norm;
      ++done;
    }
    return vectors.cast<float>();
  }

  template <class T> void reorder(T* x, std::vector<T>& copy) const {
    if (order_.empty()) return;
    std::copy_n(x, rows_, copy.data());
    for (std::size_t i = 0; i < order_.size(); ++i) {
      if (transposed_)
        x[order_[i]] = copy[i];
      else
        x[i] = copy[static_cast<std::size_t>(order_[i])];
    }
  }

  template <class Tag, class T> void mix(const Step& step, T* x) const {
    const auto turn = [&] {
      for (Eigen::Index i = 0; i < size_; ++i) x[i] *= static_cast<T>(step.signs[static_cast<std::size_t>(i)]);
    };
    if (!transposed_) turn();
    const double scale = 1 / std::sqrt(static_cast<double>(size_));
    if constexpr (std::same_as<T, float>) {
      HadamardColumn<Tag>::run(x, x, log2_, static_cast<float>(scale));
    } else {
      for (Eigen::Index h = 1; h < size_; h *= 2) {
        for (Eigen::Index i = 0; i < size_; i += 2 * h) {
          for (Eigen::Index k = i; k < i + h; ++k) {
            const T a = x[k], b = x[k + h];
            x[k] = a + b;
            x[k + h] = a - b;
          }
        }
      }
      for (Eigen::Index i = 0; i < size_; ++i) x[i] *= scale;
    }
    if (transposed_) turn();
  }

  /// Products of floats are exact in double, so that sums of them are the same with and without fma.
  template <class T> void multiply(const Step& step, T* x, T* between, double* sums) const {
    const auto combine = [&](const T* in, Eigen::Index stride, Eigen::Index terms, const auto& factor, T* out) {
      std::fill_n(sums, q_, 0.0);
      for (Eigen::Index t = 0; t < terms; ++t) factor(in + t * stride, t);
      for (Eigen::Index b = 0; b < q_; ++b) out[b] = static_cast<T>(sums[b]);
    };
    for (Eigen::Index a = 0; a < p_; ++a) {
      combine(
          x + a * q_, 1, q_,
          [&](const T* in, Eigen::Index b) {
            const auto value = static_cast<double>(*in);
            const float* const column = step.q.data() + b * q_;
            for (Eigen::Index i = 0; i < q_; ++i) sums[i] += value * static_cast<double>(column[i]);
          },
          between + a * q_);
    }
    for (Eigen::Index a = 0; a < p_; ++a) {
      combine(
          between, q_, p_,
          [&](const T* in, Eigen::Index t) {
            const auto factor = static_cast<double>(step.p(a, t));
            for (Eigen::Index i = 0; i < q_; ++i) sums[i] += factor * static_cast<double>(in[i]);
          },
          x + a * q_);
    }
  }

  Eigen::Index rows_, size_ = 0, p_ = 0, q_ = 0;
  bool transposed_;
  int log2_ = 0;
  std::vector<Eigen::Index> order_;  ///< row i is row order_[i]; empty unless Kronecker
  std::vector<Step> steps_;
};

}  // namespace kernels

/// An orthogonal n x n matrix U that spreads each input over about n outputs. It is a size, a seed and a kind. Where n
/// is a number that the kind can mix, all rows are one run; else the first s rows are mixed and then, with other
/// numbers, the last s, s < n being the largest such number, and as both runs overlap everything meets. For powers of
/// two that is the randomised Hadamard transform. Orthogonal to some eps per element.
///
/// A column takes some n log2 n additions, or 2 n^1.5 multiplications in double for Kronecker, for which each call also
/// makes factors, some 10 n^1.5 operations. Results of floats depend neither on threads nor on the machine; each run of
/// Hadamard errs as hadamard_transform does, each of Kronecker by some eps |x|.
/// Sources: Chee et al., "QuIP", 2023 (Kronecker); Tseng et al., "QuIP#", 2024, and Ashkboos et al., "QuaRot", 2024
/// (Hadamard). Theirs have a random or a tabulated factor where n is no power of two; two runs need none for any n.
class Rotation {
 public:
  static constexpr Eigen::Index largest = Eigen::Index{1} << kernels::max_hadamard_steps;

  /// That of no rows, which stands for none at all.
  Rotation() = default;
  /// Throws std::invalid_argument unless 0 <= size <= 2^20.
  template <unsigned Baseline = isa::baseline>
  explicit Rotation(Eigen::Index size, std::uint64_t seed = 0, RotationKind kind = RotationKind::Hadamard)
      : size_(size), seed_(seed), kind_(kind) {
    if (size < 0 || size > largest) invalid("Rotation", text("a size from 0 to ", largest), size);
  }

  Eigen::Index size() const { return size_; }
  std::uint64_t seed() const { return seed_; }
  RotationKind kind() const { return kind_; }
  friend bool operator==(const Rotation&, const Rotation&) = default;

  /// X becomes U X, n x M. Of a row-major W, N x n, `apply_in_place(w.transpose())` makes W U^T. Throws
  /// std::invalid_argument, before anything is written, where X has another number of rows, on a block, on fewer than 1
  /// thread, an empty executor and an instruction set that the CPU lacks.
  template <unsigned Baseline = isa::baseline>
  void apply_in_place(Eigen::Ref<Eigen::MatrixXf> x, const TransformOptions& options = {}) const {
    run<Baseline>(x, options, false);
  }
  template <unsigned Baseline = isa::baseline>
  void apply_in_place(Eigen::Ref<Eigen::MatrixXd> x, const TransformOptions& options = {}) const {
    run<Baseline>(x, options, false);
  }
  /// X becomes U^T X. The rest as above.
  template <unsigned Baseline = isa::baseline>
  void apply_transposed_in_place(Eigen::Ref<Eigen::MatrixXf> x, const TransformOptions& options = {}) const {
    run<Baseline>(x, options, true);
  }
  template <unsigned Baseline = isa::baseline>
  void apply_transposed_in_place(Eigen::Ref<Eigen::MatrixXd> x, const TransformOptions& options = {}) const {
    run<Baseline>(x, options, true);
  }

  /// U X of any dense expression, rounded to float first. The rest as above.
  template <class Derived, unsigned Baseline = isa::baseline>
  Eigen::MatrixXf apply(const Eigen::MatrixBase<Derived>& x, const TransformOptions& options = {}) const {
    Eigen::MatrixXf y = x.template cast<float>();
    apply_in_place<Baseline>(y, options);
    return y;
  }
  /// U^T X.
  template <class Derived, unsigned Baseline = isa::baseline>
  Eigen::MatrixXf apply_transposed(const Eigen::MatrixBase<Derived>& x, const TransformOptions& options = {}) const {
    Eigen::MatrixXf y = x.template cast<float>();
    apply_transposed_in_place<Baseline>(y, options);
    return y;
  }

 private:
  template <unsigned Baseline, class X> void run(X& x, const TransformOptions& options, bool transposed) const {
    check_parallel("Rotation", {options.threads, options.executor});
    if (x.rows() != size_) invalid("Rotation", text("a matrix of ", size_, " rows"), x.rows());
    if (options.block != 0) invalid("Rotation", "no block", options.block);
    (void)resolve(options.isa);
    if (x.size() == 0) return;
    kernels::RotationSteps<Baseline>(kind_, size_, seed_, transposed).run(x.data(), x.outerStride(), x.cols(), options);
  }

  Eigen::Index size_ = 0;
  std::uint64_t seed_ = 0;
  RotationKind kind_ = RotationKind::Hadamard;
};

}  // namespace nibble
