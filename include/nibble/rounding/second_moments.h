// Sums of x x^T and of x y^T, without a matrix of floats of their size.
#pragma once

#include <Eigen/Core>

#include "nibble/core/aligned.h"
#include "nibble/kernels/lane_product.h"
#include "nibble/rounding/triangle.h"

namespace nibble::rounding {

/// X again, K x M, with `width` of its rows side by side: [panel][sample][row of the panel], K padded with zeros.
template <unsigned Baseline = isa::baseline>
AlignedArray<float> side_by_side(const Eigen::MatrixXf& x, Eigen::Index width, const Parallel& parallel) {
  using Eigen::Index;
  const Index k = x.rows(), m = x.cols();
  AlignedArray<float> packed(static_cast<std::size_t>(round_up(k, width) * m));
  parallel_for((k + width - 1) / width, parallel, [&](Index begin, Index end) {
    for (Index p = begin; p < end; ++p)
      for (Index q = 0; q < m; ++q)
        std::copy_n(&x(p * width, q), std::min(width, k - p * width), packed.data() + (p * m + q) * width);
  });
  return packed;
}

/// Adds unit * X X^T to the lower triangle of `sum`, K x K; X is K x M. Sums over M are floats. What lies above the
/// diagonal may change, too.
template <unsigned Baseline = isa::baseline>
void add_second_moments(const Eigen::MatrixXf& x, double unit, Eigen::MatrixXd& sum, const Parallel& parallel) {
  using Eigen::Index;
  using kernels::lane_cols, kernels::lane_rows;
  constexpr Index tile = 4 * lane_rows;
  const Index k = x.rows(), m = x.cols();
  const AlignedArray<float> left = side_by_side(x, lane_rows, parallel), right = side_by_side(x, lane_cols, parallel);
  dispatch(resolve(), [&](auto tag) {
    parallel_triangle(k, tile, parallel, [&](Index first_row, Index first_col, Index rows, Index cols) {
      for (Index j = first_col; j < first_col + cols; j += lane_cols) {
        for (Index i = first_row; i < first_row + rows; i += lane_rows) {
          const Index height = std::min(lane_rows, k - i);
          if (i + height <= j) continue;
          alignas(alignment) float product[lane_rows * lane_cols] = {};
          kernels::LaneProduct<decltype(tag)>::template run<static_cast<int>(lane_cols)>(
              right.data() + j * m, left.data() + i * m, m, product);
          for (Index c = 0; c < std::min(lane_cols, k - j); ++c)
            for (Index r = 0; r < height; ++r)
              sum(i + r, j + c) += unit * static_cast<double>(product[c * lane_rows + r]);
        }
      }
    });
  });
}

/// Adds unit * X Y^T to `sum`, K x L; X is K x M, Y L x M. Sums over M are floats.
template <unsigned Baseline = isa::baseline>
void add_cross_moments(const Eigen::MatrixXf& x, const Eigen::MatrixXf& y, double unit, Eigen::MatrixXd& sum,
                       const Parallel& parallel) {
  using Eigen::Index;
  using kernels::lane_cols, kernels::lane_rows;
  const Index m = x.cols();
  const AlignedArray<float> left = side_by_side(x, lane_rows, parallel), right = side_by_side(y, lane_cols, parallel);
  dispatch(resolve(), [&](auto tag) {
    parallel_for((y.rows() + lane_cols - 1) / lane_cols, parallel, [&](Index begin, Index end) {
      for (Index j = begin * lane_cols; j < std::min(y.rows(), end * lane_cols); j += lane_cols) {
        for (Index i = 0; i < x.rows(); i += lane_rows) {
          alignas(alignment) float product[lane_rows * lane_cols] = {};
          kernels::LaneProduct<decltype(tag)>::template run<static_cast<int>(lane_cols)>(
              right.data() + j * m, left.data() + i * m, m, product);
          for (Index c = 0; c < std::min(lane_cols, y.rows() - j); ++c)
            for (Index r = 0; r < std::min(lane_rows, x.rows() - i); ++r)
              sum(i + r, j + c) += unit * static_cast<double>(product[c * lane_rows + r]);
        }
      }
    });
  });
}

}  // namespace nibble::rounding
