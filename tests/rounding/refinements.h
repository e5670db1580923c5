// What every refinement promises for a scheme: loss that never grows, codes in range, the same for any number of
// threads.
#pragma once

#include <gtest/gtest.h>
#include <nibble/nibble.h>

#include "rounding/correlated.h"
#include "threads.h"

namespace nibble::test {

template <class S> void expect_refinements() {
  const Parallel two{2, threads};
  const DefaultRule<S> rule;
  for (Index k : {150, 7}) {
    const RowMajorMatrixXf w = normal(99, k, 1);
    const Hessian h(correlated_inputs(k, 200, 2));
    const auto check = [&](const Parts<S>& start, const auto& refinement, const char* name) {
      SCOPED_TRACE(text(S::name(), ' ', k, ' ', name));
      Parts<S> parts = start, other = start;
      refinement.refine(w, parts);
      refinement.refine(w, other, two);
      const QuantizedMatrix<S> q(parts);  // which checks that codes, scales and zero points are in range
      EXPECT_EQ(QuantizedMatrix<S>(other), q);
      EXPECT_TRUE(q.dequantize().allFinite());
      EXPECT_EQ(parts.supers, start.supers);
      EXPECT_EQ(parts.tables, start.tables);
      EXPECT_LE(proxy_loss(w, q, h), proxy_loss(w, QuantizedMatrix<S>(start), h) * (1 + 1e-6));
      return parts;
    };
    const auto check_all = [&](const Parts<S>& start) {
      const Parts<S> fitted = check(start, FitScales{h}, "scales");
      check(start, CyclicRounding{h}, "cyclic");
      check(fitted, CyclicRounding{h, {.sweeps = 2, .greedy = true}}, "scales, greedy");
    };
    Parts<S> nearest = prepare<S>(w, rule, 1), gptq = nearest;
    Nearest{}.round(w, rule, nearest);
    Gptq{h}.round(w, rule, gptq);
    check_all(nearest);
    check_all(gptq);
  }
}

}  // namespace nibble::test
