// Feedback: the factor of a Hessian that tells how the errors of some inputs are to be made good by those that follow.
#pragma once

#include <numeric>
#include <vector>

#include "nibble/core/aligned.h"
#include "nibble/kernels/feedback.h"
#include "nibble/rounding/cholesky.h"

namespace nibble::rounding {

/// H = (I + L) D (I + L)^T over the inputs in the order in which codes are chosen, a run of `dim` inputs at a time; L is
/// strictly upper triangular by runs, D block diagonal. Input p rounds w_p + sum over q < p of e_q L(q, p), where e_q is
/// the error w - q of an earlier input; tr(E H E^T) is then the sum of t D t^T over what rounding does to each run.
/// The same as GPTQ's upper Cholesky factor U of H^-1, whose rows are those of L times U(q, q), without the inverse.
/// Sources: Frantar et al., "GPTQ", 2023; Chee et al., "QuIP", 2023, section 3; Tseng et al., "QuIP#", 2024, section 4.
struct Feedback {
  int dim = 1;
  std::vector<std::ptrdiff_t> order;   ///< runs, in the order in which they are rounded
  std::vector<std::ptrdiff_t> inputs;  ///< the input at each position
  std::vector<std::ptrdiff_t> starts;  ///< the position at which each run starts, and K
  AlignedArray<float> factor;          ///< L as kernels::FeedbackTile wants it
  Eigen::MatrixXd roots;               ///< dim x K: the upper triangular root of D, run beside run

  /// L of the positions q < depth and p of tile p / tile_inputs: element q * tile_inputs + p % tile_inputs.
  const float* tile(std::ptrdiff_t position) const { return factor.data() + offset(position / kernels::tile_inputs); }

  /// The feedback of H, of which the lower triangle of `h` is that of the inputs in *reverse* order of `inputs`; `h` is
  /// overwritten. `bad` says where it is not positive definite, by position, and then nothing else is set.
  Feedback(int run, std::vector<std::ptrdiff_t> runs, std::vector<std::ptrdiff_t> positions,
           Eigen::Ref<Eigen::MatrixXd> h, const Parallel& parallel, BadPivot& bad)
      : dim(run), order(std::move(runs)), inputs(std::move(positions)) {
    using Eigen::Index;
    constexpr Index width = kernels::tile_inputs;
    const Index k = h.rows();
    bad = cholesky_in_place(h, parallel);
    if (bad.column >= 0) {
      bad.column = k - 1 - bad.column;
      return;
    }
    // The reverse of C, R(q, p) = C(k - 1 - q, k - 1 - p), is upper triangular: H = R R^T, so D = R_pp R_pp^T and
    // L = R R_pp^-1 by runs.
    factor = AlignedArray<float>(static_cast<std::size_t>(offset((k + width - 1) / width)));
    roots = Eigen::MatrixXd::Zero(dim, k);
    for (Index p = 0; p < k; p += std::min<Index>(dim, k - inputs[static_cast<std::size_t>(p)])) starts.push_back(p);
    starts.push_back(k);
    parallel_for(static_cast<Index>(order.size()), parallel, [&](Index begin, Index end) {
      Eigen::MatrixXd run_factor, root;
      for (Index s = begin; s < end; ++s) {
        const Index p = starts[static_cast<std::size_t>(s)];
        const Index count = starts[static_cast<std::size_t>(s) + 1] - p;
        const auto reversed = h.block(k - p - count, k - p - count, p + count, count).reverse();
        root = reversed.bottomRows(count).template triangularView<Eigen::Upper>();
        run_factor = reversed.topRows(p);
        root.triangularView<Eigen::Upper>().solveInPlace<Eigen::OnTheRight>(run_factor);
        roots.block(0, p, count, count) = root;
        for (Index c = 0; c < count; ++c) {
          float* const column = factor.data() + offset((p + c) / width) + (p + c) % width;
          for (Index q = 0; q < p; ++q) column[q * width] = static_cast<float>(run_factor(q, c));
        }
      }
    });
  }

 private:
  /// Tiles hold their inputs' columns of L, down to the last row that can be other than 0.
  static constexpr std::ptrdiff_t offset(std::ptrdiff_t tile) {
    return kernels::tile_inputs * kernels::tile_inputs * tile * (tile + 1) / 2;
  }
};

}  // namespace nibble::rounding
