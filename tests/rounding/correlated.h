// Inputs as layers have them: correlated, of different sizes.
#pragma once

#include <Eigen/Core>
#include <random>

namespace nibble::test {

inline Eigen::MatrixXf normal(Eigen::Index rows, Eigen::Index cols, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> draw;
  return Eigen::MatrixXf::NullaryExpr(rows, cols, [&] { return draw(random); });
}

/// K x M samples: `rank` directions that all inputs share, and noise.
inline Eigen::MatrixXf correlated_inputs(Eigen::Index k, Eigen::Index m, unsigned seed, Eigen::Index rank = 6,
                                         float noise = 0.3f) {
  Eigen::MatrixXf x = normal(k, rank, seed) * normal(rank, m, seed + 1) + noise * normal(k, m, seed + 2);
  for (Eigen::Index j = 0; j < k; ++j) x.row(j) *= 0.5f + static_cast<float>((j * 7 + 3) % 11) / 11;
  return x;
}

}  // namespace nibble::test
