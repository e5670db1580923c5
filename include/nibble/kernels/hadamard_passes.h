// How the SIMD paths cut the fast Walsh-Hadamard transform into passes over memory, each of several steps in registers.
#pragma once

#include "nibble/kernels/portable/hadamard.h"

namespace nibble::kernels {

/// HadamardColumn on the registers of `Registers`, which has
///   runs<S>(in, out, count, scale): steps 0 .. S - 1 on `count` runs of 2^S elements, S from min_run to max_run;
///   across<R>(in, out, stride, scale): R steps, 1 to max_radix, on elements that are stride, 2 stride, ... apart, one
///   block of 2^R strides of elements; strides are 2^min_run or more.
/// Both multiply by `scale` at the end. What fits the L1 cache goes through an aligned scratch: in and out, which may
/// be unaligned, are touched once each. The passes beyond have fewer steps, as elements that are a large power of two
/// apart share one set of the L1 cache.
template <class Registers> struct HadamardPasses {
  static constexpr int scratch_steps = 12, l1_steps = 11, l2_steps = 17, far_radix = 3;

  static void run(const float* in, float* out, int steps, float scale) {
    if (steps <= Registers::max_run) return first<Registers::max_run>(in, out, steps, 1, scale);
    if (steps <= scratch_steps) return through_scratch(in, out, steps, scale);
    const int middle = steps < l2_steps ? steps : l2_steps;
    for (std::ptrdiff_t j = 0; j < elements(steps); j += elements(middle)) {
      for (std::ptrdiff_t i = j; i < j + elements(middle); i += elements(l1_steps))
        through_scratch(in + i, out + i, l1_steps, 1);
      outward(out + j, out + j, l1_steps, middle, middle == steps ? scale : 1);
    }
    outward(out, out, middle, steps, scale);
  }

 private:
  static std::ptrdiff_t elements(int steps) { return std::ptrdiff_t{1} << steps; }

  static void through_scratch(const float* in, float* out, int steps, float scale) {
    alignas(64) float scratch[1 << scratch_steps];
    first<Registers::max_run>(in, scratch, Registers::max_run, elements(steps - Registers::max_run), 1);
    outward(scratch, out, Registers::max_run, steps, scale);
  }

  template <int S> static void first(const float* in, float* out, int steps, std::ptrdiff_t count, float scale) {
    if constexpr (S >= Registers::min_run) {
      if (steps == S)
        Registers::template runs<S>(in, out, count, scale);
      else
        first<S - 1>(in, out, steps, count, scale);
    }
  }

  /// Steps `done` .. `steps` - 1 of one block; all passes but the last run in `x`, the last from there to `out`.
  static void outward(float* x, float* out, int done, int steps, float scale) {
    while (done < steps) {
      const int widest = done < l1_steps ? Registers::max_radix : far_radix;
      const int passes = (steps - done + widest - 1) / widest;
      const int radix = (steps - done) / passes;
      const bool last = done + radix == steps;
      for (std::ptrdiff_t i = 0; i < elements(steps); i += elements(done + radix))
        across<Registers::max_radix>(x + i, (last ? out : x) + i, radix, elements(done), last ? scale : 1);
      done += radix;
    }
  }

  template <int R> static void across(const float* in, float* out, int radix, std::ptrdiff_t stride, float scale) {
    if (radix == R) Registers::template across<R>(in, out, stride, scale);
    if constexpr (R > 1) {
      if (radix < R) across<R - 1>(in, out, radix, stride, scale);
    }
  }
};

}  // namespace nibble::kernels
