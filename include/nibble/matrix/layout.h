// Where each code, scale and zero point of a quantized matrix lies.
#pragma once

#include "nibble/core/aligned.h"
#include "nibble/matrix/scheme.h"

namespace nibble {

using Index = std::ptrdiff_t;

/// Columns of activations that lie, and are multiplied, together, at most.
inline constexpr Index column_tile = 12;

/// How columns are cut into tiles of at most `widest`: as few as there can be, equally wide or one column apart, so
/// that no tile is much cheaper per column than another.
struct ColumnTiles {
  Index count = 0, base = 0, wider = 0;  ///< tiles; the width of all but the first `wider` tiles, one less than theirs
  ColumnTiles(Index cols, Index widest)
      : count((cols + widest - 1) / widest), base(count == 0 ? 0 : cols / count), wider(cols - base * count) {}
  Index width(Index t) const { return base + (t < wider); }
  Index first(Index t) const { return base * t + std::min(t, wider); }
  Index tile_of(Index m) const { return m < wider * (base + 1) ? m / (base + 1) : (m - wider) / base; }
};

/// Widths of the planes that a code of `bits` bits is cut into, most significant first, 0 where there are fewer.
struct PlaneWidths {
  std::array<int, 4> width{};
  std::size_t count = 0;
};
constexpr PlaneWidths plane_widths(int bits) {
  PlaneWidths planes;
  for (int w : {8, 4, 2, 1}) {
    while (bits >= w) {
      planes.width[planes.count++] = w;
      bits -= w;
    }
  }
  return planes;
}

/// Where the values lie that G shares, one for the matrix, for each row, or for each run of inputs of a row:
/// [panel][run][row of the panel].
template <class G, int Height> struct Shared {
  static constexpr bool per_tensor = std::same_as<G, PerTensor>;
  Index runs = 0;  ///< per row
  Index rows = 0;  ///< rows that have values of their own, those that fill the last panel included
  Shared() = default;
  Shared(Index n, Index k)
      : runs(k == 0               ? 0
             : group_size<G> == 0 ? 1
                                  : (k + group_size<G> - 1) / group_size<G>),
        rows(per_tensor ? (n > 0) : round_up(n, Height)) {}
  Index size() const { return rows * runs; }
  Index index(Index row, Index run) const {
    return per_tensor ? run : (row / Height * runs + run) * Height + row % Height;
  }
};

/// The layout of scheme S at a given size.
///
/// Codes lie in panels of `height` rows. 64 bytes hold one field of `lane_codes` = 64 / height consecutive codes of
/// each row of the panel: a *quantum*. A line of 64 bytes of a plane of width w holds 8 / w quanta, from the low bits
/// up:
///
///     height 16, width 4:  byte 4 r + i  =  code[r][8 l + i]    |  code[r][8 l + 4 + i] << 4     (line l, i = 0..3)
///     height 1,  width 4:  byte i        =  code[0][128 l + i]  |  code[0][128 l + 64 + i] << 4  (i = 0..63)
///
/// Panels follow each other; each plane is one array. Groups start on multiples of 4 codes (height 16), so a group of
/// 10 takes 12 places; K is padded to a whole line of the narrowest plane, N to whole panels. Scales, super-scales,
/// zero points (a byte each) and choices (a byte each) lie as Shared says, tables row by row. Sections start on cache
/// lines.
template <class S> struct Layout {
  static constexpr int height = S::panel_rows;
  static constexpr int lane_codes = 64 / height;
  static constexpr PlaneWidths planes = plane_widths(S::format::bits);
  static constexpr int narrowest = planes.width[planes.count - 1];
  /// Codes of a row in one line of the narrowest plane.
  static constexpr Index block = lane_codes * (8 / narrowest);
  /// Codes per group, without and with the places that pad it; 0 where a group is a whole row.
  static constexpr Index group_codes = S::group_inputs / S::dim;
  static constexpr Index group_places = height == 16 ? round_up(group_codes, 4) : group_codes;
  static constexpr bool per_tensor = std::same_as<typename S::group, PerTensor>;
  using Span = typename S::super_span;
  static_assert(group_size<Span> == 0 || (group_codes > 0 && group_size<Span> % S::group_inputs == 0),
                "a span of super-scales holds whole groups");

  Index rows = 0, cols = 0;
  Index panels = 0;  ///< panels of `height` rows
  Index codes = 0;   ///< codes per row
  Index places = 0;  ///< codes per row with padding
  Index groups = 0;  ///< groups per row
  Shared<typename S::group, height> scales;
  Shared<Span, height> supers;
  Shared<typename S::table_group, 1> tables;
  std::array<Index, 4> plane_offset{};
  Index scale_offset = 0, super_offset = 0, zero_offset = 0, choice_offset = 0, table_offset = 0;
  Index size = 0;  ///< bytes

  Layout() = default;
  Layout(Index n, Index k) : rows(n), cols(k) {
    panels = (rows + height - 1) / height;
    codes = (cols + S::dim - 1) / S::dim;
    places = group_codes == 0 ? codes : codes / group_codes * group_places + codes % group_codes;
    places = round_up(places, block);
    scales = {n, k};
    supers = {S::has_super ? n : 0, k};
    tables = {S::table_size > 0 ? n : 0, k};
    groups = scales.runs;
    for (std::size_t p = 0; p < planes.count; ++p) {
      plane_offset[p] = size;
      size += panels * panel_bytes(p);
    }
    scale_offset = section(scales.size() * static_cast<Index>(sizeof(typename S::scale_code)));
    super_offset = section(supers.size() * static_cast<Index>(sizeof(typename S::super_code)));
    zero_offset = section(S::affine ? scales.size() : 0);
    choice_offset = section(S::choices > 1 ? scales.size() : 0);
    table_offset = section(tables.size() * S::table_size * static_cast<Index>(sizeof(float)));
  }

  /// Bytes of one panel of plane p.
  Index panel_bytes(std::size_t p) const { return places * height * planes.width[p] / 8; }

  /// The place of code `c` of a row.
  static constexpr Index place(Index c) {
    if constexpr (group_codes == group_places)
      return c;
    else
      return c / group_codes * group_places + c % group_codes;
  }

  /// The byte and the shift, within plane p, of the field of a place.
  struct Field {
    Index byte;
    int shift;
  };
  Field field(std::size_t p, Index row, Index at) const {
    const int width = planes.width[p];
    const Index line_codes = lane_codes * (8 / width);
    const Index in_line = at % line_codes;
    return {row / height * panel_bytes(p) + at / line_codes * 64 + row % height * lane_codes + in_line % lane_codes,
            static_cast<int>(in_line / lane_codes) * width};
  }

  /// The group of code `c`, the span and the table of a group.
  static constexpr Index group_of(Index c) { return group_codes == 0 ? 0 : c / group_codes; }
  static constexpr Index span_of(Index group) {
    return group_size<Span> == 0 ? 0 : group / (group_size<Span> / S::group_inputs);
  }
  static constexpr Index table_of(Index group) { return group_size<typename S::table_group> == 0 ? 0 : group; }

 private:
  Index section(Index bytes) {
    const Index offset = size;
    size += round_up(bytes, static_cast<Index>(alignment));
    return offset;
  }
};

/// The size of activations of scheme S, cut into tiles of columns. Scales, and zeros, lie [tile][group][column].
template <class S> struct ActivationShape {
  Index rows, cols;
  ColumnTiles tiles;
  ActivationShape(Index k, Index m, Index widest) : rows(k), cols(m), tiles(m, widest) {}
  Index groups() const {
    return rows == 0 ? 0 : S::group_inputs == 0 ? 1 : (rows + S::group_inputs - 1) / S::group_inputs;
  }
  Index scales() const { return groups() * cols; }
  Index scale_index(Index group, Index m) const {
    const Index t = tiles.tile_of(m), first = tiles.first(t);
    return first * groups() + tiles.width(t) * group + m - first;
  }
};

}  // namespace nibble
