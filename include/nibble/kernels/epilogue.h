// What becomes of the sums of a product before they are written.
#pragma once

#include <Eigen/Core>

#include <cmath>

#include "nibble/kernels/tiles.h"

namespace nibble {

/// max(0, z); z Phi(z) with the normal distribution Phi; the same by tanh(sqrt(2 / pi) (z + 0.044715 z^3));
/// z / (1 + exp(-z)). Source: Hendrycks and Gimpel, "Gaussian error linear units", 2016.
enum class Activation { None, Relu, Gelu, GeluTanh, Silu };

/// Y = f(scale .* (W X) + bias), or Y + that: `scale` and `bias` have an entry for each row of W, or none. It refers to
/// them; a copy must not outlive it.
struct Epilogue {
  Eigen::Ref<const Eigen::VectorXf> bias = Eigen::VectorXf();
  Eigen::Ref<const Eigen::VectorXf> scale = Eigen::VectorXf();
  Activation activation = Activation::None;
  bool accumulate = false;

  bool is_identity() const {
    return bias.size() == 0 && scale.size() == 0 && activation == Activation::None && !accumulate;
  }
};

/// A positive number multiplier / 2^shift, 0 <= shift <= 62: what integers are rescaled by.
/// Source: Yao et al., "HAWQ-V3: dyadic neural network quantization", 2021.
struct Dyadic {
  std::int32_t multiplier = 1;
  int shift = 0;

  /// The nearest one with a multiplier of 30 or 31 bits, within 2^-30 of `factor`. Throws std::invalid_argument unless
  /// 2^-32 <= factor < 2^30.
  template <unsigned Baseline = isa::baseline> static Dyadic nearest(double factor) {
    if (!(factor >= 0x1p-32 && factor < 0x1p30)) invalid("Dyadic::nearest", "a factor from 2^-32 to 2^30", factor);
    const int shift = 29 - std::ilogb(factor);
    return {static_cast<std::int32_t>(std::llround(std::ldexp(factor, shift))), shift};
  }

  /// The integer nearest to x * multiplier / 2^shift, ties upward, kept to -127 .. 127.
  template <unsigned Baseline = isa::baseline> std::int8_t operator()(std::int32_t x) const {
    const std::int64_t half = shift > 0 ? std::int64_t{1} << (shift - 1) : 0;
    const std::int64_t y = (std::int64_t{x} * multiplier + half) >> shift;
    return static_cast<std::int8_t>(y < -127 ? -127 : y > 127 ? 127 : y);
  }
};

namespace kernels {

using PanelColumn = Eigen::Array<float, lanes, 1>;

/// f(z), element by element. The error function is that of Abramowitz and Stegun 7.1.26, within 1.5e-7.
template <unsigned Baseline = isa::baseline> void activate(Activation f, PanelColumn& z) {
  switch (f) {
    case Activation::None:
      return;
    case Activation::Relu:
      z = z.max(0.0f);
      return;
    case Activation::Silu:
      z /= 1 + (-z).exp();
      return;
    case Activation::GeluTanh:
      z *= 0.5f * (1 + (0.7978845608f * (z + 0.044715f * z.cube())).tanh());
      return;
    case Activation::Gelu: {
      const PanelColumn u = z.abs() * 0.7071067812f;
      const PanelColumn t = (1 + 0.3275911f * u).inverse();
      const PanelColumn tail =
          t * (0.254829592f + t * (-0.284496736f + t * (1.421413741f + t * (-1.453152027f + t * 1.061405429f)))) *
          (-u.square()).exp();
      z *= (z < 0).select(0.5f * tail, 1 - 0.5f * tail);
      return;
    }
  }
}

/// Writes sums of panels to a matrix of floats of `rows` rows, `stride` floats between columns.
template <unsigned Baseline = isa::baseline> struct FloatOutput {
  float* y;
  std::ptrdiff_t stride;
  std::ptrdiff_t rows;
  const Epilogue& epilogue;

  /// Asks for what `store` will write.
  void prefetch(std::ptrdiff_t p, std::ptrdiff_t first, std::ptrdiff_t width) const {
    for (std::ptrdiff_t c = 0; c < width; ++c) __builtin_prefetch(y + (first + c) * stride + p * lanes, 1);
  }

  /// The epilogue of sums of nothing, to all `cols` columns.
  void store_zeros(std::ptrdiff_t cols) const {
    const float zeros[lanes] = {};
    for (std::ptrdiff_t p = 0; p * lanes < rows; ++p)
      for (std::ptrdiff_t m = 0; m < cols; ++m) store(p, m, 1, zeros);
  }

  /// sums[column][16] of panel p, columns first .. first + width - 1.
  void store(std::ptrdiff_t p, std::ptrdiff_t first, std::ptrdiff_t width, const float* sums) const {
    const std::ptrdiff_t row = p * lanes;
    const std::ptrdiff_t height = rows - row < lanes ? rows - row : lanes;
    float* out = y + first * stride + row;
    if (epilogue.is_identity()) {
      for (std::ptrdiff_t c = 0; c < width; ++c)
        std::memcpy(out + c * stride, sums + c * lanes, static_cast<std::size_t>(height) * sizeof(float));
      return;
    }
    PanelColumn scale = PanelColumn::Ones(), bias = PanelColumn::Zero();
    if (epilogue.scale.size() > 0) scale.head(height) = epilogue.scale.segment(row, height);
    if (epilogue.bias.size() > 0) bias.head(height) = epilogue.bias.segment(row, height);
    for (std::ptrdiff_t c = 0; c < width; ++c) {
      PanelColumn z = Eigen::Map<const PanelColumn>(sums + c * lanes) * scale + bias;
      activate<Baseline>(epilogue.activation, z);
      Eigen::Map<Eigen::ArrayXf> to(out + c * stride, height);
      if (epilogue.accumulate)
        to += z.head(height);
      else
        to = z.head(height);
    }
  }
};

/// Writes raw sums of integers.
template <unsigned Baseline = isa::baseline> struct IntegerOutput {
  std::int32_t* y;
  std::ptrdiff_t stride;
  std::ptrdiff_t rows;

  void store(std::ptrdiff_t p, std::ptrdiff_t first, std::ptrdiff_t width, const std::int32_t* sums) const {
    const std::ptrdiff_t height = rows - p * lanes < lanes ? rows - p * lanes : lanes;
    for (std::ptrdiff_t c = 0; c < width; ++c)
      std::memcpy(y + (first + c) * stride + p * lanes, sums + c * lanes,
                  static_cast<std::size_t>(height) * sizeof(std::int32_t));
  }
};

/// Rescales raw sums to int8: row r by factors[r], or all by factors[0] where there is one.
template <unsigned Baseline = isa::baseline> struct DyadicOutput {
  std::int8_t* y;
  std::ptrdiff_t stride;
  std::ptrdiff_t rows;
  const Dyadic* factors;
  bool one_factor;

  void store(std::ptrdiff_t p, std::ptrdiff_t first, std::ptrdiff_t width, const std::int32_t* sums) const {
    const std::ptrdiff_t height = rows - p * lanes < lanes ? rows - p * lanes : lanes;
    for (std::ptrdiff_t c = 0; c < width; ++c)
      for (std::ptrdiff_t r = 0; r < height; ++r)
        y[(first + c) * stride + p * lanes + r] = factors[one_factor ? 0 : p * lanes + r](sums[c * lanes + r]);
  }
};

}  // namespace kernels
}  // namespace nibble
