// corrected_bias: what to add to a layer's bias once its weights are quantized.
#pragma once

#include "nibble/rounding/hessian.h"

namespace nibble {

/// (W - Q) mu, N numbers: added to the bias of a layer whose weights W (N x K, any dense expression) became Q (a
/// low-bit matrix or a dense expression), it makes the outputs' mean error 0 on the samples of the Hessian, whose mean
/// is mu. Their mean squared error, summed over outputs, is then tr(E H E^T) / 2 with E = W - Q and H =
/// hessian.centred(): what weights that have their bias corrected are best rounded with. Throws std::invalid_argument
/// where shapes differ or the mean is not known.
/// Source: Nagel et al., "Data-free quantization through weight equalization and bias correction", 2019, section 4.2.
template <class Derived, class Q>
Eigen::VectorXf corrected_bias(const Eigen::MatrixBase<Derived>& w, const Q& q, const Hessian& hessian) {
  metrics::check_shape("corrected_bias", "a quantized matrix", w.rows(), w.cols(), q.rows(), q.cols());
  if (hessian.inputs() != w.cols())
    invalid("corrected_bias", text("a Hessian of ", w.cols(), " inputs"), hessian.inputs());
  Eigen::MatrixXf values;
  if constexpr (LowBitMatrix<Q>)
    values = q.dequantize();
  else
    values = q.template cast<float>();
  const Eigen::MatrixXf weights = w.template cast<float>();
  const Eigen::VectorXd mean = hessian.mean();
  Eigen::VectorXd bias = Eigen::VectorXd::Zero(w.rows());
  for (Index j = 0; j < w.cols(); ++j)
    bias += mean[j] * (weights.col(j).template cast<double>() - values.col(j).template cast<double>());
  return bias.template cast<float>();
}

}  // namespace nibble
