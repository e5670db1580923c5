// What learned roundings share: losses, Adam, the values of a format. Rows are learned lane_rows at a time, side by
// side: element [input][row].
#pragma once

#include "nibble/rounding/hessian_tiles.h"

namespace nibble::rounding {

/// Adds e H e^T / unit of each of lane_rows rows to `losses`; `errors` are [input][row], H is tiled in order.
template <unsigned Baseline = isa::baseline>
void add_losses(const HessianTiles& h, Isa isa, const float* errors, double* losses) {
  constexpr Index lane = kernels::lane_rows;
  alignas(alignment) float product[kernels::lane_cols * lane];
  for (Index piece = 0; piece < h.pieces(); ++piece) {
    h.product(isa, errors, piece, product);
    for (Index j = h.first(piece); j < h.first(piece + 1); ++j)
      for (Index r = 0; r < lane; ++r)
        losses[r] +=
            static_cast<double>(errors[j * lane + r]) * static_cast<double>(product[(j - h.first(piece)) * lane + r]);
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
