// Y = W * X for any scheme and X of floats: panels are decoded to floats piece by piece and multiplied tile by tile.
#pragma once

#include "nibble/core/parallel.h"
#include "nibble/formats/integer_view.h"
#include "nibble/kernels/panel_scales.h"

namespace nibble::kernels {

/// The float product W * X: exact in the weights, K fused multiply-adds per element.
template <class Tag, class S> class FloatProduct {
 public:
  /// Packs X. Throws std::invalid_argument where it has a NaN or an infinity.
  template <class Derived>
  FloatProduct(const QuantizedMatrix<S>& w, const Eigen::MatrixBase<Derived>& x, const Parallel& parallel)
      : w_(w),
        cols_(x.cols()),
        depth_(fast ? w.layout().places : round_up(w.cols(), 4)),
        x_(static_cast<std::size_t>(depth_ * cols_)) {
    parallel_for(cols_, parallel, [&](Index begin, Index end) {
      Eigen::VectorXf column(w.cols());
      for (Index m = begin; m < end; ++m) {
        column = x.col(m).template cast<float>();
        if (!column.allFinite()) invalid("gemm", "finite activations", text("a NaN or an infinity in column ", m));
        float* out = x_.data() + m / column_tile * column_tile * depth_ + m % column_tile;
        const Index width = tile_width(m / column_tile);
        for (Index k = 0; k < w.cols(); ++k) out[(fast ? Layout<S>::place(k) : k) * width] = column[k];
      }
    });
  }

  /// Writes rows 16 begin .. 16 end of Y, whose columns are `stride` floats apart.
  void panels(Index begin, Index end, float* y, Index stride) const {
    constexpr Index tiles_at_once = 16;
    AlignedArray<float> piece(static_cast<std::size_t>(piece_places * lanes));
    AlignedArray<float> sums(static_cast<std::size_t>(tiles_at_once * column_tile * lanes));
    PanelScratch scratch(w_.layout());
    const Index tiles = (cols_ + column_tile - 1) / column_tile;
    for (Index p = begin; p < end; ++p) {
      const Index height = std::min<Index>(lanes, w_.rows() - p * lanes);
      if constexpr (fast) {
        load_panel(p, scratch);
        if (cols_ <= direct_columns) {
          DirectTile tile{codes_of(scratch), x_.data(), sums.data()};
          tile.codes.quanta = w_.layout().places / 4;
          FloatDirect<Tag, F::bits, style, has_zeros>::run(tile, static_cast<int>(cols_));
          store(sums.data(), 0, cols_, height, y + p * lanes, stride);
          continue;
        }
      }
      for (Index t0 = 0; t0 < tiles; t0 += tiles_at_once) {
        const Index t1 = std::min(tiles, t0 + tiles_at_once);
        std::fill_n(sums.data(), sums.size(), 0.0f);
        for (Index k = 0; k < depth_; k += piece_places) {
          const Index depth = std::min(piece_places, depth_ - k);
          decode(p, k, depth, scratch, piece.data());
          for (Index t = t0; t < t1; ++t) {
            FloatTile tile;
            tile.w = piece.data();
            tile.x = x_.data() + t * column_tile * depth_ + k * tile_width(t);
            tile.depth = depth;
            tile.acc = sums.data() + (t - t0) * column_tile * lanes;
            FloatDot<Tag>::run(tile, static_cast<int>(tile_width(t)));
          }
        }
        store(sums.data(), t0 * column_tile, std::min(cols_, t1 * column_tile), height, y + p * lanes, stride);
      }
    }
  }

 private:
  using F = typename S::format;
  static constexpr Index piece_places = 256;
  static constexpr Index group_places = Layout<S>::group_places;
  static constexpr int block = 4 * (F::bits <= 8 ? block_quanta(F::bits) : 1);
  /// Whether DecodePanel can decode; else codes are decoded one by one.
  static constexpr bool fast = Layout<S>::height == 16 && S::choices == 1 && F::bits <= 8 && group_places % block == 0;

  /// Whether scales lie as kernels read them; else they are decoded first.
  static constexpr bool own_scales =
      std::same_as<typename S::scale::format, formats::Float32> && !S::has_super && !Layout<S>::per_tensor;

  /// Wide integers are converted and lose their offset as a zero point; all others are looked up.
  static constexpr Decode style = [] {
    if constexpr (F::bits <= 5 || !fast) {
      return Decode::Floats;
    } else if constexpr (S::table_size > 0) {
      return Decode::Memory;
    } else {
      if constexpr (has_integer_view<F>)
        if (integer_view<F>.identity && integer_view<F>.unit == 1) return Decode::Integer;
      const auto word = [](std::uint32_t c) {
        return std::bit_cast<std::uint32_t>(F::decode(static_cast<typename F::code_type>(c)));
      };
      bool symmetric = F::bits == 8;
      for (std::uint32_t c = 0; c < code_count<F>; ++c) {
        if ((word(c) & 0xffff) != 0) return Decode::Memory;
        const bool nan = (word(c) & 0x7fffffff) > 0x7f800000 && (word(c & 127) & 0x7fffffff) > 0x7f800000;
        symmetric = symmetric && (nan || word(c) == (word(c & 127) ^ (c >> 7 << 31)));
      }
      return symmetric ? Decode::SignedHalves : Decode::Halves;
    }
  }();
  /// The values of all codes.
  const float* values() const {
    if constexpr (S::table_size > 0) {
      return w_.table(0, 0);
    } else {
      static const auto all = [] {
        std::array<float, std::size_t{1} << F::bits> v{};
        for (std::size_t c = 0; c < v.size(); ++c) v[c] = F::decode(static_cast<typename F::code_type>(c));
        return v;
      }();
      return all.data();
    }
  }
  static constexpr float offset = [] {
    if constexpr (style == Decode::Integer)
      return static_cast<float>(integer_view<F>.offset);
    else
      return 0.0f;
  }();
  static constexpr bool has_zeros = S::affine || offset != 0;

  struct PanelScratch {
    explicit PanelScratch(const Layout<S>& layout)
        : scales(static_cast<std::size_t>(fast && !own_scales ? layout.groups * lanes : 0)),
          zeros(static_cast<std::size_t>(fast && has_zeros ? layout.groups * lanes : 0)) {}
    AlignedArray<float> scales, zeros;
    const float* panel_scales = nullptr;
    Panel codes;
  };

  /// Writes sums[m - begin][0 .. height - 1] to the columns m = begin .. end - 1 of Y.
  static void store(const float* sums, Index begin, Index end, Index height, float* y, Index stride) {
    for (Index m = begin; m < end; ++m)
      std::memcpy(y + m * stride, sums + (m - begin) * lanes, static_cast<std::size_t>(height) * sizeof(float));
  }

  Index tile_width(Index t) const { return std::min(column_tile, cols_ - t * column_tile); }

  void load_panel(Index p, PanelScratch& scratch) const {
    const Layout<S>& layout = w_.layout();
    for (std::size_t i = 0; i < layout.planes.count; ++i)
      scratch.codes.plane[i] = w_.plane(i) + p * layout.panel_bytes(i);
    const Index count = layout.groups * lanes;
    const Index first = layout.per_tensor ? 0 : p * count;
    if constexpr (own_scales) {
      scratch.panel_scales = reinterpret_cast<const float*>(w_.scales() + first);
    } else {
      panel_scales<Tag>(w_, p, true, scratch.scales.data());
      scratch.panel_scales = scratch.scales.data();
    }
    if constexpr (has_zeros)
      for (Index i = 0; i < count; ++i)
        scratch.zeros.data()[i] =
            offset + (S::affine ? static_cast<float>(w_.zeros()[layout.per_tensor ? 0 : first + i]) : 0.0f);
  }

  DecodeTile codes_of(const PanelScratch& scratch) const {
    DecodeTile tile;
    tile.panel = scratch.codes;
    tile.values = values();
    tile.scales = scratch.panel_scales;
    tile.zeros = has_zeros ? scratch.zeros.data() : nullptr;
    tile.group = group_places == 0 ? w_.layout().places / 4 : group_places / 4;
    return tile;
  }

  /// The weights of panel p at places k .. k + depth - 1, to out[place][16].
  void decode(Index p, Index k, Index depth, const PanelScratch& scratch, float* out) const {
    if constexpr (fast) {
      DecodeTile tile = codes_of(scratch);
      tile.first = k / 4;
      tile.quanta = depth / 4;
      tile.out = out;
      DecodePanel<Tag, F::bits, style>::run(tile);
    } else {
      std::fill_n(out, depth * lanes, 0.0f);
      for (Index r = 0; r < std::min<Index>(lanes, w_.rows() - p * lanes); ++r) {
        for (Index c = k / S::dim; c * S::dim < std::min(k + depth, w_.cols()); ++c) {
          float run[S::dim];
          w_.decode(p * lanes + r, c, run);
          for (Index d = 0; d < S::dim; ++d) {
            const Index at = c * S::dim + d - k;
            if (at >= 0 && at < depth) out[at * lanes + r] = run[d];
          }
        }
      }
    }
  }

  const QuantizedMatrix<S>& w_;
  Index cols_;
  Index depth_;            // places per column of x_
  AlignedArray<float> x_;  // [tile][place][column]
};

}  // namespace nibble::kernels
