// Incoherence processing: rounding in a basis in which neither the weights nor the Hessian have outliers.
#pragma once

#include "nibble/kernels/rotated.h"
#include "nibble/quantize.h"
#include "nibble/rounding/hessian.h"

namespace nibble {

/// V H V^T, the Hessian of rotated inputs V x, of as many samples; their weights are forgotten. Its trace is that of H.
/// Throws std::invalid_argument where the sizes differ or there are no samples that count.
template <unsigned Baseline = isa::baseline>
Hessian rotated(const Hessian& hessian, const Rotation& rotation, const TransformOptions& options = {}) {
  if (rotation.size() != hessian.inputs())
    invalid("rotated", text("a rotation of ", hessian.inputs(), " inputs"), rotation.size());
  Eigen::MatrixXd h = hessian.matrix();
  for (int side = 0; side < 2; ++side) {
    rotation.apply_in_place<Baseline>(h, options);
    h.transposeInPlace();
  }
  h.diagonal() = h.diagonal().cwiseMax(0.0);  // where rounding left less
  return Hessian::from_matrix(h, hessian.samples(), {options.threads, options.executor});
}

/// QuIP's diagonal: d_j = (H_jj / sum over i of W_ij^2)^(1/4) for each input, for which tr(diag(d)^-1 H diag(d)^-1)
/// |W diag(d)|^2 is least. Inputs that are always 0 and weights that are all 0 count as the mean of the others. Throws
/// std::invalid_argument where the sizes differ, W is not finite, or there are no samples that count.
/// Source: Chee et al., "QuIP", 2023, algorithm 1.
template <unsigned Baseline = isa::baseline>
Eigen::VectorXd balance(const Eigen::Ref<const RowMajorMatrixXf>& w, const Hessian& hessian) {
  if (hessian.inputs() != w.cols()) invalid("balance", text("a Hessian of ", w.cols(), " inputs"), hessian.inputs());
  if (!w.allFinite()) invalid("balance", "finite weights", "a NaN or an infinity");
  Eigen::VectorXd squares = Eigen::VectorXd::Zero(w.cols());
  for (Index i = 0; i < w.rows(); ++i) squares += w.row(i).transpose().cast<double>().cwiseAbs2();
  const auto with_mean = [](const Eigen::VectorXd& v) -> Eigen::VectorXd {
    const Index live = (v.array() > 0).count();
    return (v.array() > 0).select(v, live > 0 ? v.sum() / static_cast<double>(live) : 1);
  };
  return with_mean(hessian.diagonal()).cwiseQuotient(with_mean(squares)).cwiseSqrt().cwiseSqrt();
}

struct IncoherentOptions {
  RotationKind kind = RotationKind::Hadamard;
  std::uint64_t seed = 0;
  bool outputs = true;                 ///< whether outputs are rotated
  bool inputs = true;                  ///< whether inputs are rotated
  bool rescale = false;                ///< whether inputs are first scaled by `balance`
  int threads = 1;                     ///< parts that work is spread over; at least 1
  std::optional<Executor> executor{};  ///< runs the parts; by default OpenMP where compiled with it, else the caller
};

/// What quantize_incoherent makes: U^T Q V, with scales of the inputs where they have been rescaled. A program that
/// rotates inputs itself multiplies `matrix().matrix()`, the QuantizedMatrix, by V applied to diag(right) X.
template <class S> using Incoherent = Scaled<Rotated<QuantizedMatrix<S>>>;

/// QuIP: quantizes W (N x K) as U^T Q V, U and V random rotations of outputs and inputs. Q is U W V^T, whose scales
/// `rule` chooses and whose codes round(H'), a rounding made of the Hessian V H V^T of the rotated inputs, as in
///
///     quantize_incoherent<Int<3>>(W, H, [](const Hessian& h) { return Gptq{h}; })
///
/// The loss tr(E H E^T) of the result is that of Q under H', and large elements of W and of the eigenvectors of H are
/// spread: where N and K are powers of two, with probability 1 - delta no weight exceeds 2 log(4 N K / delta) times the
/// root mean square of all. Groups of Q are groups of rotated inputs, and a rule that weighs inputs weighs those. The
/// result does not depend on threads. Throws std::invalid_argument where W has a NaN or an infinity or the Hessian
/// another size or no samples that count, and what quantize and the rounding throw.
/// Sources: Chee et al., "QuIP", 2023, algorithms 1 to 3; Tseng et al., "QuIP#", 2024, section 3.
template <class S, class Derived, class Rule, class MakeRounding>
  requires(ScaleRule<Rule, S>&& std::invocable<const MakeRounding&, const Hessian&>)
Incoherent<S> quantize_incoherent(const Eigen::MatrixBase<Derived>& w, const Hessian& hessian, const Rule& rule,
                                  const MakeRounding& round, const IncoherentOptions& options = {}) {
  constexpr const char* function = "quantize_incoherent";
  check_parallel(function, {options.threads, options.executor});
  if (hessian.inputs() != w.cols()) invalid(function, text("a Hessian of ", w.cols(), " inputs"), hessian.inputs());
  RowMajorMatrixXf weights = w.template cast<float>();
  if (!weights.allFinite()) invalid(function, "finite weights", "a NaN or an infinity");
  const QuantizeOptions spread{.threads = options.threads, .executor = options.executor};
  if (weights.size() == 0) return {{quantize<S>(weights, rule, round(hessian), spread), {}, {}}, {}, {}};

  const TransformOptions transform{.threads = options.threads, .executor = options.executor};
  Hessian h = hessian;
  Eigen::VectorXf scales;
  if (options.rescale) {
    scales = balance(weights, h).cwiseInverse().template cast<float>();
    weights *= scales.cwiseInverse().asDiagonal();
    const Eigen::VectorXd d = scales.template cast<double>();
    h = Hessian::from_matrix(d.asDiagonal() * h.matrix() * d.asDiagonal(), h.samples());
  }
  const Rotation left = options.outputs ? Rotation(w.rows(), options.seed, options.kind) : Rotation();
  const Rotation right = options.inputs ? Rotation(w.cols(), ~options.seed, options.kind) : Rotation();
  if (options.outputs) weights = left.apply(weights, transform);
  if (options.inputs) {
    right.apply_in_place(weights.transpose(), transform);
    h = rotated(h, right, transform);
  }
  return {{quantize<S>(weights, rule, round(static_cast<const Hessian&>(h)), spread), left, right}, {}, scales};
}
template <class S, class Derived, class MakeRounding>
  requires(std::invocable<const MakeRounding&, const Hessian&>)
Incoherent<S> quantize_incoherent(const Eigen::MatrixBase<Derived>& w, const Hessian& hessian,
                                  const MakeRounding& round, const IncoherentOptions& options = {}) {
  return quantize_incoherent<S>(w, hessian, DefaultRule<S>{}, round, options);
}

}  // namespace nibble
