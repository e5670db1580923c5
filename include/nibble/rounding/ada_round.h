// AdaRound: up or down for every weight, learned by gradient descent on the error of the outputs.
#pragma once

#include "nibble/rounding/descent.h"

namespace nibble {

struct AdaRoundOptions {
  int iterations = 500;
  float rate = 0.1f;        ///< of Adam
  float regulariser = 100;  ///< lambda, in the objective of rounding::SoftRows; from 10 to 300 much the same
  float warm_up = 0.1f;     ///< the part of the iterations before the regulariser sets in
  float first_beta = 20;    ///< its exponent when it sets in: only weights near an end are drawn there
  float last_beta = 2;      ///< and at the end: all are. Between them by half a cosine
  Progress progress{};      ///< steps are iterations of lane_rows rows
};

namespace rounding {

/// h(v) = clip(1.2 sigmoid(v) - 0.1, 0, 1), and the v of h in [0, 1].
template <class T> T rectified_sigmoid(T v) {
  return std::min(std::max(T(1.2) / (1 + std::exp(-v)) - T(0.1), T(0)), T(1));
}
template <class T> T inverse_rectified_sigmoid(T h) {
  return std::log((h + T(0.1)) / (T(1.1) - h));
}

/// lane_rows rows whose weights lie between a value below and one above, and move towards one of the two: the error of
/// weight j of row r is base + h(v) step, elements [j][r] of each. The objective of a row is e H e^T + lambda times the
/// sum of 1 - |2 h - 1|^beta over its weights. Errors are in the unit of the row.
template <unsigned Baseline = isa::baseline> class SoftRows {
 public:
  AlignedArray<float> base, step, v;

  /// H in order, by one input at a time.
  SoftRows(const HessianTiles& hessian, Isa isa)
      : base(size(hessian)),
        step(size(hessian)),
        v(size(hessian)),
        hessian_(hessian),
        isa_(isa),
        h_(size(hessian)),
        errors_(size(hessian)) {}

  /// Where the weights are by now: what `gradient` is of.
  void place() {
    auto h = all(h_);
    h = ((1.2f / (1 + (-all(v)).exp())) - 0.1f).max(0.0f).min(1.0f);
    all(errors_) = all(base) + h * all(step);
  }

  /// The gradient of the rows' objectives by v, for the inputs of a piece of H. `out` has room for lane_cols inputs.
  void gradient(Index piece, float lambda, float beta, float* out) const {
    const Index first = hessian_.first(piece), last = hessian_.first(piece + 1);
    hessian_.product(isa_, errors_.data(), piece, out);
    const auto part = [&](const AlignedArray<float>& a) {
      return Map<const Eigen::ArrayXf>(a.data() + first * kernels::lane_rows, (last - first) * kernels::lane_rows);
    };
    const auto h = part(h_);
    Map<Eigen::ArrayXf> g(out, (last - first) * kernels::lane_rows);
    g *= 2 * part(step);
    // Nothing here that Eigen does not do several floats at a time: neither sign() nor select().
    if (lambda > 0) {
      const Eigen::ArrayXf side = 2 * h - 1;
      g -= (2 * lambda * beta) * side * ((beta - 2) * side.abs().max(1e-30f).log()).exp();
    }
    // The slope of h, 0 where it is clipped.
    g *= (1e30f * h * (1 - h)).min(1.0f) * (h + 0.1f) * (1.1f - h) / 1.2f;
  }

  /// Takes `iterations` steps of Adam, calling step_taken() after each.
  template <class StepTaken> void descend(const AdaRoundOptions& options, const StepTaken& step_taken) {
    constexpr Index lane = kernels::lane_rows;
    Adam<Baseline> adam(hessian_.positions() * lane);
    alignas(alignment) float slopes[kernels::lane_cols * lane];
    const float warm_up = options.warm_up * static_cast<float>(options.iterations);
    for (int i = 0; i < options.iterations; ++i) {
      const float done = static_cast<float>(i) - warm_up;
      const float part = done / std::max(static_cast<float>(options.iterations) - warm_up, 1.0f);
      const float beta =
          options.last_beta + (options.first_beta - options.last_beta) * (1 + std::cos(3.14159265f * part)) / 2;
      place();
      adam.begin(options.rate);
      for (Index piece = 0; piece < hessian_.pieces(); ++piece) {
        const Index first = hessian_.first(piece), last = hessian_.first(piece + 1);
        gradient(piece, done >= 0 ? options.regulariser : 0.0f, beta, slopes);
        adam.move(first * lane, (last - first) * lane, slopes, v.data() + first * lane);
      }
      step_taken();
    }
    place();
  }

  /// Whether weight j of row r goes up.
  bool up(Index j, Index r) const { return h_.data()[j * kernels::lane_rows + r] >= 0.5f; }

 private:
  template <class A> using Map = Eigen::Map<A>;
  static std::size_t size(const HessianTiles& hessian) {
    return static_cast<std::size_t>(hessian.positions() * kernels::lane_rows);
  }
  static Map<Eigen::ArrayXf> all(AlignedArray<float>& a) { return {a.data(), static_cast<Index>(a.size())}; }

  const HessianTiles& hessian_;
  Isa isa_;
  AlignedArray<float> h_, errors_;
};

}  // namespace rounding

/// Learns which of the two values next to it each weight becomes, so that the outputs on the Hessian's samples come out
/// best: tr(E H E^T) with E = W - Q. Scales, zero points and choices are those of the rule. Weights move from their own
/// place between the values, all at once, while a regulariser draws them to one of the two; in the end the nearer one
/// is theirs. Rows that this leaves no better than nearest rounding does stay as that has them, so that the loss of no
/// row is above nearest's, to the rounding of floats. Weights that a value represents, and those beyond the range, keep
/// the nearest. For any format of dim 1, equal for any number of threads. Throws std::invalid_argument where the
/// Hessian is of another size than W's rows or has no samples, or an option is out of range; Cancelled.
/// Sources: Nagel et al., "Up or down? Adaptive rounding for post-training quantization", 2020 (there by minibatches,
/// through the activation function); on grids of floats Liu et al., "LLM-FP4", 2023, and Chen et al., "Low-bitwidth
/// floating point quantization for efficient high-quality diffusion models", 2024.
struct AdaRound {
  Hessian hessian;
  AdaRoundOptions options = {};

