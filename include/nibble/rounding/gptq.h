// GPTQ and LDLQ: one rounding, in any order, with any way to choose a code.
#pragma once

#include "nibble/rounding/column_solver.h"

namespace nibble {

/// Chooses codes one input after the other, each by `codes` from its weight plus what the errors of earlier inputs make
/// of it, so that the outputs on the Hessian's samples come out best: tr(E H E^T) with E = W - Q. A format of dim > 1
/// is rounded by runs of dim inputs (block LDLQ). Codes do not depend on block size, threads or instruction set. Throws
/// std::invalid_argument where the Hessian is of another size than W's rows, has no samples, or is not positive
/// definite once damped or makes feedback that leaves the floats, where an order other than InOrder meets dynamic
/// groups, on a damping below 0 or not finite, and on a block below 1; Cancelled.
/// Sources: Chee et al., "QuIP", 2023 (LDLQ); Tseng et al., "QuIP#", 2024 (blocks).
template <class Codes = Nearest> struct Ldlq {
  Hessian hessian;
  ColumnOptions options = {};
  Codes codes = {};

  template <class S, class Rule>
  void round(const RowMajorMatrixXf& w, const Rule& rule, Parts<S>& parts, const Parallel& parallel = {}) const {
    const char* const name = std::same_as<Codes, Nearest> ? "Gptq" : "Ldlq";
    rounding::solve_columns(name, w, rule, parts, hessian, options, parallel, codes.template encode_of<S>());
  }
};
Ldlq(Hessian)->Ldlq<>;
Ldlq(Hessian, ColumnOptions)->Ldlq<>;
template <class Codes> Ldlq(Hessian, ColumnOptions, Codes) -> Ldlq<Codes>;

/// GPTQ is LDLQ to the nearest code. Source: Frantar et al., "GPTQ", 2023.
using Gptq = Ldlq<Nearest>;

}  // namespace nibble
