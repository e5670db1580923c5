// Y = W * X for W with small integer values and quantized X: cuts both into panels, tiles and steps for IntegerDot.
#pragma once

#include <numeric>

#include "nibble/core/workspace.h"
#include "nibble/kernels/code_tables.h"
#include "nibble/kernels/panel_scales.h"
#include "nibble/matrix/activations.h"

namespace nibble::kernels {

/// How the numbers of a row are cut into steps, each inside one group of W (scheme S) and one of X (scheme A). Sizes
/// are in numbers, with the places that pad groups.
template <class S, class A> struct Steps {
  static constexpr Index dim = S::dim;
  static constexpr Index w_group = dim * Layout<S>::group_places;
  /// Where groups of W are padded to whole quanta, X is laid out with the same gaps; where codes hold several numbers,
  /// in the order of IntegerTile.
  static constexpr bool gaps = Layout<S>::group_codes != Layout<S>::group_places;
  static constexpr bool moved = gaps || dim > 1;
  static constexpr Index x_group = !gaps ? A::group_inputs : A::group_inputs / S::group_inputs * w_group;
  static_assert(!gaps || A::group_inputs % S::group_inputs == 0,
                "groups of weights of no multiple of 4 codes need activations per column or in groups of a multiple");
  static_assert(std::gcd(w_group, x_group) % (4 * dim) == 0,
                "the groups of weights and of activations need a common divisor that is a multiple of 4 codes");

  static constexpr int largest_x = A::affine ? QuantizedActivations<A>::top : 127;
  /// The largest step of whole blocks whose sums of products fit 32 bits, those of the bytes that stand for weights
  /// (255 * 127 * 65536 < 2^31) and those of the weights.
  static constexpr Index longest =
      std::min<Index>(A::affine ? 32768 : 65536,
                      std::bit_floor(static_cast<std::uint64_t>(0x7fffffff / (largest_weight<S> * largest_x)))) /
      (32 * dim) * (32 * dim);
  static constexpr Index common = std::gcd(w_group, x_group);
  static constexpr Index size = common == 0 ? longest : common <= longest ? common : std::gcd(common, longest);

  /// The group of `group` numbers that step s lies in.
  static Index group_of(Index s, Index group) { return group == 0 ? 0 : s * size / group; }
};

/// The integer product W * X, 0 < K. Sums are exact; one fused multiply-add per step and the factor at the end round,
/// in the same order on every instruction set, so that all give the same bits. Raw: the sums of products of integers,
/// without scales, for schemes whose rows have one scale each (or integer ones), and X with one per column.
template <class Tag, class S, class A, bool Raw = false> class IntegerProduct {
 public:
  using Cut = Steps<S, A>;
  using Sum = std::conditional_t<Raw, std::int32_t, float>;

  /// For `parts` parts that run at once.
  IntegerProduct(const QuantizedMatrix<S>& w, const QuantizedActivations<A>& x, Index parts, Scratch& memory)
      : w_(w),
        x_(x),
        quanta_(unpacks ? (Layout<S>::place(w.layout().codes - 1) / 4 + 1) * S::dim : places() / 4),
        steps_((4 * quanta_ + Cut::size - 1) / Cut::size),
        columns_(x.cols() * bytes_across),
        sums_(memory.take<std::int32_t>(steps_ * columns_)),
        starts_(memory.take<std::int32_t>(steps_ * columns_)),
        zeros_(memory.take<std::int32_t>(S::affine ? steps_ * columns_ : 0)),
        offsets_(memory.take<std::int32_t>(A::affine ? steps_ * columns_ : 0)),
        x_scales_(memory.take<float>(grouped ? steps_ * columns_ : 0)),
        factors_(memory.take<float>(columns_)),
        moved_(memory.take<std::int8_t>(Cut::moved ? places() * columns_ : 0)),
        unit_scales_(memory.take<std::uint8_t>(Raw || A::affine ? steps_ * lanes : 0)),
        ones_(A::affine ? memory.take<std::int8_t>(places()) : nullptr),
        scratch_(memory.take<PanelScratch>(parts)) {
    for (Index t = 0; t < x.shape().tiles.count; ++t) prepare(t);
    if (Raw || A::affine) std::fill_n(unit_scales_, steps_ * lanes, std::uint8_t{1});
    if constexpr (A::affine) {
      std::fill_n(ones_, places(), std::int8_t{0});
      for (Index k = 0; k < w.cols(); ++k) ones_[number_place<S>(k)] = 1;
    }
    for (Index i = 0; i < parts; ++i)
      scratch_[i] = {memory.take<float>(own_scales ? 0 : w.layout().groups * lanes),
                     memory.take<float>(own_scales ? 0 : steps_ * lanes),
                     memory.take<std::uint8_t>(S::affine && !own_steps ? steps_ * lanes : 0),
                     memory.take<std::int32_t>(A::affine ? steps_ * lanes : 0),
                     memory.take<std::uint8_t>(unpacks ? places() * lanes : 0)};
  }

  /// The largest K whose raw sums surely fit 32 bits.
  static constexpr Index longest_raw() {
    return 0x7fffffff / ((unit_scales ? 1 : largest_scale) * largest_weight<S> * Cut::largest_x);
  }

  /// Writes rows 16 begin .. 16 end of Y, as one of the parts.
  template <class Output> void panels(Index begin, Index end, Index part, const Output& output) const {
    const PanelScratch& scratch = scratch_[part];
    for (Index p = begin; p < end; ++p) {
      IntegerTile tile;
      load_panel(p, scratch, tile);
      for (Index t = 0; t < x_.shape().tiles.count; ++t) {
        alignas(alignment) Sum out[max_columns * lanes];
        const Index first = x_.shape().tiles.first(t);
        const Index width = x_.shape().tiles.width(t);
        load_columns(t, tile);
        if constexpr (Raw)
          tile.totals = out;
        else
          tile.y = out;
        const int across = static_cast<int>(width * bytes_across);
        Dot::run(tile, across);
        if constexpr (bytes_across == 2)
          for (Index c = 0; c < width; ++c)
            for (Index r = 0; r < lanes; ++r)
              out[c * lanes + r] = out[2 * c * lanes + r] + out[(2 * c + 1) * lanes + r];
        output.store(p, first, width, out);
      }
    }
  }

 private:
  using F = typename S::format;
  static constexpr auto view = integer_view<F>;
  static constexpr bool grouped = A::group_inputs != 0;
  static constexpr Index bytes_across = QuantizedActivations<A>::parts;
  static_assert(!S::affine || 1 / view.unit == static_cast<int>(1 / view.unit),
                "zero points are multiples of the unit");

  using Codes = CodesOf<F>;
  /// Whether a panel is unpacked to bytes first, because IntegerDot cannot decode it as it goes.
  static constexpr bool unpacks = !decodes_in_place<Tag, Codes> || Cut::size / 4 % Codes::block != 0;
  using Code = std::conditional_t<unpacks, CodeMap<8, 0>, Codes>;

  /// Whether scales and zero points lie as IntegerDot reads them; else they are copied, once per step.
  static constexpr bool own_steps = Cut::size == Cut::w_group && !Layout<S>::per_tensor;
  /// A super-scale of the whole tensor is a factor of the result; others are multiplied into the scales.
  static constexpr bool tensor_super = S::has_super && std::same_as<typename S::super_span, PerTensor>;
  /// Scales that are integers under super-scales, one for a row or for some steps of it, are applied in integers, where
  /// sums of `flush` steps fit 32 bits: all that share a super-scale, or as many as can be.
  using ScaleFormat = typename S::scale::format;
  static constexpr bool byte_scales =
      ScaleFormat::bits <= 8 && std::same_as<ScaleFormat, formats::UInt<ScaleFormat::bits>>;
  static constexpr bool row_super = std::same_as<typename S::super_span, PerRow>;
  static constexpr std::int64_t largest_scale = byte_scales ? (1 << ScaleFormat::bits) - 1 : 1;
  static constexpr Index safe_steps =
      static_cast<Index>(0x7fffffff / (largest_scale * largest_weight<S> * Cut::largest_x * Cut::size));
  static constexpr Index span_steps =
      row_super || S::group_inputs == 0 ? 1 : group_size<typename S::super_span> / S::group_inputs;
  static constexpr bool integer_steps = byte_scales && S::has_super && !tensor_super && own_steps && !grouped;
  static constexpr bool integers = Raw || (integer_steps && safe_steps >= span_steps);
  static constexpr Index flush = row_super ? safe_steps : span_steps;
  static constexpr bool unit_scales = Raw && !integer_steps;
  static_assert(!Raw || ((S::group_inputs == 0 || (integer_steps && row_super)) && !grouped && bytes_across == 1),
                "raw integer products take weights with one scale per row or integer scales under one, and activations "
                "of at most 8 bits with one scale per column");
  static constexpr bool own_scales =
      integers || (own_steps && ScaleLanes<Tag, ScaleFormat>::exists && (tensor_super || !S::has_super));
  using DotScale = std::conditional_t<integers, IntegerScale<typename S::super_format>,
                                      std::conditional_t<own_scales, ScaleFormat, formats::Float32>>;
  /// Short steps have kernels of their own.
  static constexpr int short_step = Cut::size <= 32 && Cut::size / 4 % Code::block == 0 ? Cut::size / 4 : 0;
  using Dot = IntegerDot<Tag, Code, short_step, DotScale, S::affine, grouped>;

  struct PanelScratch {
    float* group_scales;
    float* scales;
    std::uint8_t* zeros;
    std::int32_t* w_sums;
    std::uint8_t* bytes;
  };

  Index places() const { return w_.layout().places * S::dim; }
  float tensor_scale() const { return tensor_super ? w_.super_scale(0, 0) : 1; }

  /// Sums, starts, scales and factors of a tile of X.
  void prepare(Index t) {
    const auto& shape = x_.shape();
    const Index width = shape.tiles.width(t), across = width * bytes_across;
    const Index at = shape.tiles.first(t) * bytes_across;
    if constexpr (Cut::moved) {
      std::int8_t* out = moved_ + at * places();
      std::fill_n(out, across * places(), std::int8_t{0});
      const std::int8_t* in = x_.codes(t);
      for (Index k = 0; k < x_.rows(); ++k) {
        const Index to = number_place<S>(k);
        for (Index c = 0; c < across; ++c)
          out[4 * (across * (to / 4) + c) + to % 4] = in[4 * (across * (k / 4) + c) + k % 4];
      }
    }
    std::int32_t* sums = sums_ + at * steps_;
    ActivationSums<Tag>::run(tile_codes(t), static_cast<int>(across), quanta_, Cut::size / 4, sums);
    for (Index i = 0; i < steps_ * across; ++i) {
      starts_[at * steps_ + i] = -view.offset * sums[i];
      if constexpr (S::affine) zeros_[at * steps_ + i] = -static_cast<int>(1 / view.unit) * sums[i];
    }
    for (Index s = 0; s < steps_; ++s) {
      const Index group = Cut::group_of(s, Cut::x_group);
      for (Index c = 0; c < across; ++c) {
        const Index to = at * steps_ + s * across + c;
        if constexpr (grouped) x_scales_[to] = x_.scales(t)[group * width + c / bytes_across];
        if constexpr (A::affine) offsets_[to] = -x_.zeros(t)[group * width + c];
      }
    }
    for (Index c = 0; c < across; ++c) {
      const float part = bytes_across == 2 && c % 2 == 0 ? 255 : 1;
      factors_[at + c] = part * (grouped ? 1 : x_.scales(t)[c / bytes_across]) * (tensor_scale() * view.unit);
    }
  }

  const std::int8_t* tile_codes(Index t) const {
    return Cut::moved ? moved_ + x_.shape().tiles.first(t) * bytes_across * places() : x_.codes(t);
  }

  /// Everything of IntegerTile that belongs to tile t of X.
  void load_columns(Index t, IntegerTile& tile) const {
    const Index at = x_.shape().tiles.first(t) * bytes_across;
    tile.x = tile_codes(t);
    tile.x_sums = sums_ + at * steps_;
    tile.x_starts = starts_ + at * steps_;
    tile.x_zeros = zeros_ + at * (S::affine ? steps_ : 0);
    tile.x_offsets = offsets_ + at * (A::affine ? steps_ : 0);
    tile.x_scales = x_scales_ + at * (grouped ? steps_ : 0);
    tile.factors = factors_ + at;
  }

  /// Everything that belongs to panel p.
  void load_panel(Index p, const PanelScratch& scratch, IntegerTile& tile) const {
    const Layout<S>& layout = w_.layout();
    tile.panel = panel_codes(w_, p);
    tile.lookup = code_tables<F>.data();
    tile.quanta = quanta_;
    tile.step = Cut::size / 4;
    if constexpr (unpacks) {
      UnpackBytes<Tag, Codes>::run(tile.panel, tile.lookup, places() / 4, scratch.bytes);
      tile.panel.plane[0] = scratch.bytes;
    }
    [[maybe_unused]] const Index scales_at = layout.per_tensor ? 0 : p * layout.groups * lanes;
    if constexpr (unit_scales) {
      tile.w_scales = unit_scales_;
    } else if constexpr (own_scales) {
      tile.w_scales = w_.scales() + scales_at;
    } else {
      tile.w_scales = scratch.scales;
      panel_scales<Tag>(w_, p, !tensor_super, scratch.group_scales);
      for (Index s = 0; s < steps_; ++s)
        std::memcpy(scratch.scales + s * lanes, scratch.group_scales + Cut::group_of(s, Cut::w_group) * lanes,
                    lanes * sizeof(float));
    }
    if constexpr (integers && !Raw) {
      tile.flush = flush;
      tile.w_supers = w_.supers() + layout.supers.index(p * lanes, 0);
      tile.super_stride = row_super ? 0 : lanes;
    }
    if constexpr (S::affine) {
      const std::uint8_t* zeros = w_.zeros() + scales_at;
      tile.w_zeros = own_steps ? zeros : scratch.zeros;
      if constexpr (!own_steps) {
        for (Index s = 0; s < steps_; ++s) {
          const std::uint8_t* in = zeros + Cut::group_of(s, Cut::w_group) * lanes;
          for (Index r = 0; r < lanes; ++r) scratch.zeros[s * lanes + r] = layout.per_tensor ? *zeros : in[r];
        }
      }
    }
    if constexpr (A::affine) sum_weights(scratch, tile);
  }

  /// Sums over each step of the integers of the panel, less their zero points: what zero points of X are multiplied by.
  void sum_weights(const PanelScratch& scratch, IntegerTile& tile) const {
    const Index step = Cut::size / 4;
    for (Index s = 0; s < steps_; ++s) {
      IntegerTile one = tile;
      for (std::size_t i = 0; i < plane_widths(Code::bits).count; ++i)
        one.panel.plane[i] += quantum_line(s * step / Code::dim, plane_widths(Code::bits).width[i]);
      one.quanta = one.step = std::min(step, quanta_ - s * step);
      one.x = ones_ + 4 * s * step;
      const std::int32_t count = std::accumulate(one.x, one.x + 4 * one.quanta, 0);
      const std::int32_t start = -view.offset * count, zero = -static_cast<int>(1 / view.unit) * count;
      const float factor = 0;
      one.w_scales = unit_scales_;
      one.w_zeros += S::affine ? s * lanes : 0;
      one.x_sums = &count;
      one.x_starts = &start;
      one.x_zeros = &zero;
      one.factors = &factor;
      one.totals = scratch.w_sums + s * lanes;
      IntegerDot<Tag, Code, 0, IntegerScale<formats::Float32>, S::affine, false>::run(one, 1);
    }
    tile.w_sums = scratch.w_sums;
  }

  const QuantizedMatrix<S>& w_;
  const QuantizedActivations<A>& x_;
  Index quanta_, steps_, columns_;
  std::int32_t *sums_, *starts_, *zeros_, *offsets_;  // [tile][step][column]
  float* x_scales_;                                   // [tile][step][column]
  float* factors_;                                    // [column]
  std::int8_t* moved_;                                // [tile][quantum][column][4]
  std::uint8_t* unit_scales_;                         // [step][16]
  std::int8_t* ones_;                                 // [place]
  PanelScratch* scratch_;                             // [part]
};

}  // namespace nibble::kernels
