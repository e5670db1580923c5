// Weights of known distributions, and rows that trouble scale rules.
#pragma once

#include <nibble/nibble.h>

#include <random>

#include "message_of.h"

namespace nibble::test {

template <class Distribution>
RowMajorMatrixXf draw(Index n, Index k, unsigned seed, Distribution distribution, float scale = 1) {
  std::mt19937 random(seed);
  return RowMajorMatrixXf::NullaryExpr(n, k, [&] { return scale * static_cast<float>(distribution(random)); });
}
inline RowMajorMatrixXf gaussian(Index n, Index k, unsigned seed, float scale = 1) {
  return draw(n, k, seed, std::normal_distribution<double>(), scale);
}
inline RowMajorMatrixXf student(Index n, Index k, unsigned seed, double freedom, float scale = 1) {
  return draw(n, k, seed, std::student_t_distribution<double>(freedom), scale);
}
inline RowMajorMatrixXf uniform(Index n, Index k, unsigned seed, float scale = 1) {
  return draw(n, k, seed, std::uniform_real_distribution<double>(-1, 1), scale);
}

/// Rows of K weights: zeros, one constant, one outlier, one sign, float subnormals, the largest floats, two magnitudes,
/// and random ones.
inline RowMajorMatrixXf awkward(Index k) {
  RowMajorMatrixXf w = gaussian(11, k, 77);
  w.row(0).setZero();
  w.row(1).setConstant(-0.3f);
  w.row(2) *= 1e-3f;
  w(2, k / 2) = 50;
  w.row(3) = w.row(3).cwiseAbs();
  w.row(4) *= 1e-41f;
  w.row(5) *= 5e37f;
  w.row(6) = (w.row(6).array() > 0).select(Eigen::RowVectorXf::Constant(k, 1), -1e-6f);
  w.row(7) = -w.row(7).cwiseAbs();
  w.row(8) *= 1e-22f;
  return w;
}

inline std::span<const float> row(const RowMajorMatrixXf& w, Index i) {
  return {w.data() + i * w.cols(), static_cast<std::size_t>(w.cols())};
}

}  // namespace nibble::test
