// Propagation of errors: what a layer is to aim at when its inputs come from layers that are quantized already.
#pragma once

#include "nibble/rounding/hessian.h"

namespace nibble {

/// The second moments of a layer's inputs x^ as the layers before it, quantized, make them, and those of x^ with their
/// error x - x^, x being the inputs of the exact model:
///
///     H = mean of 2 x^ x^^T        C = mean of 2 (x - x^) x^^T
///
/// W x is best approximated from x^ by (W + W C H^-1) x^, so that a rounding under H of this target, rather than of W,
/// minimises |W X - Q X^|^2. Products are floats, sums over more than 512 samples doubles. A value.
/// Source: Arai and Ichikawa, "Quantization error propagation: revisiting layer-wise post-training quantization", 2025.
class Propagation {
 public:
  /// That of a layer of `inputs` inputs, without samples.
  template <unsigned Baseline = isa::baseline>
  explicit Propagation(Index inputs, HessianOptions options = {})
      : options_(options), hessian_(inputs, std::move(options)), sum_(Eigen::MatrixXd::Zero(inputs, inputs)) {}

  Index inputs() const { return hessian_.inputs(); }
  Index samples() const { return hessian_.samples(); }
  /// H, to be rounded with.
  const Hessian& hessian() const { return hessian_; }
  /// C, K x K. Throws std::invalid_argument where there are no samples.
  template <unsigned Baseline = isa::baseline> Eigen::MatrixXd cross() const {
    if (samples() == 0) invalid("Propagation::cross", "samples", "none");
    return sum_ * (2 / hessian_.weight());
  }

  /// Adds the samples x, and the same ones as x_hat, K x batch each: any dense expressions, rounded to float. Batches
  /// of any sizes give the same to rounding, any number of threads the same bits. Throws std::invalid_argument, before
  /// anything is added, where one has another number of rows or columns, a NaN or an infinity, or their differences
  /// have one.
  template <class X, class XHat> void add(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<XHat>& x_hat) {
    add_samples(x.template cast<float>(), x_hat.template cast<float>());
  }

  /// Adds the samples of `other`, of as many inputs.
  template <unsigned Baseline = isa::baseline> void merge(const Propagation& other) {
    if (other.inputs() != inputs())
      invalid("Propagation::merge", text("moments of ", inputs(), " inputs"), other.inputs());
    sum_ += other.sum_;
    hessian_.merge(other.hessian_);
  }

  /// W + strength * W C H^-1, N x K: W itself where strength is 0; where it is 1 and damping 0, the T that minimises
  /// |W X - T X^|^2. H is damped as the rounding damps it. Throws std::invalid_argument where W has another number of
  /// columns, a NaN or an infinity, on a strength outside 0 .. 1, and, unless strength is 0, where there are no samples
  /// or the damped H is not positive definite.
  template <class Derived>
  Eigen::MatrixXf target(const Eigen::MatrixBase<Derived>& w, double strength = 0.5, double damping = 0.01) const {
    return corrected(w.template cast<float>(), strength, damping);
  }

 private:
  static constexpr Index batch = 512;

  template <unsigned Baseline = isa::baseline>
  void add_samples(const Eigen::MatrixXf& x, const Eigen::MatrixXf& x_hat) {
    constexpr const char* function = "Propagation::add";
    const auto check = [&](const Eigen::MatrixXf& m) {
      if (m.rows() != inputs() || m.cols() != x.cols())
        invalid(function, text("samples of ", inputs(), " x ", x.cols()), text(m.rows(), " x ", m.cols()));
      if (!m.allFinite()) invalid(function, "finite samples", "a NaN or an infinity");
    };
    check(x);
    check(x_hat);
    Eigen::MatrixXf error = x - x_hat;
    if (!error.allFinite()) invalid(function, "samples whose difference is finite", "an infinity");
    hessian_.add(x_hat);
    for (Index first = 0; first < x.cols() && inputs() > 0; first += batch) {
      const Index count = std::min(batch, x.cols() - first);
      Eigen::MatrixXf left = error.middleCols(first, count), right = x_hat.middleCols(first, count);
      const double unit = to_unit(left) * to_unit(right);
      if (unit > 0) rounding::add_cross_moments(left, right, unit, sum_, {options_.threads, options_.executor});
    }
  }

  /// Divides X by a power of two, which is returned, so that no product leaves the range of floats; 0 where X is.
  template <unsigned Baseline = isa::baseline> static double to_unit(Eigen::MatrixXf& x) {
    const float largest = x.cwiseAbs().maxCoeff();
    if (largest == 0) return 0;
    const int exponent = std::ilogb(largest);
    if (exponent >= -30 && exponent <= 30) return 1;
    x = x.unaryExpr([exponent](float v) { return std::ldexp(v, -exponent); }).eval();
    return std::ldexp(1.0, exponent);
  }

  template <unsigned Baseline = isa::baseline>
  Eigen::MatrixXf corrected(Eigen::MatrixXf w, double strength, double damping) const {
    constexpr const char* function = "Propagation::target";
    if (w.cols() != inputs()) invalid(function, text("weights of ", inputs(), " inputs"), w.cols());
    if (!w.allFinite()) invalid(function, "finite weights", "a NaN or an infinity");
    if (!(strength >= 0 && strength <= 1)) invalid(function, "a strength from 0 to 1", strength);
    if (strength == 0 || w.size() == 0) return w;
    if (samples() == 0) invalid(function, "samples", "none");
    const Parallel parallel{options_.threads, options_.executor};
    Eigen::MatrixXd factor = hessian_.damped(damping).matrix();
    const rounding::BadPivot bad = rounding::cholesky_in_place(factor, parallel);
    if (bad.column >= 0)
      invalid(function, "second moments that are positive definite once damped",
              text("a pivot of ", bad.value, " at input ", bad.column, " with damping ", damping, "; try a damping of ",
                   std::max(0.01, 10 * damping)));
    const Eigen::MatrixXd c = cross();
    constexpr Index tile = 64;
    parallel_for((w.rows() + tile - 1) / tile, parallel, [&](Index begin, Index end) {
      for (Index t = begin; t < end; ++t) {
        auto rows = w.middleRows(t * tile, std::min(tile, w.rows() - t * tile));
        Eigen::MatrixXd shift = c.transpose() * rows.transpose().template cast<double>();
        factor.triangularView<Eigen::Lower>().solveInPlace(shift);
        factor.triangularView<Eigen::Lower>().transpose().solveInPlace(shift);
        rows = (rows.template cast<double>() + strength * shift.transpose()).template cast<float>();
      }
    });
    return w;
  }

  HessianOptions options_;
  Hessian hessian_;
  Eigen::MatrixXd sum_;  ///< of (x - x^) x^^T
};

}  // namespace nibble
