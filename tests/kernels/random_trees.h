// Random nestings of matrices, beside what they stand for in double precision.
#pragma once

#include <algorithm>
#include <numeric>

#include "kernels/random_operands.h"

namespace nibble::test {

inline Sparse random_sparse(Index n, Index k, unsigned seed) {
  const Eigen::MatrixXf dense = random_inputs(n, k, seed);
  const Eigen::MatrixXf kept = (dense.array().abs() > 0.7f).select(dense, 0.0f);
  return Sparse(Sparse::Matrix(kept.sparseView()));
}

/// 0 .. count - 1 in a random order.
inline Eigen::VectorXi random_order(Index count, unsigned seed) {
  Eigen::VectorXi order = Eigen::VectorXi::LinSpaced(count, 0, static_cast<int>(count) - 1);
  std::shuffle(order.data(), order.data() + count, std::mt19937(seed));
  return order;
}

/// A matrix, its values, and its values made of the magnitudes of all parts: what bounds of errors are relative to.
struct Tree {
  AnyMatrix matrix;
  Eigen::MatrixXd values, sizes;
};

/// All types that random_tree makes, for a template of types.
template <template <class...> class F>
using TreeTypes = F<Int<4, Group<16>>, MxFp4, Dense, Sparse, Sum<AnyMatrix, AnyMatrix>, Scaled<AnyMatrix>,
                    RowSplit<AnyMatrix, AnyMatrix>, ColumnSplit<AnyMatrix, AnyMatrix>, Permuted<AnyMatrix>,
                    LowRank<AnyMatrix, AnyMatrix>, Rotated<AnyMatrix>>;

/// An N x K tree of up to `depth` compounds inside each other.
inline Tree random_tree(int depth, Index n, Index k, std::mt19937& random) {
  const auto below = [&](Index count) { return static_cast<Index>(random()) % count; };
  const auto seed = static_cast<unsigned>(random());
  const auto child = [&](Index rows, Index cols) { return random_tree(depth - 1, rows, cols, random); };
  const auto join = [](const auto& a, const auto& b, bool below_each_other) {
    Eigen::MatrixXd both(a.rows() + (below_each_other ? b.rows() : 0), a.cols() + (below_each_other ? 0 : b.cols()));
    both.topLeftCorner(a.rows(), a.cols()) = a;
    both.bottomRightCorner(b.rows(), b.cols()) = b;
    return both;
  };
  const Index kind = depth == 0 ? below(4) : 4 + below(7);
  if (kind < 4) {
    const AnyMatrix leaf = kind == 0   ? AnyMatrix(random_matrix<Int<4, Group<16>>>(n, k, seed))
                           : kind == 1 ? AnyMatrix(random_matrix<MxFp4>(n, k, seed))
                           : kind == 2 ? AnyMatrix(Dense(random_inputs(n, k, seed)))
                                       : AnyMatrix(random_sparse(n, k, seed));
    const Eigen::MatrixXd values = leaf.dequantize().cast<double>();
    return {leaf, values, values.cwiseAbs()};
  }
  if (kind == 4) {
    const Tree a = child(n, k), b = child(n, k);
    return {Sum(a.matrix, b.matrix), a.values + b.values, a.sizes + b.sizes};
  }
  if (kind == 5) {
    const Tree a = child(n, k);
    const Index sides = below(4);
    const Eigen::VectorXf left = random_inputs(sides & 1 ? n : 0, 1, seed),
                          right = random_inputs(sides & 2 ? k : 0, 1, seed + 1);
    Tree tree{Scaled(a.matrix, left, right), a.values, a.sizes};
    for (Index j = 0; j < k; ++j) {
      for (Index i = 0; i < n; ++i) {
        const double scale =
            static_cast<double>(sides & 1 ? left[i] : 1) * static_cast<double>(sides & 2 ? right[j] : 1);
        tree.values(i, j) *= scale;
        tree.sizes(i, j) *= std::abs(scale);
      }
    }
    return tree;
  }
  if (kind == 6) {
    const Index cut = below(n + 1);
    const Tree a = child(cut, k), b = child(n - cut, k);
    return {RowSplit(a.matrix, b.matrix), join(a.values, b.values, true), join(a.sizes, b.sizes, true)};
  }
  if (kind == 7) {
    const Index cut = below(k + 1);
    const Tree a = child(n, cut), b = child(n, k - cut);
    return {ColumnSplit(a.matrix, b.matrix), join(a.values, b.values, false), join(a.sizes, b.sizes, false)};
  }
  if (kind == 8) {
    const Tree a = child(n, k);
    const Index sides = below(4);
    const Eigen::VectorXi rows = random_order(n, seed), cols = random_order(k, seed + 1), none;
    Tree tree{Permuted(a.matrix, sides & 1 ? rows : none, sides & 2 ? cols : none), a.values, a.sizes};
    for (Index j = 0; j < k; ++j) {
      for (Index i = 0; i < n; ++i) {
        const Index to = sides & 1 ? rows[i] : i, at = sides & 2 ? cols[j] : j;
        tree.values(to, at) = a.values(i, j);
        tree.sizes(to, at) = a.sizes(i, j);
      }
    }
    return tree;
  }
  if (kind == 9) {
    const Tree a = child(n, k);
    const auto kind_of = [&] { return below(2) == 0 ? RotationKind::Hadamard : RotationKind::Kronecker; };
    const Index sides = below(4);
    const Rotation left(sides & 1 ? n : 0, seed, kind_of()), right(sides & 2 ? k : 0, seed, kind_of());
    Tree tree{Rotated(a.matrix, left, right), a.values, a.sizes};
    if (sides & 1) {
      left.apply_transposed_in_place(tree.values);
      tree.sizes.rowwise() = tree.sizes.colwise().norm().eval();
    }
    if (sides & 2) {
      tree.values.transposeInPlace();
      right.apply_transposed_in_place(tree.values);
      tree.values.transposeInPlace();
      tree.sizes.colwise() = tree.sizes.rowwise().norm().eval();
    }
    return tree;
  }
  const Index rank = below(6);
  const Tree u = child(n, rank), v = child(rank, k);
  return {LowRank(u.matrix, v.matrix), u.values * v.values, u.sizes * v.sizes};
}

}  // namespace nibble::test
