// HessianTiles: the columns of a Hessian in the order in which inputs are taken, as products of lanes want them.
#pragma once

#include "nibble/rounding/column_solver.h"

namespace nibble::rounding {

/// H without damping, over `unit`, in floats, by pieces: whole runs of `dim` inputs that fill one tile of lane_cols
/// columns, or one run that needs several. Takes 8 K^2 bytes more while it is made, and 4 K^2 (6.4 K^2 for runs of 5)
/// to keep.
struct HessianTiles {
  int dim = 1;
  std::vector<Index> order;   ///< runs, in the order in which they are taken
  std::vector<Index> inputs;  ///< the input at each position
  std::vector<Index> starts;  ///< the position at which each run starts, and K
  Index runs_per_piece = 1, tiles_per_piece = 1;
  double unit = 1;  ///< the mean of what is above 0 on H's diagonal

  template <unsigned Baseline = isa::baseline>
  HessianTiles(const Hessian& hessian, int run, std::vector<Index> runs, const Parallel& parallel)
      : dim(run),
        order(std::move(runs)),
        runs_per_piece(std::max<Index>(1, width / run)),
        tiles_per_piece((run + width - 1) / width) {
    const Eigen::MatrixXd h = hessian.matrix();
    const Index k = h.rows();
    for (Index r : order) {
      starts.push_back(static_cast<Index>(inputs.size()));
      for (Index j = r * dim; j < std::min(k, (r + 1) * dim); ++j) inputs.push_back(j);
    }
    starts.push_back(k);
    if (const Index live = (h.diagonal().array() > 0).count(); live > 0)
      unit = h.diagonal().sum() / static_cast<double>(live);
    factor_ = AlignedArray<float>(static_cast<std::size_t>(pieces() * tiles_per_piece * width * k));
    parallel_for(pieces(), parallel, [&](Index begin, Index end) {
      for (Index piece = begin; piece < end; ++piece) {
        for (Index p = first(piece); p < first(piece + 1); ++p) {
          float* const column = factor_.data() + offset(piece, p);
          const double* const of_input = h.col(inputs[static_cast<std::size_t>(p)]).data();
          for (Index q = 0; q < k; ++q)
            column[q * width] = static_cast<float>(of_input[inputs[static_cast<std::size_t>(q)]] / unit);
        }
      }
    });
  }

  Index positions() const { return static_cast<Index>(inputs.size()); }
  Index pieces() const { return (static_cast<Index>(order.size()) + runs_per_piece - 1) / runs_per_piece; }
  /// The first run of a piece; that of the piece after the last is their number.
  Index first_run(Index piece) const { return std::min(static_cast<Index>(order.size()), piece * runs_per_piece); }
  /// The position at which a piece starts.
  Index first(Index piece) const { return starts[static_cast<std::size_t>(first_run(piece))]; }

  /// Tile t of a piece: element [q][c] is H / unit between position q and first(piece) + t * lane_cols + c.
  const float* tile(Index piece, Index t = 0) const {
    return factor_.data() + (piece * tiles_per_piece + t) * width * positions();
  }
  /// H / unit between position q and position p of a piece.
  float at(Index piece, Index q, Index p) const {
    return factor_[static_cast<std::size_t>(offset(piece, p) + q * width)];
  }

  /// H / unit at an input of an H of runs of 1 in order.
  double diagonal(Index j) const { return static_cast<double>(at(j / width, j, j)); }

  /// out[p - first(piece)][r] = sum over positions q of left[q][r] * H(q, p) / unit, for the positions p of a piece:
  /// the rows of `left`, lane_rows side by side, times H / unit. `out` has room for tiles_per_piece * lane_cols
  /// positions.
  template <unsigned Baseline = isa::baseline> void product(Isa isa, const float* left, Index piece, float* out) const {
    constexpr Index lane = kernels::lane_rows;
    std::fill_n(out, tiles_per_piece * width * lane, 0.0f);
    dispatch(isa, [&](auto tag) {
      for (Index t = 0; t < tiles_per_piece; ++t)
        kernels::LaneProduct<decltype(tag)>::template run<static_cast<int>(width)>(tile(piece, t), left, positions(),
                                                                                   out + t * width * lane);
    });
  }

 private:
  static constexpr Index width = kernels::lane_cols;
  Index offset(Index piece, Index p) const {
    const Index c = p - first(piece);
    return (piece * tiles_per_piece + c / width) * width * positions() + c % width;
  }

  AlignedArray<float> factor_;
};

}  // namespace nibble::rounding