  template <class S, class Rule>
  void round(const RowMajorMatrixXf& w, const Rule& rule, Parts<S>& parts, const Parallel& parallel = {}) const {
    static_assert(S::dim == 1, "up and down need values that are ordered: a format of dim 1");
    check(w.cols());
    constexpr Index lane = kernels::lane_rows;
    const Index blocks = w.cols() > 0 ? (w.rows() + lane - 1) / lane : 0;
    SharedProgress steps("AdaRound", options.progress, blocks * options.iterations);
    if (blocks == 0) return;
    if (!(hessian.weight() > 0))
      invalid("AdaRound", "a Hessian of samples that count", text(hessian.samples(), " samples"));
    hessian.check_definite("AdaRound", parallel.with(steps));
    Nearest{}.round(w, rule, parts, parallel);
    const rounding::HessianTiles h(hessian, 1, rounding::all_of(w.cols()), parallel);
    const Isa isa = resolve();
    const rounding::LevelsOf<S> levels;
    parallel_for(blocks, parallel, [&](Index begin, Index end) {
      for (Index b = begin; b < end; ++b)
        learn(w, b * lane, std::min(lane, w.rows() - b * lane), h, isa, levels, parts, steps);
    });
  }

 private:
  void check(Index inputs) const {
    if (hessian.inputs() != inputs) invalid("AdaRound", text("a Hessian of ", inputs, " inputs"), hessian.inputs());
    const AdaRoundOptions& o = options;
    if (o.iterations < 0) invalid("AdaRound", "at least 0 iterations", o.iterations);
    if (!(o.rate >= 0 && std::isfinite(o.rate)) || !(o.regulariser >= 0 && std::isfinite(o.regulariser)))
      invalid("AdaRound", "a finite rate and regulariser of at least 0", text(o.rate, ", ", o.regulariser));
    if (!(o.warm_up >= 0 && o.warm_up <= 1)) invalid("AdaRound", "a warm-up of 0 to 1", o.warm_up);
    if (!(o.first_beta >= 1 && std::isfinite(o.first_beta)) || !(o.last_beta >= 1 && std::isfinite(o.last_beta)))
      invalid("AdaRound", "finite betas of at least 1", text(o.first_beta, ", ", o.last_beta));
  }

