// Cholesky factors of large matrices and their inverses, on several threads: corners by Eigen, all else by products of
// lanes, on tiles that do not depend on how many threads there are.
#pragma once

#include <Eigen/Dense>

#include <limits>

#include "nibble/core/aligned.h"
#include "nibble/kernels/lane_product.h"
#include "nibble/rounding/triangle.h"

namespace nibble::rounding {

/// Where a matrix is not positive definite: the column, and what was left on its diagonal. No column where it is.
struct BadPivot {
  std::ptrdiff_t column = -1;
  double value = 0;
};

/// Strips of Width rows of a matrix, [strip][column][row], the last filled up with zeros.
template <std::ptrdiff_t Width, unsigned Baseline = isa::baseline> class Strips {
 public:
  /// `rows` x `cols`, of which row i is given by at(i, column).
  template <class At>
  Strips(std::ptrdiff_t rows, std::ptrdiff_t cols, const Parallel& parallel, const At& at)
      : cols_(cols), numbers_(static_cast<std::size_t>(round_up(rows, Width) * cols)) {
    parallel_for((rows + Width - 1) / Width, parallel, [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
      for (std::ptrdiff_t s = begin; s < end; ++s)
        for (std::ptrdiff_t q = 0; q < cols; ++q)
          for (std::ptrdiff_t r = s * Width; r < std::min(rows, (s + 1) * Width); ++r)
            numbers_.data()[(s * cols + q) * Width + r % Width] = at(r, q);
    });
  }
  /// The strip that begins with `row`, a multiple of Width.
  const double* at(std::ptrdiff_t row) const { return numbers_.data() + row * cols_; }

 private:
  std::ptrdiff_t cols_;
  AlignedArray<double> numbers_;
};

/// Overwrites the lower triangle of a symmetric n x n matrix, which alone is read, by C, lower triangular with
/// A = C C^T. Stops at the first pivot that is no larger than what rounding leaves of a singular matrix. Takes n^3 / 3
/// operations and no memory of size n^2.
template <unsigned Baseline = isa::baseline>
BadPivot cholesky_in_place(Eigen::Ref<Eigen::MatrixXd> a, const Parallel& parallel) {
  using Eigen::Index;
  constexpr Index block = 96, tile = 192, height = kernels::lane_rows_of<double>, width = kernels::lane_cols;
  const Index n = a.rows();
  const double singular = 4 * static_cast<double>(n) * std::numeric_limits<double>::epsilon();
  const Eigen::VectorXd least = singular * a.diagonal().cwiseAbs();
  for (Index b = 0; b < n; b += block) {
    parallel.advance(0);
    const Index size = std::min(block, n - b), next = b + size, rest = n - next;
    auto corner = a.block(b, b, size, size);
    for (Index j = 0; j < size; ++j) {
      const Index below = size - j - 1;
      const double pivot = corner(j, j) - corner.row(j).head(j).squaredNorm();
      if (!(pivot > least[b + j]) || !std::isfinite(pivot)) return {b + j, pivot};
      corner(j, j) = std::sqrt(pivot);
      corner.col(j).tail(below).noalias() -= corner.block(j + 1, 0, below, j) * corner.row(j).head(j).transpose();
      corner.col(j).tail(below) /= corner(j, j);
    }
    parallel_for((rest + tile - 1) / tile, parallel, [&](Index begin, Index end) {
      for (Index t = begin; t < end; ++t) {
        auto rows = a.block(next + t * tile, b, std::min(tile, rest - t * tile), size);
        corner.template triangularView<Eigen::Lower>().transpose().template solveInPlace<Eigen::OnTheRight>(rows);
      }
    });
    // What is left of A loses panel * panel^T.
    const auto panel = a.block(next, b, rest, size);
    const Strips<height> left(rest, size, parallel, [&](Index i, Index q) { return panel(i, q); });
    const Strips<width> right(rest, size, parallel, [&](Index i, Index q) { return -panel(i, q); });
    dispatch(resolve(), [&](auto tag) {
      parallel_triangle(rest, tile, parallel, [&](Index first_row, Index first_col, Index rows, Index cols) {
        for (Index j = first_col; j < first_col + cols; j += width) {
          const Index wide = std::min(width, first_col + cols - j);
          for (Index i = first_row; i < first_row + rows; i += height) {
            const Index high = std::min(height, first_row + rows - i);
            if (i + high <= j) continue;
            alignas(alignment) double part[height * width] = {};
            for (Index c = 0; c < wide; ++c) std::copy_n(&a(next + i, next + j + c), high, part + c * height);
            kernels::LaneProduct<decltype(tag)>::template run<static_cast<int>(width)>(right.at(j), left.at(i), size,
                                                                                       part);
            for (Index c = 0; c < wide; ++c) std::copy_n(part + c * height, high, &a(next + i, next + j + c));
          }
        }
      });
    });
  }
  return {};
}

/// Overwrites a lower triangular n x n matrix by its inverse; what lies above the diagonal is not read, and may change.
/// Takes n^3 / 3 operations and no memory of size n^2.
template <unsigned Baseline = isa::baseline>
void invert_triangle_in_place(Eigen::Ref<Eigen::MatrixXd> c, const Parallel& parallel) {
  using Eigen::Index;
  constexpr Index block = 96, height = kernels::lane_rows_of<double>, width = kernels::lane_cols;
  constexpr Index tile = 4 * height,
                  chunk = 256;  // of rows, and of the depth, so that what is multiplied is in the cache
  const Index n = c.rows();
  for (Index b = (n - 1) / block * block; n > 0 && b >= 0; b -= block) {
    parallel.advance(0);
    const Index size = std::min(block, n - b), next = b + size, rest = n - next, tiles = (rest + tile - 1) / tile;
    const Eigen::MatrixXd inverse =
        c.block(b, b, size, size).template triangularView<Eigen::Lower>().solve(Eigen::MatrixXd::Identity(size, size));
    // What lies below becomes the inverse of the corner below, from the steps before, times -(itself) * inverse.
    Eigen::MatrixXd panel(rest, size);
    parallel_for(tiles, parallel, [&](Index begin, Index end) {
      for (Index t = begin; t < end; ++t) {
        const Index i = t * tile, rows = std::min(tile, rest - i);
        panel.middleRows(i, rows).noalias() = -c.block(next + i, b, rows, size) * inverse;
      }
    });
    const Strips<width> right(size, rest, parallel, [&](Index j, Index q) { return panel(q, j); });
    dispatch(resolve(), [&](auto tag) {
      parallel_for((tiles + 1) / 2, parallel, [&](Index begin, Index end) {
        AlignedArray<double> left(tile * chunk), sums(tile * block);
        const auto multiply = [&](Index t) {
          const Index i = t * tile, rows = std::min(tile, rest - i);
          std::fill_n(sums.data(), sums.size(), 0.0);
          for (Index from = 0; from < i + rows; from += chunk) {
            const Index depth = std::min(chunk, i + rows - from);
            for (Index r = 0; r < rows; r += height) {
              const Index high = std::min(height, rows - r);
              for (Index q = 0; q < depth; ++q) {
                double* const to = left.data() + r * chunk + q * height;
                const Index zeros = std::clamp<Index>(from + q - i - r, 0, high);  // above the diagonal
                std::fill_n(to, zeros, 0.0);
                std::copy_n(&c(next + i + r, next + from + q) + zeros, high - zeros, to + zeros);
              }
            }
            for (Index j = 0; j < size; j += width)
              for (Index r = 0; r < rows; r += height)
                kernels::LaneProduct<decltype(tag)>::template run<static_cast<int>(width)>(
                    right.at(j) + from * width, left.data() + r * chunk, depth, sums.data() + r * block + j * height);
          }
          for (Index j = 0; j < size; ++j)
            for (Index r = 0; r < rows; r += height)
              std::copy_n(sums.data() + r * block + j * height, std::min(height, rows - r), &c(next + i + r, b + j));
        };
        for (Index t = begin; t < end; ++t) {  // a short tile with a long one, so that all parts take as long
          multiply(t);
          if (t != tiles - 1 - t) multiply(tiles - 1 - t);
        }
      });
    });
    c.block(b, b, size, size).template triangularView<Eigen::Lower>() = inverse;
  }
}

}  // namespace nibble::rounding
