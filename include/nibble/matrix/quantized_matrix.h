// QuantizedMatrix: an immutable low-bit matrix, ready to be multiplied, saved and mapped.
#pragma once

#include <istream>
#include <ostream>
#include <utility>
#include <vector>

#include "nibble/matrix/matrix_header.h"
#include "nibble/matrix/parts.h"

namespace nibble {

/// An N x K matrix of scheme S. A value: copies share the bytes, which never change, so any number of threads may use
/// one at once. See Layout for how it lies in memory.
template <class S> class QuantizedMatrix {
 public:
  using scheme = S;
  using code_type = typename S::code_type;

  /// The empty 0 x 0 matrix.
  QuantizedMatrix() : QuantizedMatrix(Parts<S>(0, 0)) {}

  /// Packs `parts`. Throws std::invalid_argument where their shapes, codes or scales do not fit the scheme.
  explicit QuantizedMatrix(const Parts<S>& parts) : layout_(checked(parts)) {
    AlignedArray<std::uint8_t> bytes(static_cast<std::size_t>(layout_.size));
    for (Index r = 0; r < layout_.panels * layout_.height; ++r)
      for (Index at = 0; at < layout_.places; ++at) put(bytes.data(), r, at, padding());
    for (Index r = 0; r < rows(); ++r)
      for (Index c = 0; c < layout_.codes; ++c) put(bytes.data(), r, layout_.place(c), parts.codes(r, c));
    copy(layout_.scales, parts.scales, bytes.data() + layout_.scale_offset);
    copy(layout_.supers, parts.supers, bytes.data() + layout_.super_offset);
    copy(layout_.scales, parts.zeros, bytes.data() + layout_.zero_offset);
    copy(layout_.scales, parts.choices, bytes.data() + layout_.choice_offset);
    if (parts.tables.size() > 0)
      std::memcpy(bytes.data() + layout_.table_offset, parts.tables.data(),
                  static_cast<std::size_t>(parts.tables.size()) * sizeof(float));
    bytes_ = Bytes(std::move(bytes));
  }

  Index rows() const { return layout_.rows; }
  Index cols() const { return layout_.cols; }

  /// Bytes that the matrix occupies, padding included.
  Index bytes() const { return layout_.size; }

  /// Stored bits (codes, scales, super-scales, zero points, choices, tables) over N K, without padding; 0 where N K =
  /// 0.
  double bits_per_weight() const {
    if (rows() == 0 || cols() == 0) return 0;
    const auto count = [&](const auto& shared) {
      return static_cast<double>(shared.runs * std::min(rows(), shared.rows));
    };
    const double bits =
        static_cast<double>(rows() * layout_.codes) * S::format::bits +
        count(layout_.scales) * (S::scale::format::bits + (S::affine ? 8 : 0) + (S::choices > 1 ? 8 : 0)) +
        count(layout_.supers) * S::super_format::bits + count(layout_.tables) * S::table_size * 32;
    return bits / (static_cast<double>(rows()) * static_cast<double>(cols()));
  }

  /// The code at row `i`, code column `c` (input c * dim and the next dim - 1).
  code_type code(Index i, Index c) const { return get(i, layout_.place(c)); }

  /// The scale, zero point and choice of a group of a row.
  GroupParams<S> group(Index row, Index index) const {
    GroupParams<S> p;
    const Index i = layout_.scales.index(row, index);
    p.scale_code = element<typename S::scale_code>(layout_.scale_offset, i);
    p.scale = S::scale::format::decode(p.scale_code) * super_scale(row, index);
    if constexpr (S::affine) p.zero = p.zero_code = zeros()[i];
    if constexpr (S::choices > 1) p.choice = choices()[i];
    return p;
  }

  /// The value of the super-scale of a group; 1 without super-scales.
  float super_scale(Index row, Index group) const {
    if constexpr (S::has_super)
      return S::super_format::decode(
          element<typename S::super_code>(layout_.super_offset, layout_.supers.index(row, layout_.span_of(group))));
    else
      return 1;
  }

  /// The weight at (i, j). Throws std::invalid_argument where it lies outside.
  float at(Index i, Index j) const {
    if (i < 0 || i >= rows() || j < 0 || j >= cols())
      invalid("QuantizedMatrix::at", text("an index inside ", rows(), " x ", cols()), text("(", i, ", ", j, ")"));
    float values[S::dim];
    decode(i, j / S::dim, values);
    return values[j % S::dim];
  }

  /// The N x K matrix of weights.
  Eigen::MatrixXf dequantize() const {
    Eigen::MatrixXf w(rows(), cols());
    float values[S::dim];
    for (Index c = 0; c < layout_.codes; ++c) {
      for (Index i = 0; i < rows(); ++i) {
        decode(i, c, values);
        for (Index d = 0; d < S::dim && c * S::dim + d < cols(); ++d) w(i, c * S::dim + d) = values[d];
      }
    }
    return w;
  }

  /// The N x ceil(K / dim) matrix of codes.
  typename Parts<S>::template Matrix<code_type> codes() const {
    typename Parts<S>::template Matrix<code_type> out(rows(), layout_.codes);
    for (Index i = 0; i < rows(); ++i)
      for (Index c = 0; c < layout_.codes; ++c) out(i, c) = code(i, c);
    return out;
  }

  /// Everything that the constructor takes.
  Parts<S> parts() const {
    Parts<S> out(rows(), cols());
    out.codes = codes();
    for (Index r = 0; r < out.scales.rows(); ++r)
      for (Index g = 0; g < layout_.groups; ++g) out.set_group(r, g, group(r, g));
    for (Index r = 0; r < out.supers.rows(); ++r)
      for (Index i = 0; i < out.supers.cols(); ++i)
        out.supers(r, i) = element<typename S::super_code>(layout_.super_offset, layout_.supers.index(r, i));
    if (out.tables.size() > 0)
      std::memcpy(out.tables.data(), bytes_.data() + layout_.table_offset,
                  static_cast<std::size_t>(out.tables.size()) * sizeof(float));
    return out;
  }

  /// Same size, codes and side information.
  friend bool operator==(const QuantizedMatrix& a, const QuantizedMatrix& b) {
    return a.rows() == b.rows() && a.cols() == b.cols() && a.bytes_ == b.bytes_;
  }

  /// Writes the matrix: a header of a multiple of 64 bytes ("NIBBLEQM", version, scheme, size), then the bytes. Throws
  /// IoError where the stream does not take them.
  void save(std::ostream& out) const {
    const std::string head = header(layout_);
    out.write(head.data(), static_cast<std::streamsize>(head.size()));
    out.write(reinterpret_cast<const char*>(bytes_.data()), static_cast<std::streamsize>(bytes_.size()));
    if (!out.flush()) raise(IoError("<stream>", 0, "cannot write a quantized matrix"));
  }

  /// Reads what `save` wrote and leaves the stream behind it. Memory grows with the bytes that arrive, never on the
  /// header's word. Throws IoError where the bytes end early or are not a matrix of this scheme.
  static QuantizedMatrix load(std::istream& in) {
    std::vector<char> head(header_size());
    in.read(head.data(), static_cast<std::streamsize>(head.size()));
    const Layout<S> layout = parse_header(head.data(), static_cast<std::size_t>(in.gcount()));
    constexpr Index chunk = Index{1} << 22;
    std::vector<std::uint8_t> arrived;
    while (static_cast<Index>(arrived.size()) < layout.size) {
      const Index have = static_cast<Index>(arrived.size());
      const Index want = std::min(layout.size - have, std::max(chunk, have));
      arrived.resize(static_cast<std::size_t>(have + want));
      in.read(reinterpret_cast<char*>(arrived.data() + have), want);
      if (in.gcount() != want)
        raise(IoError("<stream>", head.size() + static_cast<std::size_t>(have + in.gcount()),
                      text("expected ", layout.size, " bytes of matrix, got ", have + in.gcount())));
    }
    AlignedArray<std::uint8_t> bytes(arrived.size());
    if (!arrived.empty()) std::memcpy(bytes.data(), arrived.data(), arrived.size());
    return QuantizedMatrix(layout, Bytes(std::move(bytes)));
  }

  /// The matrix that `file`, the exact bytes that `save` wrote, holds; nothing is copied. Throws IoError as `load`
  /// does, and where bytes follow the matrix.
  static QuantizedMatrix map(const Bytes& file) {
    const Layout<S> layout = parse_header(reinterpret_cast<const char*>(file.data()), file.size());
    const std::size_t size = header_size() + static_cast<std::size_t>(layout.size);
    if (file.size() != size) raise(IoError("<memory>", file.size(), text("expected ", size, " bytes")));
    auto keep_alive = std::make_shared<Bytes>(file);
    return QuantizedMatrix(layout,
                           Bytes(file.data() + header_size(), static_cast<std::size_t>(layout.size), keep_alive));
  }

  /// For kernels: the dim weights of code column `c` of row `i`, the layout and the raw sections.
  void decode(Index i, Index c, float* out) const {
    const Index g = layout_.group_of(c);
    const GroupParams<S> p = group(i, g);
    decode_to<typename S::format>(code(i, c), {table(i, g), p.choice}, out);
    for (Index d = 0; d < S::dim; ++d) out[d] = (out[d] - p.zero) * p.scale;
  }
  const Layout<S>& layout() const { return layout_; }
  const std::uint8_t* plane(std::size_t p) const { return bytes_.data() + layout_.plane_offset[p]; }
  const typename S::scale_code* scales() const {
    return reinterpret_cast<const typename S::scale_code*>(bytes_.data() + layout_.scale_offset);
  }
  const typename S::super_code* supers() const {
    return reinterpret_cast<const typename S::super_code*>(bytes_.data() + layout_.super_offset);
  }
  const std::uint8_t* zeros() const { return bytes_.data() + layout_.zero_offset; }
  const std::uint8_t* choices() const { return bytes_.data() + layout_.choice_offset; }
  /// The table of a group; null where the scheme has none.
  const float* table(Index row, Index group) const {
    if (S::table_size == 0) return nullptr;
    return reinterpret_cast<const float*>(bytes_.data() + layout_.table_offset) +
           layout_.tables.index(row, layout_.table_of(group)) * S::table_size;
  }

 private:
  QuantizedMatrix(const Layout<S>& layout, Bytes bytes) : layout_(layout), bytes_(std::move(bytes)) {
    const auto expect = [](bool ok, Index offset, const char* what) {
      if (!ok) raise(IoError("<matrix>", header_size() + static_cast<std::size_t>(offset), what));
    };
    for (Index i = 0; i < layout_.scales.size(); ++i) {
      const auto code = element<typename S::scale_code>(layout_.scale_offset, i);
      expect(std::isfinite(S::scale::format::decode(code)), layout_.scale_offset, "a scale is not finite");
      if (S::affine) expect(zeros()[i] >> S::format::bits == 0, layout_.zero_offset, "a zero point is out of range");
      if (S::choices > 1) expect(choices()[i] < S::choices, layout_.choice_offset, "a choice is out of range");
    }
    for (Index i = 0; i < layout_.supers.size(); ++i) {
      const auto code = element<typename S::super_code>(layout_.super_offset, i);
      expect(std::isfinite(S::super_format::decode(code)), layout_.super_offset, "a super-scale is not finite");
    }
    for (Index i = 0; i < layout_.tables.size() * S::table_size; ++i)
      expect(std::isfinite(element<float>(layout_.table_offset, i)), layout_.table_offset,
             "a table entry is not finite");
    for (Index i = 0; ascending_tables && i < layout_.tables.size() * S::table_size; ++i)
      expect(i % S::table_size == 0 ||
                 element<float>(layout_.table_offset, i - 1) <= element<float>(layout_.table_offset, i),
             layout_.table_offset, "a table is not in ascending order");
  }

  static constexpr bool ascending_tables = requires(const float* table) { S::format::check(table); };

  template <class T> T element(Index offset, Index i) const {
    T value;
    std::memcpy(&value, bytes_.data() + offset + i * static_cast<Index>(sizeof(T)), sizeof(T));
    return value;
  }

  /// Writes a matrix of shared values, if there are any, to where its layout has them.
  template <class Where, class Matrix> static void copy(const Where& where, const Matrix& from, std::uint8_t* to) {
    constexpr std::size_t size = sizeof(typename Matrix::Scalar);
    for (Index r = 0; r < from.rows(); ++r)
      for (Index i = 0; i < from.cols(); ++i)
        std::memcpy(to + static_cast<std::size_t>(where.index(r, i)) * size, &from(r, i), size);
  }

  static Layout<S> checked(const Parts<S>& parts) {
    const auto expect = [](bool ok, const char* what, const auto& got) {
      if (!ok) invalid("QuantizedMatrix", what, got);
    };
    const auto shape = [](const auto& m) { return text(m.rows(), " x ", m.cols()); };
    expect(parts.rows >= 0 && parts.cols >= 0, "sizes of at least 0", text(parts.rows, " x ", parts.cols));
    const Parts<S> sample(parts.rows, parts.cols > 0 ? parts.cols : 0);
    const auto same = [](const auto& a, const auto& b) { return a.rows() == b.rows() && a.cols() == b.cols(); };
    expect(same(parts.codes, sample.codes), "codes of N x ceil(K / dim)", shape(parts.codes));
    expect(same(parts.scales, sample.scales), "scales of N x groups", shape(parts.scales));
    expect(same(parts.supers, sample.supers), "super-scales of N x spans", shape(parts.supers));
    expect(same(parts.zeros, sample.zeros), "zero points of the shape of the scales", shape(parts.zeros));
    expect(same(parts.choices, sample.choices), "choices of the shape of the scales", shape(parts.choices));
    expect(same(parts.tables, sample.tables), "a table for each that shares one", shape(parts.tables));
    for (Index i = 0; i < parts.scales.size(); ++i) {
      const float scale = S::scale::format::decode(parts.scales.data()[i]);
      expect(std::isfinite(scale), "finite scales", scale);
    }
    for (Index i = 0; i < parts.supers.size(); ++i) {
      const float scale = S::super_format::decode(parts.supers.data()[i]);
      expect(std::isfinite(scale), "finite super-scales", scale);
    }
    for (Index i = 0; i < parts.zeros.size(); ++i)
      expect(parts.zeros.data()[i] >> S::format::bits == 0, "zero points below 2^bits", int{parts.zeros.data()[i]});
    for (Index i = 0; i < parts.choices.size(); ++i)
      expect(parts.choices.data()[i] < S::choices, "choices that exist", int{parts.choices.data()[i]});
    for (Index i = 0; i < parts.tables.size(); ++i)
      expect(std::isfinite(parts.tables.data()[i]), "finite table entries", parts.tables.data()[i]);
    if constexpr (ascending_tables)
      for (Index i = 0; i < parts.tables.rows(); ++i) S::format::check(parts.tables.row(i).data());
    for (Index i = 0; i < parts.codes.size(); ++i) {
      const std::uint32_t code = parts.codes.data()[i];
      expect(code >> S::format::bits == 0, "codes below 2^bits", code);
    }
    return Layout<S>(parts.rows, parts.cols);
  }

  /// The code that fills places beyond N and K: that of 0, or of the value nearest to it.
  static code_type padding() {
    if constexpr (S::table_size > 0) {
      return 0;
    } else {
      const float zeros[S::dim] = {};
      return encode_from<typename S::format>(zeros, {});
    }
  }

  void put(std::uint8_t* bytes, Index row, Index at, std::uint32_t code) const {
    int below = S::format::bits;
    for (std::size_t p = 0; p < layout_.planes.count; ++p) {
      const int width = layout_.planes.width[p];
      below -= width;
      const auto field = layout_.field(p, row, at);
      std::uint8_t& byte = bytes[layout_.plane_offset[p] + field.byte];
      const std::uint32_t mask = ((1u << width) - 1) << field.shift;
      byte = static_cast<std::uint8_t>((byte & ~mask) | ((code >> below << field.shift) & mask));
    }
  }

  code_type get(Index row, Index at) const {
    std::uint32_t code = 0;
    for (std::size_t p = 0; p < layout_.planes.count; ++p) {
      const int width = layout_.planes.width[p];
      const auto field = layout_.field(p, row, at);
      code = code << width | ((std::uint32_t{plane(p)[field.byte]} >> field.shift) & ((1u << width) - 1));
    }
    return static_cast<code_type>(code);
  }

  static std::string header(const Layout<S>& layout) {
    return detail::matrix_header(S::name(), layout.rows, layout.cols, layout.size);
  }
  static std::size_t header_size() { return header({}).size(); }
  static Layout<S> parse_header(const char* head, std::size_t size) {
    const auto bad = [](std::uint64_t offset, const std::string& what) { raise(IoError("<matrix>", offset, what)); };
    if (size < header_size()) bad(size, text("expected a header of ", header_size(), " bytes"));
    std::uint64_t sizes[3];
    std::memcpy(sizes, head + 16, sizeof sizes);
    // No matrix that fits a 64-bit address space has more: this keeps the layout's arithmetic from overflowing.
    constexpr std::uint64_t most = std::uint64_t{1} << 44;
    if (sizes[0] > most || sizes[1] > most || (sizes[1] > 0 && (sizes[0] + 16) > most / (sizes[1] + 1024)))
      bad(16, text("expected a size that fits memory, got ", sizes[0], " x ", sizes[1]));
    const Layout<S> layout(static_cast<Index>(sizes[0]), static_cast<Index>(sizes[1]));
    const std::string expected = header(layout);
    for (std::size_t i = 0; i < expected.size(); ++i)
      if (head[i] != expected[i])
        bad(i, i < 8               ? "not a nibble matrix"
               : i < 12            ? "not version 1"
               : i < 16 || i >= 40 ? text("not a matrix of scheme ", S::name())
                                   : text("expected ", layout.size, " bytes of matrix, got ", sizes[2]));
    return layout;
  }

  Layout<S> layout_;
  Bytes bytes_;
};

}  // namespace nibble
