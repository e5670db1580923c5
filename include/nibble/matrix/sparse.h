// Sparse: a matrix of few floats.
#pragma once

#include <Eigen/SparseCore>

#include <cmath>
#include <limits>

#include "nibble/matrix/saved_matrix.h"

namespace nibble {

/// An N x K matrix of which the elements that are not 0 are stored, as floats, row by row.
class Sparse {
 public:
  using Matrix = Eigen::SparseMatrix<float, Eigen::RowMajor>;

  Sparse() = default;
  /// Throws std::invalid_argument where the matrix has a NaN or an infinity.
  explicit Sparse(Matrix matrix) : matrix_(std::move(matrix)) {
    matrix_.makeCompressed();
    for (Index e = 0; e < matrix_.nonZeros(); ++e)
      if (!std::isfinite(matrix_.valuePtr()[e])) invalid("Sparse", "finite weights", matrix_.valuePtr()[e]);
  }

  Index rows() const { return matrix_.rows(); }
  Index cols() const { return matrix_.cols(); }
  const Matrix& matrix() const { return matrix_; }

  Eigen::MatrixXf dequantize() const { return matrix_; }

  /// Bytes that the matrix occupies: a float and 32 bits for each stored element, 32 bits for each row and one more.
  Index bytes() const { return 8 * matrix_.nonZeros() + 4 * (rows() + 1); }

  /// For each stored element a float and its column in 16 bits (32 beyond 65,536 columns), for each row 32 bits for
  /// where it starts, over N K; 0 where N K = 0.
  double bits_per_weight() const {
    if (rows() == 0 || cols() == 0) return 0;
    const double element = 32 + (cols() <= 65536 ? 16 : 32);
    return (static_cast<double>(matrix_.nonZeros()) * element + static_cast<double>(rows()) * 32) /
           (static_cast<double>(rows()) * static_cast<double>(cols()));
  }

  /// The same elements stored.
  friend bool operator==(const Sparse& a, const Sparse& b) {
    const auto same = [](const auto* p, const auto* q, Index count) { return std::equal(p, p + count, q); };
    const Index stored = a.matrix_.nonZeros();
    return a.rows() == b.rows() && a.cols() == b.cols() && stored == b.matrix_.nonZeros() &&
           (a.rows() == 0 || same(a.matrix_.outerIndexPtr(), b.matrix_.outerIndexPtr(), a.rows())) &&
           same(a.matrix_.innerIndexPtr(), b.matrix_.innerIndexPtr(), stored) &&
           same(a.matrix_.valuePtr(), b.matrix_.valuePtr(), stored);
  }

  static std::string name() { return "Sparse"; }

  /// Writes a header, then where each row ends, the columns and the values. Throws IoError where the stream does not
  /// take them.
  void save(std::ostream& out) const {
    detail::MatrixWriter writer(out);
    writer.header(*this);
    writer.array(rows() > 0 ? matrix_.outerIndexPtr() + 1 : nullptr, rows());
    writer.array(matrix_.innerIndexPtr(), matrix_.nonZeros());
    writer.array(matrix_.valuePtr(), matrix_.nonZeros());
    writer.finish();
  }
  /// Reads what `save` wrote, as Compound::load does.
  static Sparse load(std::istream& in) { return detail::MatrixReader(in).matrix<Sparse>(); }
  template <class...> static Sparse read(detail::MatrixReader& reader) {
    return reader.build<Sparse>([&](Index n, Index k) {
      std::vector<int> starts = reader.array<int>();
      const std::vector<int> columns = reader.array<int>();
      const std::vector<float> values = reader.array<float>();
      const auto expect = [](bool ok, const char* what, const auto& got) {
        if (!ok) invalid("Sparse", what, got);
      };
      constexpr Index most = std::numeric_limits<int>::max();
      expect(n >= 0 && n <= most && k >= 0 && k <= most, "sizes that fit 32 bits", text(n, " x ", k));
      expect(static_cast<Index>(starts.size()) == n, "an end of each row", starts.size());
      expect(columns.size() == values.size() && static_cast<Index>(values.size()) <= most,
             "as many columns as values, at most 2^31 - 1", columns.size());
      starts.insert(starts.begin(), 0);
      expect(std::is_sorted(starts.begin(), starts.end()) && starts.back() == static_cast<int>(values.size()),
             "ends of rows in ascending order, the last at the last value", "others");
      for (std::size_t i = 0; i + 1 < starts.size(); ++i)
        for (int e = starts[i]; e < starts[i + 1]; ++e)
          expect(columns[static_cast<std::size_t>(e)] < k &&
                     (e == starts[i] ? -1 : columns[static_cast<std::size_t>(e) - 1]) <
                         columns[static_cast<std::size_t>(e)],
                 "columns of a row in ascending order, below K", columns[static_cast<std::size_t>(e)]);
      return Sparse(Eigen::Map<const Matrix>(n, k, static_cast<Index>(values.size()), starts.data(), columns.data(),
                                             values.data()));
    });
  }

 private:
  Matrix matrix_;
};

}  // namespace nibble
