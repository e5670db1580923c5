// Casting arrays: from floats to codes and back, one code an element.
#pragma once

#include <Eigen/Core>

#include "nibble/kernels/targets.h"

namespace nibble {

/// How an array is encoded.
struct CastOptions {
  formats::Overflow overflow = formats::Overflow::Saturate;
  formats::RoundTo rounding = formats::RoundTo::NearestEven;
  std::uint64_t seed = 0;    ///< of stochastic rounding
  std::uint64_t first = 0;   ///< position of the first element, so that a long array may be encoded in pieces
  std::optional<Isa> isa{};  ///< instruction set; by default NIBBLE_ISA's, else the best that the CPU has
};

template <ScalarFormat F> using CodeMatrix = Eigen::Matrix<typename F::code_type, Eigen::Dynamic, Eigen::Dynamic>;

namespace kernels {

/// Calls f with the overflow and the rounding of `options` as types. Throws std::invalid_argument where F lacks them.
template <class F, class Call> void with_rules(const CastOptions& options, const Call& call) {
  using formats::Overflow, formats::RoundTo;
  const auto rounded = [&]<Overflow O, RoundTo R>() {
    if (options.overflow != O || options.rounding != R) return false;
    if constexpr (can_encode<F, O, R>) {
      call(std::integral_constant<Overflow, O>{}, std::integral_constant<RoundTo, R>{});
      return true;
    } else {
      return false;
    }
  };
  const auto any = [&]<RoundTo... R>() {
    return (rounded.template operator()<Overflow::Saturate, R>() || ...) ||
           (rounded.template operator()<Overflow::Standard, R>() || ...);
  };
  if (!any.template operator()<RoundTo::NearestEven, RoundTo::NearestAway, RoundTo::Zero, RoundTo::Stochastic>())
    invalid("encode", text("an overflow and a rounding that ", format_name<F>(), " has"),
            text("Overflow(", static_cast<int>(options.overflow), ") and RoundTo(", static_cast<int>(options.rounding),
                 ")"));
}

/// `x` as a float, or the neighbour whose last bit is set where it lies between two: rounding that to fewer bits is
/// rounding `x` itself, and large numbers do not turn into infinities.
inline float to_odd(double x) {
  const auto nearest = static_cast<float>(x);
  const double back = nearest;
  const auto word = std::bit_cast<std::uint32_t>(nearest);
  if (back == x || x != x || (word & 1) != 0) return nearest;
  return std::bit_cast<float>(std::fabs(back) > std::fabs(x) ? word - 1 : word + 1);
}

/// Calls f(data, position of the first, count) for each run of elements of x that lie together.
template <class M, class Call> void for_each_run(const Eigen::Ref<const M>& x, const Call& f) {
  if (x.cols() < 2 || x.outerStride() == x.rows()) return f(x.data(), Eigen::Index{0}, x.size());
  for (Eigen::Index j = 0; j < x.cols(); ++j) f(x.data() + j * x.outerStride(), j * x.rows(), x.rows());
}

}  // namespace kernels

/// out[i] = the code of in[i] for i in [0, count), as F::encode gives it under these rules: each rounded once, NaN and
/// infinities to what F makes of them. The same codes on every instruction set. Minifloats are encoded by SIMD unless
/// they are rounded stochastically; other formats one by one. `out` must not overlap `in`. The CPU is to treat
/// subnormal floats as IEEE 754 says, which is its default. Throws std::invalid_argument, before anything is written,
/// on a negative count, an instruction set that the CPU lacks, and an overflow or rounding that F does not have
/// (minifloats have all).
template <ScalarFormat F, unsigned Baseline = isa::baseline>
void encode(const float* in, std::ptrdiff_t count, typename F::code_type* out, const CastOptions& options = {}) {
  if (count < 0) invalid("encode", "a count of at least 0", count);
  const Random random(options.seed);
  dispatch(resolve(options.isa), [&](auto tag) {
    kernels::with_rules<F>(options, [&](auto overflow, auto rounding) {
      kernels::EncodeArray<decltype(tag), F, overflow(), rounding()>::run(in, count, out, random, options.first);
    });
  });
}

/// out[i] = the value of in[i] for i in [0, count); bits above the F::bits lowest are not looked at. Minifloats, and on
/// AVX-512 all formats of at most 8 bits, are decoded by SIMD. NaNs of minifloats come out as the positive quiet one.
/// `out` must not overlap `in`. Throws std::invalid_argument, before anything is written, on a negative count and an
/// instruction set that the CPU lacks.
template <ScalarFormat F, unsigned Baseline = isa::baseline>
void decode(const typename F::code_type* in, std::ptrdiff_t count, float* out, std::optional<Isa> isa = std::nullopt) {
  if (count < 0) invalid("decode", "a count of at least 0", count);
  dispatch(resolve(isa), [&](auto tag) { kernels::DecodeArray<decltype(tag), F>::run(in, count, out); });
}

/// The codes of X, a matrix of the same shape. X is any dense expression of float, double, half or bfloat16; doubles
/// are rounded once too. Element (i, j) counts as the (j rows + i)-th. Errors as above.
template <ScalarFormat F, class Derived, unsigned Baseline = isa::baseline>
CodeMatrix<F> encode(const Eigen::MatrixBase<Derived>& x, const CastOptions& options = {}) {
  using Scalar = typename Derived::Scalar;
  CodeMatrix<F> codes(x.rows(), x.cols());
  const auto run = [&](const float* in, Eigen::Index first, Eigen::Index count) {
    CastOptions part = options;
    part.first += static_cast<std::uint64_t>(first);
    encode<F>(in, count, codes.data() + first, part);
  };
  if constexpr (std::same_as<Scalar, float>) {
    kernels::for_each_run<Eigen::MatrixXf>(x.derived(), run);
  } else if constexpr (std::same_as<Scalar, double> && F::bits <= 16) {
    const Eigen::MatrixXf in = x.unaryExpr([](double v) { return kernels::to_odd(v); });
    run(in.data(), 0, in.size());
  } else {
    const Eigen::MatrixXf in = x.template cast<float>();
    run(in.data(), 0, in.size());
  }
  return codes;
}

/// The values of a matrix of codes of F. Errors as above.
template <ScalarFormat F, class Derived, unsigned Baseline = isa::baseline>
Eigen::MatrixXf decode(const Eigen::MatrixBase<Derived>& codes, std::optional<Isa> isa = std::nullopt) {
  static_assert(std::same_as<typename Derived::Scalar, typename F::code_type>, "codes of F are of F::code_type");
  Eigen::MatrixXf values(codes.rows(), codes.cols());
  kernels::for_each_run<CodeMatrix<F>>(codes.derived(),
                                       [&](const typename F::code_type* in, Eigen::Index first, Eigen::Index count) {
                                         decode<F>(in, count, values.data() + first, isa);
                                       });
  return values;
}

}  // namespace nibble
