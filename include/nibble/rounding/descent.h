// What learned roundings share: the gradient of the layer's loss, Adam. Rows are learned lane_rows at a time,
// side by side: element [input][row].
#pragma once

#include "nibble/rounding/hessian.h"
#include "nibble/rounding/shared_progress.h"

namespace nibble::rounding {

/// H over the mean of its diagonal, in floats, as kernels::LaneProduct wants its right side.
template <unsigned Baseline = isa::baseline> class LaneHessian {
 public:
  Eigen::VectorXd diagonal;

  LaneHessian(const Hessian& hessian, const Parallel& parallel) : diagonal(hessian.diagonal()), isa_(resolve()) {
    const Index k = hessian.inputs(), live = (diagonal.array() > 0).count();
    const double mean = live > 0 ? diagonal.sum() / static_cast<double>(live) : 1;
    diagonal /= mean;
    const Eigen::MatrixXd h = hessian.matrix();
    tiles_ = AlignedArray<float>(static_cast<std::size_t>(round_up(k, kernels::lane_cols) * k));
    parallel_for(k, parallel, [&](Index begin, Index end) {
      for (Index j = begin; j < end; ++j)
        for (Index q = 0; q < k; ++q)
          tiles_.data()[tile(j) + q * kernels::lane_cols + j % kernels::lane_cols] = static_cast<float>(h(q, j) / mean);
    });
  }

  Index inputs() const { return diagonal.size(); }

  /// out[j - first][row] = sum over q of errors[q][row] H(q, j) for the inputs first <= j < last. `errors` and `out`
  /// start on cache lines, `first` is a multiple of lane_cols.
  void multiply(const float* errors, Index first, Index last, float* out) const {
    std::fill_n(out, (last - first) * kernels::lane_rows, 0.0f);
    kernels::feed_back(
        isa_, [&](Index j) { return tiles_.data() + tile(j); }, errors, 0, inputs(), first, last, out);
  }

 private:
  Index tile(Index j) const { return j / kernels::lane_cols * kernels::lane_cols * inputs(); }

  Isa isa_;
  AlignedArray<float> tiles_;
};

/// Adds e H e^T of each of lane_rows rows to `losses`.
template <unsigned Baseline>
void add_losses(const LaneHessian<Baseline>& hessian, const float* errors, double* losses) {
  constexpr Index lane = kernels::lane_rows, tile = kernels::lane_cols;
  alignas(alignment) float product[tile * lane];
  for (Index first = 0; first < hessian.inputs(); first += tile) {
    const Index last = std::min(hessian.inputs(), first + tile);
    hessian.multiply(errors, first, last, product);
    for (Index j = first; j < last; ++j)
      for (Index r = 0; r < lane; ++r)
        losses[r] += static_cast<double>(errors[j * lane + r]) * static_cast<double>(product[(j - first) * lane + r]);
  }
}

/// Gradient descent whose steps are the mean gradient of late over the root of the mean square: x -= rate m / sqrt(v),
/// both means corrected for their start at 0. Source: Kingma and Ba, "Adam", 2015.
template <unsigned Baseline = isa::baseline> class Adam {
 public:
  explicit Adam(Index size) : mean_(static_cast<std::size_t>(size)), square_(static_cast<std::size_t>(size)) {}

  /// Begins the next step.
  void begin(float rate) {
    decay_mean_ *= first;
    decay_square_ *= second;
    rate_ = rate / (1 - decay_mean_);
    root_ = 1 / (1 - decay_square_);
  }
  /// Moves the `count` parameters from parameter `start` on.
  void move(Index start, Index count, const float* gradient, float* parameters) {
    Eigen::Map<Eigen::ArrayXf> m(mean_.data() + start, count), v(square_.data() + start, count);
    Eigen::Map<Eigen::ArrayXf> x(parameters, count);
    const Eigen::Map<const Eigen::ArrayXf> g(gradient, count);
    m += (1 - first) * (g - m);
    v += (1 - second) * (g.square() - v);
    x -= rate_ * m / ((root_ * v).sqrt() + 1e-8f);
  }

 private:
  static constexpr float first = 0.9f, second = 0.999f;
  AlignedArray<float> mean_, square_;
  float decay_mean_ = 1, decay_square_ = 1, rate_ = 0, root_ = 1;
};

/// The values of a scheme of dim 1, in order: those of each choice of its format, or of a table.
template <class S> class LevelsOf {
 public:
  using Levels = std::vector<Level<typename S::format>>;

  LevelsOf() {
    if constexpr (S::dim == 1 && S::table_size == 0)
      for (int choice = 0; choice < S::choices; ++choice)
        fixed_.push_back(make_levels<typename S::format>({nullptr, choice}));
  }
  /// Those of a group, whose table is made into `learned` where it has one.
  const Levels& of(const Side& side, Levels& learned) const {
    if constexpr (S::table_size > 0)
      return learned = make_levels<typename S::format>(side);
    else
      return fixed_[static_cast<std::size_t>(side.choice)];
  }

 private:
  std::vector<Levels> fixed_;
};

}  // namespace nibble::rounding
