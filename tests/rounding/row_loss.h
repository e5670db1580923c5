// What the codes of a row mean, and its loss, in double.
#pragma once

#include <nibble/nibble.h>

#include "oracle/column_rounding.h"

namespace nibble::test {

using Eigen::MatrixXd;
using Eigen::MatrixXf;
using Eigen::VectorXd;

template <class S> Parts<S> nearest(const MatrixXf& w) {
  const DefaultRule<S> rule;
  Parts<S> parts = prepare<S>(w, rule, 1);
  Nearest{}.round(w, rule, parts);
  return parts;
}

/// The values of a row in units of its scales.
template <class S> VectorXd unscaled(const Parts<S>& parts, Index row) {
  VectorXd c(parts.cols);
  for (Index column = 0; column < parts.codes.cols(); ++column) {
    const Index j = column * S::dim, g = S::group_inputs == 0 ? 0 : j / std::max(1, S::group_inputs);
    const GroupParams<S> p = parts.group(row, g);
    float value[S::dim];
    decode_to<typename S::format>(parts.codes(row, column), {parts.table(row, g), p.choice}, value);
    for (Index d = 0; d < S::dim && j + d < parts.cols; ++d)
      c[j + d] = static_cast<double>(value[d]) - static_cast<double>(p.zero);
  }
  return c;
}

template <class S> double loss(const MatrixXf& w, const Parts<S>& parts, Index row, const MatrixXd& h) {
  VectorXd e = w.row(row).transpose().cast<double>();
  const VectorXd c = unscaled(parts, row);
  for (Index j = 0; j < e.size(); ++j) {
    const Index g = S::group_inputs == 0 ? 0 : j / std::max(1, S::group_inputs);
    e[j] -= c[j] * static_cast<double>(parts.group(row, g).scale);
  }
  return oracle::loss(e.transpose(), h);
}

}  // namespace nibble::test
