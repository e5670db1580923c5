// From 16 rows of W to floats where panels are one row high: tables of a row or a group, vector formats.
#pragma once

#include "nibble/kernels/panel_decoder.h"

namespace nibble::kernels {

/// See panel_decoder.h. Lanes of the kernels are inputs of one row. Of a vector format each component is decoded as a
/// format of its own, with the same codes: place d * 64 Q + 64 q + 16 i + l is component d of code 64 q + 4 l + i,
/// where a row has Q quanta. 16 decoded rows are transposed.
template <class Tag, class S> class RowDecoder {
 public:
  using F = typename S::format;
  using Table = ValueTable<Tag, S>;
  static constexpr Index group_codes = Layout<S>::group_codes;
  static constexpr Index block = 64 * block_quanta(F::bits);
  /// Whether the kernels can take the scale of a group as one number; else they take one for each 4 codes.
  static constexpr bool coarse = group_codes % block == 0;
  static constexpr bool table_per_group = S::table_size > 0 && group_size<typename S::table_group> > 0;
  static constexpr bool exists =
      Layout<S>::height == 1 && !S::affine && group_codes % 4 == 0 && (!table_per_group || coarse);
  static constexpr Decode how = exists ? Table::how() : Decode::Floats;
  using C = Codec<F::bits, how>;
  static constexpr Lanes kind = coarse ? Lanes::Inputs : Lanes::FineInputs;

  struct Room {
    Room(const RowDecoder& decoder, Scratch& memory)
        : scales(memory.take<float>(lanes * decoder.groups())),
          fine(memory.take<float>(coarse ? 0 : lanes * decoder.quanta_ * lanes)),
          tables(memory.take<float>(S::table_size > 0 ? lanes * decoder.tables_per_row_ * row_values : 0)),
          rows(memory.take<float>(lanes * unit)),
          sums(memory.take<float>(lanes * direct_columns * lanes)) {
      if (!coarse) std::fill_n(fine, lanes * decoder.quanta_ * lanes, 0.0f);
    }
    Index panel = 0, height = 0;
    float* scales;  ///< [row][group]
    float* fine;    ///< [row][quantum][lane]
    float* tables;  ///< [row][table][component][code]
    float* rows;    ///< [row][unit]
    float* sums;    ///< [row][column][lane]
  };

  RowDecoder(const QuantizedMatrix<S>& w, Scratch&)
      : w_(w),
        quanta_(w.layout().places / 64),
        tables_per_row_(table_per_group ? w.layout().groups : 1),
        values_(S::table_size > 0 ? nullptr : Table::fixed()) {}

  static constexpr Index unit = std::max<Index>(block, 256);
  static constexpr bool spread = true;  ///< x of `direct` is [place / 16][c][place % 16]
  Index places() const { return S::dim * 64 * quanta_; }
  Index place(Index k) const {
    const Index c = k / S::dim, in = c % 64;
    return (k % S::dim * quanta_ + c / 64) * 64 + in % 4 * 16 + in / 4;
  }

  void load(Index p, Room& room) const {
    const Index first = p * lanes;
    room.panel = p;
    room.height = std::min<Index>(lanes, w_.rows() - first);
    load_scales(room);
    if constexpr (S::table_size > 0)
      for (Index r = 0; r < room.height; ++r)
        for (Index t = 0; t < (groups() > 0 ? tables_per_row_ : 0); ++t)
          Table::write(w_.table(first + r, t), room.tables + (r * tables_per_row_ + t) * row_values);
    // The next panel's come from memory while this one is multiplied.
    if constexpr (S::table_size > 0)
      for (Index r = first + lanes; r < std::min(first + 2 * lanes, w_.rows()); ++r)
        for (Index t = 0; t < tables_per_row_ * S::table_size; t += lanes) __builtin_prefetch(w_.table(r, 0) + t);
  }

  void decode(Index k, Index depth, Room& room, float* out) const {
    std::fill_n(room.rows + room.height * unit, (lanes - room.height) * unit, 0.0f);
    for (const Index end = k + depth; k < end;) {
      const Index q = k / 64 % quanta_;
      const Index run = std::min((end - k) / 64, run_of(q, unit / 64));
      for (Index r = 0; r < room.height; ++r) {
        DecodeTile tile = tile_of(r, q, k / 64 / quanta_, run, room);
        tile.out = room.rows + r * unit;
        DecodePanel<Tag, C, kind>::run(tile);
      }
      TransposeRows<Tag>::run(room.rows, unit, 64 * run, out);
      out += 64 * run * lanes;
      k += 64 * run;
    }
  }

  void direct(const float* x, Index columns, Room& room, float* y) const {
    std::fill_n(room.sums, lanes * columns * lanes, 0.0f);
    // As many inputs at a time as keep x in the L1 cache.
    const Index most = round_up(std::max<Index>(64 / columns, 1), block / 64);
    for (Index d = 0; d < S::dim; ++d) {
      for (Index q = 0, run = 0; q < quanta_; q += run) {
        run = run_of(q, most);
        for (Index r = 0; r < room.height; ++r)
          FloatDirect<Tag, C, false, kind>::run(
              {tile_of(r, q, d, run, room), x + (d * quanta_ + q) * 64 * columns, room.sums + r * columns * lanes},
              static_cast<int>(columns));
      }
    }
    alignas(alignment) float turned[lanes * lanes];
    for (Index c = 0; c < columns; ++c) {
      TransposeRows<Tag>::run(room.sums + c * lanes, columns * lanes, lanes, turned);
      for (Index l = 0; l < lanes; ++l)
        for (Index r = 0; r < lanes; ++r) y[c * lanes + r] += turned[l * lanes + r];
    }
  }

 private:
  static constexpr Index row_values = S::dim * Table::size;
  Index groups() const { return w_.layout().groups; }
  Index group_quanta() const { return coarse && group_codes > 0 ? group_codes / 64 : quanta_; }

  /// Quanta from q on, at most about `most`, that one call of a kernel can take: whole groups or a part of one.
  Index run_of(Index q, Index most) const {
    const Index group = group_quanta();
    const bool whole = group <= most && !table_per_group;
    return std::min(quanta_ - q, whole ? most / group * group : std::min(most, group - q % group));
  }

  /// Component d of `run` quanta from q on of row r.
  DecodeTile tile_of(Index r, Index q, Index d, Index run, const Room& room) const {
    const Layout<S>& layout = w_.layout();
    const Index group = group_quanta();
    DecodeTile tile;
    for (std::size_t i = 0; i < layout.planes.count; ++i)
      tile.panel.plane[i] =
          w_.plane(i) + (room.panel * lanes + r) * layout.panel_bytes(i) + quantum_line(q, layout.planes.width[i]);
    tile.values = values_;
    if constexpr (S::table_size > 0)
      tile.values = room.tables + (r * tables_per_row_ + (table_per_group ? q / group : 0)) * row_values;
    tile.values += d * Table::size;
    tile.scales = coarse ? room.scales + r * groups() + q / group : room.fine + (r * quanta_ + q) * lanes;
    tile.quanta = run;
    tile.group = group;
    return tile;
  }

  void load_scales(Room& room) const {
    using Format = typename S::scale::format;
    const Index first = room.panel * lanes, count = room.height * groups();
    float* scales = room.scales;
    if (count == 0) return;
    if constexpr (Layout<S>::per_tensor) {
      std::fill_n(scales, count, w_.group(0, 0).scale);
    } else {
      const auto* codes = w_.scales() + first * groups();
      const Index whole = count / lanes * lanes;
      DecodeScales<Tag, Format>::run(codes, whole, scales);
      for (Index i = whole; i < count; ++i) scales[i] = Format::decode(codes[i]);
      if (S::has_super)
        for (Index i = 0; i < count; ++i) scales[i] *= w_.super_scale(first + i / groups(), i % groups());
    }
    if constexpr (!coarse) {
      constexpr Index in_group = group_codes / 4;
      for (Index r = 0; r < room.height; ++r) {
        float* out = room.fine + r * quanta_ * lanes;
        for (Index i = 0; i < w_.layout().codes; i += group_codes)
          std::fill_n(out + i / 4, std::min(in_group, quanta_ * lanes - i / 4), scales[r * groups() + i / group_codes]);
      }
    }
  }

  const QuantizedMatrix<S>& w_;
  Index quanta_;  // per row
  Index tables_per_row_;
  const float* values_;
};

}  // namespace nibble::kernels
