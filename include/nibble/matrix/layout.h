// Where each code, scale and zero point of a quantized matrix lies.
#pragma once

#include "nibble/core/aligned.h"
#include "nibble/matrix/scheme.h"

namespace nibble {

using Index = std::ptrdiff_t;

/// Columns of activations that lie, and are multiplied, together.
inline constexpr Index column_tile = 12;

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
/// 10 takes 12 places; K is padded to a whole line of the narrowest plane, N to whole panels. Scales and zero points:
/// [panel][group][row of the panel]. Sections start on cache lines.
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

  Index rows = 0, cols = 0;
  Index panels = 0;      ///< panels of `height` rows
  Index codes = 0;       ///< codes per row
  Index groups = 0;      ///< groups per row
  Index places = 0;      ///< codes per row with padding
  Index scale_rows = 0;  ///< rows that have scales of their own, with padding
  std::array<Index, 4> plane_offset{};
  Index scale_offset = 0, zero_offset = 0, table_offset = 0, tensor_offset = 0;
  Index size = 0;  ///< bytes

  Layout() = default;
  Layout(Index n, Index k) : rows(n), cols(k) {
    panels = (rows + height - 1) / height;
    codes = (cols + S::dim - 1) / S::dim;
    groups = codes == 0 ? 0 : group_codes == 0 ? 1 : (codes + group_codes - 1) / group_codes;
    places = group_codes == 0 ? codes : codes / group_codes * group_places + codes % group_codes;
    places = round_up(places, block);
    scale_rows = per_tensor ? (rows > 0) : panels * height;
    for (std::size_t p = 0; p < planes.count; ++p) {
      plane_offset[p] = size;
      size += panels * panel_bytes(p);
    }
    scale_offset = section(scale_rows * groups * static_cast<Index>(sizeof(typename S::scale_code)));
    zero_offset = section(S::affine ? scale_rows * groups : 0);
    table_offset = section(rows * S::table_size * static_cast<Index>(sizeof(float)));
    tensor_offset = section(S::scale::has_tensor_scale ? static_cast<Index>(sizeof(float)) : 0);
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

  /// The index of the scale (and zero point) of a group of a row.
  Index scale_index(Index row, Index group) const {
    return per_tensor ? group : (row / height * groups + group) * height + row % height;
  }

  /// The group of code `c`.
  static constexpr Index group_of(Index c) { return group_codes == 0 ? 0 : c / group_codes; }

 private:
  Index section(Index bytes) {
    const Index offset = size;
    size += round_up(bytes, static_cast<Index>(alignment));
    return offset;
  }
};

}  // namespace nibble
