// Y = W * X for W with small integer values and quantized X: cuts both into panels, tiles and steps for IntegerDot.
#pragma once

#include <numeric>

#include "nibble/core/parallel.h"
#include "nibble/formats/integer_view.h"
#include "nibble/kernels/panel_scales.h"
#include "nibble/matrix/activations.h"

namespace nibble::kernels {

/// How the places of a row are cut into steps, each inside one group of W (scheme S) and one of X (scheme A). Sizes are
/// in places.
template <class S, class A> struct Steps {
  static constexpr Index w_group = Layout<S>::group_places;
  /// Where groups of W are padded to whole quanta, X is laid out with the same gaps.
  static constexpr bool gaps = Layout<S>::group_codes != Layout<S>::group_places;
  static constexpr Index x_group = !gaps ? A::group_inputs : A::group_inputs / S::group_inputs * w_group;
  static_assert(!gaps || A::group_inputs % S::group_inputs == 0,
                "groups of weights of no multiple of 4 inputs need activations per column or in groups of a multiple");
  static_assert(std::gcd(w_group, x_group) % 4 == 0,
                "the groups of weights and of activations need a common divisor that is a multiple of 4");

  /// The largest step whose sums of products of bytes fit 32 bits: 255 * 127 * 65536 < 2^31.
  static constexpr Index longest = 65536;
  static constexpr Index common = std::gcd(w_group, x_group);
  static constexpr Index size = common == 0 ? longest : common <= longest ? common : std::gcd(common, longest);

  /// The group of `group` places that step s lies in.
  static Index group_of(Index s, Index group) { return group == 0 ? 0 : s * size / group; }
};

/// The integer product W * X, 0 < K. Sums are exact; one fused multiply-add per step and the factor at the end round,
/// in the same order on every instruction set, so that all give the same bits.
template <class Tag, class S, class A> class IntegerProduct {
 public:
  using Cut = Steps<S, A>;

  IntegerProduct(const QuantizedMatrix<S>& w, const QuantizedActivations<A>& x)
      : w_(w),
        x_(x),
        quanta_(in_place ? w.layout().places / 4 : (Layout<S>::place(w.cols() - 1) + 4) / 4),
        steps_((4 * quanta_ + Cut::size - 1) / Cut::size),
        sums_(per_column(steps_)),
        starts_(per_column(steps_)),
        zeros_(per_column(S::affine ? steps_ : 0)),
        x_scales_(per_column(grouped ? steps_ : 0)),
        factors_(per_column(1)),
        gapped_(per_column(Cut::gaps ? w.layout().places : 0)) {
    for (Index t = 0; t < x.shape().tiles(); ++t) prepare(t);
  }

  /// Writes rows 16 begin .. 16 end of Y, whose columns are `stride` floats apart.
  void panels(Index begin, Index end, float* y, Index stride) const {
    PanelScratch scratch(*this);
    for (Index p = begin; p < end; ++p) {
      IntegerTile tile;
      load_panel(p, scratch, tile);
      for (Index t = 0; t < x_.shape().tiles(); ++t) {
        alignas(alignment) float out[max_columns * lanes];
        const Index first = t * column_tile;
        const Index width = x_.shape().width(t);
        tile.x = tile_codes(t);
        tile.x_sums = sums_.data() + first * steps_;
        tile.x_starts = starts_.data() + first * steps_;
        tile.x_zeros = zeros_.data() + first * (S::affine ? steps_ : 0);
        tile.x_scales = x_scales_.data() + first * (grouped ? steps_ : 0);
        tile.factors = factors_.data() + first;
        tile.y = out;
        Dot::run(tile, static_cast<int>(width));
        const Index height = std::min<Index>(lanes, w_.rows() - p * lanes);
        for (Index c = 0; c < width; ++c)
          std::memcpy(y + (first + c) * stride + p * lanes, out + c * lanes,
                      static_cast<std::size_t>(height) * sizeof(float));
      }
    }
  }

 private:
  using F = typename S::format;
  static constexpr auto view = integer_view<F>;
  static constexpr bool grouped = A::group_inputs != 0;
  static constexpr int top = [] {
    int most = 0;
    for (int b : view.bytes) most = std::max(most, b);
    return view.identity ? 0 : most;
  }();
  /// Whether IntegerDot can decode as it goes; else the panel is unpacked to bytes first.
  static constexpr bool in_place =
      Cut::size / 4 % block_quanta(F::bits) == 0 && (view.identity || (F::bits <= 4 && top <= 128));
  /// Whether scales and zero points lie as IntegerDot reads them; else they are copied, once per step.
  static constexpr bool own_steps = Cut::size == Cut::w_group && !Layout<S>::per_tensor;
  /// A super-scale of the whole tensor is a factor of the result, others are multiplied into the scales.
  static constexpr bool tensor_super = S::has_super && std::same_as<typename S::super_span, PerTensor>;
  static constexpr bool own_scales =
      own_steps && ScaleLanes<Tag, typename S::scale::format>::exists && (tensor_super || !S::has_super);
  using Dot =
      IntegerDot<Tag, in_place ? F::bits : 8, in_place ? top : 0,
                 std::conditional_t<own_scales, typename S::scale::format, formats::Float32>, S::affine, grouped>;
  static_assert(!S::affine || 1 / view.unit == static_cast<int>(1 / view.unit),
                "zero points are multiples of the unit");

  struct PanelScratch {
    explicit PanelScratch(const IntegerProduct& p)
        : group_scales(per_lane(own_scales ? 0 : p.w_.layout().groups)),
          scales(per_lane(own_scales ? 0 : p.steps_)),
          zeros(per_lane(S::affine && !own_steps ? p.steps_ : 0)),
          bytes(in_place ? 0 : static_cast<std::size_t>(p.w_.layout().places * lanes)) {}
    AlignedArray<float> group_scales, scales;
    AlignedArray<std::uint8_t> zeros, bytes;
  };

  float tensor_scale() const { return tensor_super ? w_.super_scale(0, 0) : 1; }
  static std::size_t per_lane(Index count) { return static_cast<std::size_t>(count * lanes); }
  std::size_t per_column(Index count) const { return static_cast<std::size_t>(count * x_.cols()); }

  /// Sums, starts, scales and factors of a tile of X.
  void prepare(Index t) {
    const auto& shape = x_.shape();
    const Index width = shape.width(t);
    const Index first = t * column_tile;
    if constexpr (Cut::gaps) {
      std::int8_t* out = gapped_.data() + first * w_.layout().places;
      const std::int8_t* in = x_.codes(t);
      for (Index k = 0; k < x_.rows(); ++k) {
        const Index at = Layout<S>::place(k);
        for (Index c = 0; c < width; ++c)
          out[4 * (width * (at / 4) + c) + at % 4] = in[4 * (width * (k / 4) + c) + k % 4];
      }
    }
    std::int32_t* sums = sums_.data() + first * steps_;
    ActivationSums<Tag>::run(tile_codes(t), static_cast<int>(width), quanta_, Cut::size / 4, sums);
    for (Index i = 0; i < steps_ * width; ++i) {
      starts_.data()[first * steps_ + i] = -view.offset * sums[i];
      if constexpr (S::affine) zeros_.data()[first * steps_ + i] = -static_cast<int>(1 / view.unit) * sums[i];
    }
    if constexpr (grouped) {
      for (Index s = 0; s < steps_; ++s)
        std::memcpy(x_scales_.data() + first * steps_ + s * width,
                    x_.scales(t) + Cut::group_of(s, Cut::x_group) * width,
                    static_cast<std::size_t>(width) * sizeof(float));
    }
    for (Index c = 0; c < width; ++c)
      factors_.data()[first + c] = (grouped ? 1 : x_.scales(t)[c]) * (tensor_scale() * view.unit);
  }

  const std::int8_t* tile_codes(Index t) const {
    return Cut::gaps ? gapped_.data() + t * column_tile * w_.layout().places : x_.codes(t);
  }

  /// Everything of IntegerTile that belongs to panel p.
  void load_panel(Index p, PanelScratch& scratch, IntegerTile& tile) const {
    const Layout<S>& layout = w_.layout();
    for (std::size_t i = 0; i < layout.planes.count; ++i) tile.panel.plane[i] = w_.plane(i) + p * layout.panel_bytes(i);
    tile.lookup = view.bytes.data();
    tile.quanta = quanta_;
    tile.step = Cut::size / 4;
    if constexpr (!in_place) {
      UnpackBytes<Tag, F::bits>::run(tile.panel, view.bytes.data(), layout.places / 4, scratch.bytes.data());
      tile.panel.plane[0] = scratch.bytes.data();
    }
    [[maybe_unused]] const Index scales_at = layout.per_tensor ? 0 : p * layout.groups * lanes;
    if constexpr (own_scales) {
      tile.w_scales = w_.scales() + scales_at;
    } else {
      tile.w_scales = scratch.scales.data();
      panel_scales<Tag>(w_, p, !tensor_super, scratch.group_scales.data());
      for (Index s = 0; s < steps_; ++s)
        std::memcpy(scratch.scales.data() + s * lanes,
                    scratch.group_scales.data() + Cut::group_of(s, Cut::w_group) * lanes, lanes * sizeof(float));
    }
    if constexpr (S::affine) {
      const std::uint8_t* zeros = w_.zeros() + scales_at;
      tile.w_zeros = own_steps ? zeros : scratch.zeros.data();
      if constexpr (!own_steps) {
        for (Index s = 0; s < steps_; ++s) {
          std::uint8_t* out = scratch.zeros.data() + s * lanes;
          const std::uint8_t* in = zeros + Cut::group_of(s, Cut::w_group) * lanes;
          for (Index r = 0; r < lanes; ++r) out[r] = Layout<S>::per_tensor ? *zeros : in[r];
        }
      }
    }
  }

  const QuantizedMatrix<S>& w_;
  const QuantizedActivations<A>& x_;
  Index quanta_;
  Index steps_;
  AlignedArray<std::int32_t> sums_, starts_, zeros_;  // [tile][step][column]
  AlignedArray<float> x_scales_;                      // [tile][step][column]
  AlignedArray<float> factors_;                       // [column]
  AlignedArray<std::int8_t> gapped_;                  // [tile][quantum][column][4]
};

}  // namespace nibble::kernels
