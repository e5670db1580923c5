// Cholesky factors of large matrices and their inverses, on several threads: by Eigen, on tiles that do not depend on
// how many. (Where Eigen is compiled with OpenMP and called on one thread, it may spread a tile over threads of its
// own.)
#pragma once

#include <Eigen/Dense>

#include <limits>

#include "nibble/rounding/triangle.h"

namespace nibble::rounding {

/// Where a matrix is not positive definite: the column, and what was left on its diagonal. No column where it is.
struct BadPivot {
  std::ptrdiff_t column = -1;
  double value = 0;
};

/// Overwrites the lower triangle of a symmetric n x n matrix, which alone is read, by C, lower triangular with
/// A = C C^T. Stops at the first pivot that is no larger than what rounding leaves of a singular matrix. Takes n^3 / 3
/// operations and no memory of size n^2.
template <unsigned Baseline = isa::baseline>
BadPivot cholesky_in_place(Eigen::Ref<Eigen::MatrixXd> a, const Parallel& parallel) {
  using Eigen::Index;
  constexpr Index block = 96, tile = 192;
  const Index n = a.rows();
  const double singular = 4 * static_cast<double>(n) * std::numeric_limits<double>::epsilon();
  const Eigen::VectorXd least = singular * a.diagonal().cwiseAbs();
  for (Index b = 0; b < n; b += block) {
    const Index size = std::min(block, n - b), next = b + size;
    auto corner = a.block(b, b, size, size);
    for (Index j = 0; j < size; ++j) {
      const Index below = size - j - 1;
      const double pivot = corner(j, j) - corner.row(j).head(j).squaredNorm();
      if (!(pivot > least[b + j]) || !std::isfinite(pivot)) return {b + j, pivot};
      corner(j, j) = std::sqrt(pivot);
      corner.col(j).tail(below).noalias() -= corner.block(j + 1, 0, below, j) * corner.row(j).head(j).transpose();
      corner.col(j).tail(below) /= corner(j, j);
    }
    parallel_for((n - next + tile - 1) / tile, parallel, [&](Index begin, Index end) {
      for (Index t = begin; t < end; ++t) {
        auto rows = a.block(next + t * tile, b, std::min(tile, n - next - t * tile), size);
        corner.triangularView<Eigen::Lower>().transpose().solveInPlace<Eigen::OnTheRight>(rows);
      }
    });
    parallel_triangle(n - next, tile, parallel, [&](Index i, Index j, Index rows, Index cols) {
      a.block(next + i, next + j, rows, cols).noalias() -=
          a.block(next + i, b, rows, size) * a.block(next + j, b, cols, size).transpose();
    });
  }
  return {};
}

/// Overwrites a lower triangular n x n matrix by its inverse; what lies above the diagonal is neither read nor written.
/// Takes n^3 / 3 operations and no memory of size n^2.
template <unsigned Baseline = isa::baseline>
void invert_triangle_in_place(Eigen::Ref<Eigen::MatrixXd> c, const Parallel& parallel) {
  using Eigen::Index;
  constexpr Index block = 96, tile = 96;
  const Index n = c.rows();
  for (Index b = (n - 1) / block * block; n > 0 && b >= 0; b -= block) {
    const Index size = std::min(block, n - b), next = b + size, tiles = (n - next + tile - 1) / tile;
    const Eigen::MatrixXd inverse =
        c.block(b, b, size, size).triangularView<Eigen::Lower>().solve(Eigen::MatrixXd::Identity(size, size));
    // What lies below becomes the inverse of the corner below, from the steps before, times -(itself) * inverse.
    Eigen::MatrixXd panel(n - next, size);
    parallel_for(tiles, parallel, [&](Index begin, Index end) {
      for (Index t = begin; t < end; ++t) {
        const Index i = t * tile, rows = std::min(tile, n - next - i);
        panel.middleRows(i, rows).noalias() = -c.block(next + i, b, rows, size) * inverse;
      }
    });
    parallel_for((tiles + 1) / 2, parallel, [&](Index begin, Index end) {
      const auto row_of_tiles = [&](Index t) {
        const Index i = t * tile, rows = std::min(tile, n - next - i);
        auto out = c.block(next + i, b, rows, size);
        out.noalias() =
            c.block(next + i, next + i, rows, rows).triangularView<Eigen::Lower>() * panel.middleRows(i, rows);
        if (i > 0) out.noalias() += c.block(next + i, next, rows, i) * panel.topRows(i);
      };
      for (Index t = begin; t < end; ++t) {  // a short row with a long one, so that all parts take as long
        row_of_tiles(t);
        if (t != tiles - 1 - t) row_of_tiles(tiles - 1 - t);
      }
    });
    c.block(b, b, size, size).triangularView<Eigen::Lower>() = inverse;
  }
}

}  // namespace nibble::rounding