  /// Learns the codes of the rows first .. first + count - 1, which are nearest's, at most lane_rows.
  template <class S>
  void learn(const RowMajorMatrixXf& w, Index first, Index count, const rounding::HessianTiles& h, Isa isa,
             const rounding::LevelsOf<S>& levels, Parts<S>& parts, SharedProgress& steps) const {
    constexpr Index lane = kernels::lane_rows;
    const Index k = w.cols();
    const auto size = static_cast<std::size_t>(k * lane);
    rounding::SoftRows<> rows(h, isa);
    AlignedArray<float> rounded(size);  // errors of nearest, then of what is learned
    std::vector<typename S::code_type> below(size), above(size);
    std::vector<Level<typename S::format>> learned_levels;
    for (Index r = 0; r < count; ++r) {
      double square = 0;
      Index free = 0;
      for_each_group<S>(k, [&](Index g, Index from, Index inputs) {
        Quantizer<S> quantizer(parts, first + r, g);
        const GroupParams<S> params = parts.group(first + r, g);
        quantizer.side.choice = params.choice;
        const auto& of_group = levels.of(quantizer.side, learned_levels);
        for (Index j = from; j < from + inputs; ++j) {
          const auto at = static_cast<std::size_t>(j * lane + r);
          const float weight = w(first + r, j);
          float x = 0, nearest = 0;
          quantizer.normalize(&weight, params, &x);
          quantizer.decode(parts.codes(first + r, j), params, &nearest);
          const auto [down, up] = neighbours(of_group, x);
          below[at] = down.code;
          above[at] = up.code;
          const float low = (down.value - params.zero) * params.scale, high = (up.value - params.zero) * params.scale;
          rounded.data()[at] = nearest - weight;
          rows.base.data()[at] = low - weight;
          rows.step.data()[at] = high - low;
          if (high == low) continue;
          const float own = (x - down.value) / (up.value - down.value);
          rows.v.data()[at] = rounding::inverse_rectified_sigmoid(std::min(std::max(own, 0.0f), 1.0f));
          square += h.diagonal(j) * static_cast<double>(high - low) * static_cast<double>(high - low);
          ++free;
        }
      });
      // Errors in units of one free weight's alone, were errors even. Where none is felt, all stay 0.
      const double unit = std::sqrt(square / (12 * static_cast<double>(std::max<Index>(free, 1))));
      for (AlignedArray<float>* errors : {&rows.base, &rows.step, &rounded})
        for (Index j = 0; j < k; ++j) {
          float& e = errors->data()[j * lane + r];
          e = unit > 0 ? static_cast<float>(static_cast<double>(e) / unit) : 0.0f;
        }
    }
    std::vector<double> nearest(lane), learned(lane);
    rounding::add_losses(h, isa, rounded.data(), nearest.data());
    rows.descend(options, [&] { steps.advance(1); });
    for (Index j = 0; j < k; ++j)
      for (Index r = 0; r < count; ++r) {
        const Index at = j * lane + r;
        if (const float step = rows.step.data()[at]; step != 0)
          rounded.data()[at] = rows.base.data()[at] + (rows.up(j, r) ? step : 0.0f);
      }
    rounding::add_losses(h, isa, rounded.data(), learned.data());
    for (Index r = 0; r < count; ++r) {
      if (!(learned[static_cast<std::size_t>(r)] < nearest[static_cast<std::size_t>(r)])) continue;
      for (Index j = 0; j < k; ++j) {
        const Index at = j * lane + r;
        if (rows.step.data()[at] != 0)
          parts.codes(first + r, j) = (rows.up(j, r) ? above : below)[static_cast<std::size_t>(at)];
      }
    }
  }
};

}  // namespace nibble
