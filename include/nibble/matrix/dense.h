// Dense: a matrix of floats among low-bit ones.
#pragma once

#include <cmath>

#include "nibble/matrix/saved_matrix.h"

namespace nibble {

/// An N x K matrix of floats: what of a compound stays in full precision. A value: copies share the floats, which never
/// change. They lie as products take them: [panel of 16 rows][k][row], N padded to a multiple of 16 and K to one of 4
/// with zeros.
class Dense {
 public:
  static constexpr Index height = 16;

  Dense() = default;
  /// Throws std::invalid_argument where W has a NaN or an infinity.
  template <class Derived> explicit Dense(const Eigen::MatrixBase<Derived>& w) : rows_(w.rows()), cols_(w.cols()) {
    const Index panels = (rows_ + height - 1) / height;
    AlignedArray<std::uint8_t> bytes(static_cast<std::size_t>(panels * panel_size()) * sizeof(float));
    auto* const to = reinterpret_cast<float*>(bytes.data());
    const auto& dense = w.derived().eval();
    for (Index j = 0; rows_ > 0 && j < cols_; ++j) {
      for (Index i = 0; i < rows_; ++i) {
        const auto weight = static_cast<float>(dense(i, j));
        if (!std::isfinite(weight)) invalid("Dense", "finite weights", weight);
        to[index(i, j)] = weight;
      }
    }
    bytes_ = Bytes(std::move(bytes));
  }

  Index rows() const { return rows_; }
  Index cols() const { return cols_; }

  /// Bytes that the matrix occupies, padding included.
  Index bytes() const { return static_cast<Index>(bytes_.size()); }
  double bits_per_weight() const { return rows() == 0 || cols() == 0 ? 0 : 32; }

  Eigen::MatrixXf dequantize() const {
    return Eigen::MatrixXf::NullaryExpr(rows(), cols(), [&](Index i, Index j) { return data()[index(i, j)]; });
  }

  friend bool operator==(const Dense& a, const Dense& b) {
    return a.rows_ == b.rows_ && a.cols_ == b.cols_ && a.bytes_ == b.bytes_;
  }

  static std::string name() { return "Dense"; }

  /// Writes a header, then the weights column by column. Throws IoError where the stream does not take them.
  void save(std::ostream& out) const {
    detail::MatrixWriter writer(out);
    writer.header(*this);
    const Eigen::MatrixXf w = dequantize();
    writer.array(w.data(), w.size());
    writer.finish();
  }
  /// Reads what `save` wrote, as Compound::load does.
  static Dense load(std::istream& in) { return detail::MatrixReader(in).matrix<Dense>(); }
  template <class...> static Dense read(detail::MatrixReader& reader) {
    return reader.build<Dense>([&](Index n, Index k) {
      const std::vector<float> w = reader.array<float>();
      const auto size = static_cast<Index>(w.size());
      constexpr Index most = Index{1} << 44;
      const bool fits =
          n >= 0 && k >= 0 && n <= most && k <= most && (n == 0 ? size == 0 : size % n == 0 && size / n == k);
      if (!fits) invalid("Dense", text(n, " x ", k, " weights"), size);
      return Dense(Eigen::Map<const Eigen::MatrixXf>(w.data(), n, k));
    });
  }

  /// For kernels: the floats, and the distance of panels, in floats.
  const float* data() const { return reinterpret_cast<const float*>(bytes_.data()); }
  Index panel_size() const { return round_up(cols_, 4) * height; }

 private:
  Index index(Index i, Index j) const { return i / height * panel_size() + j * height + i % height; }

  Index rows_ = 0, cols_ = 0;
  Bytes bytes_;
};

}  // namespace nibble
