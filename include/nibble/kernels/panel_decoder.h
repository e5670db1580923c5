// From 16 rows of W to floats, for float products: by the kernels for panels of 16 rows, by way of bytes, by the
// kernels for panels of one row (row_decoder.h), or, where none can, one by one.
//
// Each decoder has its own order of places: input k of X lies at place(k) of `places`. `load` prepares the 16 rows of
// panel p, then `decode` writes their weights at places k .. k + depth - 1 (multiples of `unit`) to out[place][16], and
// `direct` adds their products with up to direct_columns columns to y[c][16]. One Room per
// part that runs at once.
#pragma once

#include "nibble/core/workspace.h"
#include "nibble/kernels/code_tables.h"
#include "nibble/kernels/panel_scales.h"

namespace nibble::kernels {

template <class F> inline constexpr bool is_minifloat = false;
template <int E, int M, int Bias, formats::Special S, formats::Sign Sg>
inline constexpr bool is_minifloat<formats::MiniFloat<E, M, Bias, S, Sg>> = S != formats::Special::Scale;

/// Whether every code of F stands for itself less an offset.
template <class F>
inline constexpr bool is_integer = [] {
  if constexpr (dim_of<F> != 1 || table_size_of<F> != 0 || choices_of<F> != 1) {
    return false;
  } else {
    const float first = F::decode(0);
    for (std::uint32_t c = 0; c < code_count<F>; ++c)
      if (!(F::decode(static_cast<typename F::code_type>(c)) == first + static_cast<float>(c))) return false;
    return true;
  }
}();

/// The values of scheme S by component of a code, then by choice, then by code: what codecs look up.
template <class Tag, class S> struct ValueTable {
  using F = typename S::format;
  /// Bits of a choice and a code.
  static constexpr int index = F::bits + std::bit_width(static_cast<unsigned>(S::choices - 1));
  static constexpr Index size = Index{1} << index;

  /// Writes dim * size values, those of the table where S has one.
  static void write(const float* table, float* out) {
    for (int choice = 0; choice < S::choices; ++choice) {
      for (std::uint32_t c = 0; c < code_count<F>; ++c) {
        float value[S::dim];
        decode_to<F>(static_cast<typename F::code_type>(c), {table, choice}, value);
        for (int d = 0; d < S::dim; ++d) out[d * size + (choice << F::bits) + static_cast<Index>(c)] = value[d];
      }
    }
  }
  /// Without table.
  static const float* fixed() {
    static const AlignedArray<float> all = [] {
      AlignedArray<float> values(static_cast<std::size_t>(S::dim * size));
      write(nullptr, values.data());
      return values;
    }();
    return all.data();
  }

  /// How they are looked up, or computed.
  static constexpr Decode how() {
    if constexpr (index <= 5) {
      return Decode::Floats;
    } else if constexpr (S::table_size > 0) {
      return Decode::Memory;
    } else {
      if constexpr (is_integer<F>) return Decode::Integer;
      if constexpr (is_minifloat<F>)
        if (F::bits > 8 || Tag::id == Isa::Avx2) return Decode::Minifloat;
      if (index > 8) return Decode::Memory;
      return short_values;
    }
  }

  /// Halves or SignedHalves where all values are bfloat16 numbers, else Memory.
  static constexpr Decode short_values = [] {
    if constexpr (S::table_size > 0 || index > 8) {
      return Decode::Memory;
    } else {
      const auto word = [](std::uint32_t c, int choice, int d) {
        float value[S::dim];
        decode_to<F>(static_cast<typename F::code_type>(c), {nullptr, choice}, value);
        return std::bit_cast<std::uint32_t>(value[d]);
      };
      const auto nan = [](std::uint32_t w) { return (w & 0x7fffffff) > 0x7f800000; };
      bool symmetric = index == 8 && F::bits == 8;
      for (int choice = 0; choice < S::choices; ++choice) {
        for (std::uint32_t c = 0; c < code_count<F>; ++c) {
          for (int d = 0; d < S::dim; ++d) {
            const std::uint32_t w = word(c, choice, d), lower = word(c & 127, choice, d);
            if ((w & 0xffff) != 0) return Decode::Memory;
            symmetric = symmetric && ((nan(w) && nan(lower)) || w == (lower ^ (c >> 7 << 31)));
          }
        }
      }
      return symmetric ? Decode::SignedHalves : Decode::Halves;
    }
  }();
};

/// Decodes places k .. k + depth - 1 of a panel of 16 rows.
template <class Tag, class C> void decode_rows(DecodeTile tile, Index k, Index depth, float* out) {
  tile.first = k / 4;
  tile.quanta = depth / 4;
  tile.out = out;
  DecodePanel<Tag, C, Lanes::Rows>::run(tile);
}

/// Decodes panels of 16 rows of a matrix of scheme S.
template <class Tag, class S> class PanelDecoder {
 public:
  using F = typename S::format;
  using Table = ValueTable<Tag, S>;
  static constexpr Index group_places = Layout<S>::group_places;
  static constexpr bool exists =
      Layout<S>::height == 16 && S::dim == 1 && group_places % (4 * block_quanta(F::bits)) == 0;
  static constexpr Decode how = exists ? Table::how() : Decode::Floats;
  using C = Codec<F::bits, how, how == Decode::Integer || how == Decode::Minifloat ? F::bits : Table::index,
                  std::conditional_t<how == Decode::Minifloat, F, void>>;
  /// Integers are converted and lose their offset as a zero point.
  static constexpr float offset = [] {
    if constexpr (how == Decode::Integer) return -F::decode(0);
    return 0.0f;
  }();
  static constexpr bool has_zeros = S::affine || offset != 0;

  struct Room {
    Room(const PanelDecoder& decoder, Scratch& memory)
        : scales(memory.take<float>(own_scales ? 0 : decoder.per_group())),
          zeros(memory.take<float>(has_zeros ? decoder.per_group() : 0)),
          above(memory.take<std::uint32_t>(S::choices > 1 ? decoder.per_group() : 0)) {}
    DecodeTile tile;  ///< all of the panel
    float *scales, *zeros;
    std::uint32_t* above;
  };

  /// `short_values`: with values rounded to bfloat16.
  PanelDecoder(const QuantizedMatrix<S>& w, Scratch& memory, bool short_values = false) : w_(w) {
    if constexpr (how != Decode::Integer && how != Decode::Minifloat) {
      if (S::table_size == 0 && !short_values) {
        values_ = Table::fixed();
        return;
      }
      float* table = memory.take<float>(Table::size);
      if (S::table_size == 0 || w.layout().tables.size() > 0)
        Table::write(w.table(0, 0), table);
      else
        std::fill_n(table, Table::size, 0.0f);
      if (short_values)
        for (Index i = 0; i < Table::size; ++i) table[i] = static_cast<float>(static_cast<Eigen::bfloat16>(table[i]));
      values_ = table;
    }
  }

  static constexpr Index unit = 4 * block_quanta(F::bits);
  static constexpr bool spread = false;  ///< x of `direct` is [place][c]
  Index places() const { return w_.layout().places; }
  Index place(Index k) const { return Layout<S>::place(k); }

  /// `supers`: with the super-scales in the scales.
  void load(Index p, Room& room, bool supers = true) const {
    const Layout<S>& layout = w_.layout();
    DecodeTile& tile = room.tile;
    tile.panel = panel_codes(w_, p);
    tile.values = values_;
    tile.group = group_places == 0 ? layout.places / 4 : group_places / 4;
    tile.quanta = layout.places / 4;
    const Index count = layout.groups * lanes;
    const Index first = layout.per_tensor ? 0 : p * count;
    [[maybe_unused]] const auto at = [&](Index i) { return layout.per_tensor ? 0 : first + i; };
    if constexpr (own_scales) {
      tile.scales = reinterpret_cast<const float*>(w_.scales() + first);
    } else {
      panel_scales<Tag>(w_, p, supers, room.scales);
      tile.scales = room.scales;
    }
    if constexpr (has_zeros) {
      for (Index i = 0; i < count; ++i)
        room.zeros[i] = offset + (S::affine ? static_cast<float>(w_.zeros()[at(i)]) : 0.0f);
      tile.zeros = room.zeros;
    }
    if constexpr (S::choices > 1) {
      constexpr std::uint32_t copies = C::index <= 8 ? 0x01010101 : 1;
      for (Index i = 0; i < count; ++i)
        room.above[i] = copies * (static_cast<std::uint32_t>(w_.choices()[at(i)]) << F::bits);
      tile.above = room.above;
    }
  }

  void decode(Index k, Index depth, Room& room, float* out) const { decode_rows<Tag, C>(room.tile, k, depth, out); }
  void direct(const float* x, Index columns, Room& room, float* y) const {
    FloatDirect<Tag, C, has_zeros, Lanes::Rows>::run({room.tile, x, y}, static_cast<int>(columns));
  }

 private:
  /// Whether scales lie as kernels read them; else they are decoded first.
  static constexpr bool own_scales =
      std::same_as<typename S::scale::format, formats::Float32> && !S::has_super && !Layout<S>::per_tensor;

  Index per_group() const { return w_.layout().groups * lanes; }

  const QuantizedMatrix<S>& w_;
  const float* values_ = nullptr;
};

/// Decodes panels whose codes hold several small integers, unpacked to bytes first.
template <class Tag, class S> class BytesDecoder {
 public:
  using F = typename S::format;
  static constexpr bool exists = S::dim > 1 && Layout<S>::height == 16 && has_integer_view<F> && !S::affine;
  using C = Codec<8, Decode::Integer, 8, void>;

  struct Room {
    Room(const BytesDecoder& decoder, Scratch& memory)
        : bytes(memory.take<std::uint8_t>(decoder.places() * lanes)), scales(memory.take<float>(decoder.per_group())) {
      float* const zeros = memory.take<float>(decoder.per_group());
      std::fill_n(zeros, decoder.per_group(), static_cast<float>(integer_view<F>.offset));
      tile.panel.plane[0] = bytes;
      tile.scales = scales;
      tile.zeros = zeros;
      tile.quanta = decoder.places() / 4;
      tile.group = Layout<S>::group_places == 0 ? tile.quanta : Layout<S>::group_places / 4 * S::dim;
    }
    DecodeTile tile;  ///< all of the panel, its codes as bytes
    std::uint8_t* bytes;
    float* scales;
  };

  BytesDecoder(const QuantizedMatrix<S>& w, Scratch&) : w_(w) {}
  static constexpr Index unit = 4;
  static constexpr bool spread = false;
  Index places() const { return w_.layout().places * S::dim; }
  Index place(Index k) const { return number_place<S>(k); }

  void load(Index p, Room& room) const {
    UnpackBytes<Tag, CodesOf<F>>::run(panel_codes(w_, p), code_tables<F>.data(), places() / 4, room.bytes);
    panel_scales<Tag>(w_, p, true, room.scales);
    for (Index i = 0; i < per_group(); ++i) room.scales[i] *= integer_view<F>.unit;
  }

  void decode(Index k, Index depth, Room& room, float* out) const { decode_rows<Tag, C>(room.tile, k, depth, out); }
  void direct(const float* x, Index columns, Room& room, float* y) const {
    FloatDirect<Tag, C, true, Lanes::Rows>::run({room.tile, x, y}, static_cast<int>(columns));
  }

 private:
  Index per_group() const { return w_.layout().groups * lanes; }

  const QuantizedMatrix<S>& w_;
};

/// Decodes any matrix, one code after the other.
template <class Tag, class S> class SlowDecoder {
 public:
  struct Room {
    Room(const SlowDecoder&, Scratch&) {}
    Index panel = 0;
  };

  SlowDecoder(const QuantizedMatrix<S>& w, Scratch&) : w_(w) {}
  static constexpr Index unit = 4;
  static constexpr bool spread = false;
  Index places() const { return round_up(w_.cols(), unit); }
  Index place(Index k) const { return k; }
  void load(Index p, Room& room) const { room.panel = p; }

  void decode(Index k, Index depth, Room& room, float* out) const {
    std::fill_n(out, depth * lanes, 0.0f);
    const Index first = room.panel * lanes;
    for (Index r = 0; r < std::min<Index>(lanes, w_.rows() - first); ++r) {
      for (Index c = k / S::dim; c * S::dim < std::min(k + depth, w_.cols()); ++c) {
        float run[S::dim];
        w_.decode(first + r, c, run);
        for (Index d = 0; d < S::dim; ++d) {
          const Index at = c * S::dim + d - k;
          if (at >= 0 && at < depth) out[at * lanes + r] = run[d];
        }
      }
    }
  }

 private:
  const QuantizedMatrix<S>& w_;
};

}  // namespace nibble::kernels
