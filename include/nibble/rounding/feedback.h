// Feedback: the factor of a Hessian that tells how the errors of some inputs are to be made good by those that follow.
#pragma once

#include <numeric>
#include <vector>

#include "nibble/core/aligned.h"
#include "nibble/kernels/lane_product.h"
#include "nibble/rounding/cholesky.h"

namespace nibble::rounding {

/// The inputs are rounded in an order, a run of `dim` at a time. H = (I + L) D (I + L)^T, where L is strictly upper
/// triangular by runs and D block diagonal; F = I - (I + L)^-1. Input p rounds the target w_p + sum over q < p of
/// t_q F(q, p), where t_q is what rounding took from the target of an earlier input: the target is what is best for w_p
/// were it and all later inputs not rounded at all. tr(E H E^T) is the sum of t D t^T over the runs of all rows.
/// This is GPTQ: F(q, p) = -U(q, p) / U(q, q) with the upper Cholesky factor U of H^-1 = U^T U. It is also LDLQ, which
/// writes targets as w_p + sum of e_q L(q, p) with the errors e = w - q of earlier inputs: t = e (I + L).
/// Sources: Frantar et al., "GPTQ", 2023; Chee et al., "QuIP", 2023, section 3; Tseng et al., "QuIP#", 2024, section 4.
struct Feedback {
  int dim = 1;
  std::vector<std::ptrdiff_t> order;   ///< runs, in the order in which they are rounded
  std::vector<std::ptrdiff_t> inputs;  ///< the input at each position
  std::vector<std::ptrdiff_t> starts;  ///< the position at which each run starts, and K
  AlignedArray<float> factor;          ///< F as kernels::LaneProduct wants it
  Eigen::MatrixXd roots;               ///< dim x K: the upper triangular root of D, run beside run

  /// F of the positions q < p in the tile of p: element q * lane_cols + p % lane_cols.
  const float* tile(std::ptrdiff_t position) const { return factor.data() + offset(position / kernels::lane_cols); }

  /// The feedback of H, of which the lower triangle of `h` is that of the inputs in *reverse* order of `positions`; `h`
  /// is overwritten. `bad` says where it is not positive definite, by position, and then nothing else is set.
  template <unsigned Baseline = isa::baseline>
  Feedback(int run, std::vector<std::ptrdiff_t> runs, std::vector<std::ptrdiff_t> positions,
           Eigen::Ref<Eigen::MatrixXd> h, const Parallel& parallel, BadPivot& bad)
      : dim(run), order(std::move(runs)), inputs(std::move(positions)) {
    using Eigen::Index;
    constexpr Index width = kernels::lane_cols;
    const Index k = h.rows();
    bad = cholesky_in_place(h, parallel);
    if (bad.column >= 0) {
      bad.column = k - 1 - bad.column;
      return;
    }
    // The reverse of C, R(q, p) = C(k - 1 - q, k - 1 - p), is upper triangular, H = R R^T and U = R^-1. The blocks of R
    // on the diagonal are the roots of D; F = -(they times U) above it.
    const auto reversed = h.reverse();
    roots = Eigen::MatrixXd::Zero(dim, k);
    for (Index p = 0; p < k; p += std::min<Index>(dim, k - inputs[static_cast<std::size_t>(p)])) starts.push_back(p);
    starts.push_back(k);
    for (std::size_t s = 0; s < order.size(); ++s) {
      const Index p = starts[s], count = starts[s + 1] - p;
      roots.block(0, p, count, count).template triangularView<Eigen::Upper>() = reversed.block(p, p, count, count);
    }
    invert_triangle_in_place(h, parallel);
    factor = AlignedArray<float>(static_cast<std::size_t>(offset((k + width - 1) / width)));
    parallel_for(static_cast<Index>(order.size()), parallel, [&](Index begin, Index end) {
      for (Index s = begin; s < end; ++s) {
        for (Index p = starts[static_cast<std::size_t>(s)]; p < starts[static_cast<std::size_t>(s) + 1]; ++p) {
          float* const column = factor.data() + offset(p / width) + p % width;
          for (std::size_t before = 0; before < static_cast<std::size_t>(s); ++before) {
            const Index first = starts[before], count = starts[before + 1] - first;
            for (Index q = first; q < first + count; ++q) {
              double sum = 0;
              for (Index l = q; l < first + count; ++l) sum += roots(q - first, l) * reversed(l, p);
              column[q * width] = static_cast<float>(-sum);
            }
          }
        }
      }
    });
  }

 private:
  /// Tiles hold their inputs' columns of F, down to the last row that can be other than 0.
  static constexpr std::ptrdiff_t offset(std::ptrdiff_t tile) {
    return kernels::lane_cols * kernels::lane_cols * tile * (tile + 1) / 2;
  }
};

}  // namespace nibble::rounding
