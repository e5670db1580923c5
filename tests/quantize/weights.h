// Weights to quantize.
#pragma once

#include <Eigen/Core>
#include <cmath>
#include <cstdint>
#include <string>

#include "message_of.h"
#include "nibble/core/random.h"

namespace nibble::test {

/// Independent standard normal numbers.
inline Eigen::MatrixXf gaussian(Eigen::Index rows, Eigen::Index cols, std::uint64_t seed) {
  const Random random(seed);
  Eigen::MatrixXf w(rows, cols);
  for (Eigen::Index i = 0; i < w.size(); ++i) {
    const auto bits = random.block(static_cast<std::uint64_t>(i));
    const double u = (static_cast<double>(bits[0]) + 0.5) * 0x1p-32;
    const double v = (static_cast<double>(bits[1]) + 0.5) * 0x1p-32;
    w.data()[i] = static_cast<float>(std::sqrt(-2 * std::log(u)) * std::cos(2 * 3.14159265358979323846 * v));
  }
  return w;
}

/// Rows that quantizers stumble over, 70 inputs each.
inline Eigen::MatrixXf awkward_weights() {
  Eigen::MatrixXf w = gaussian(12, 70, 99);
  w.row(0).setZero();
  w.row(1).setConstant(0.3f);
  w.row(2).setConstant(-0.3f);
  w.row(3).head(40).setZero();      // zero groups beside others
  w.row(4) *= 1e-40f;               // denormal
  w.row(5).setConstant(0x1p-149f);  // the least denormal
  w(6, 33) = 1e30f;                 // an outlier
  w(7, 2) = -1e30f;
  w.row(8) = w.row(8).cwiseAbs();  // one sign
  w.row(9) = -w.row(9).cwiseAbs();
  for (Eigen::Index j = 0; j < 70; ++j) w(10, j) = static_cast<float>(j % 15 - 7) / 2;  // ties: scale 1 or 1/2
  w(10, 0) = 7;
  w(11, 69) = 0;
  return w;
}

}  // namespace nibble::test
