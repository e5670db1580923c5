// Y = W * X over bits: W with small integer values, X in bits. Both are cut into 1-bit planes, tiles and steps for
// BinaryDot.
#pragma once

#include <bit>
#include <numeric>

#include "nibble/formats/linear_view.h"
#include "nibble/kernels/gemm.h"
#include "nibble/matrix/bit_activations.h"

namespace nibble {

namespace kernels {

/// Weights as bits: a value is unit * (slope * number - offset), number an unsigned integer of `bits` bits. Numbers are
/// the codes themselves, or those that `numbers` lists.
template <class F> struct WeightBits {
  static constexpr bool linear = linear_view<F>.exists;
  static constexpr bool exists = linear || has_integer_view<F>;
  float unit = 1;
  int slope = 1;
  int offset = 0;
  int bits = 0;
  std::array<std::uint8_t, code_count<F>> numbers{};

  consteval WeightBits() {
    unsigned all = 0;
    for (std::size_t c = 0; c < numbers.size(); ++c) {
      if constexpr (linear)
        numbers[c] = static_cast<std::uint8_t>(c);
      else
        numbers[c] = integer_view<F>.bytes[c];
      all |= numbers[c];
    }
    bits = static_cast<int>(std::bit_width(all));
    if constexpr (linear) {
      unit = linear_view<F>.unit;
      slope = linear_view<F>.slope;
      offset = linear_view<F>.offset;
    } else {
      unit = integer_view<F>.unit;
      offset = integer_view<F>.offset;
    }
  }

  /// The largest magnitude of a weight in units, whatever its zero point where the offset is 0.
  constexpr int largest() const {
    const int most = slope * ((1 << bits) - 1);
    return std::max({most, offset, most - offset});
  }
};

/// Whether products of F with activations in bits run over bits.
template <class F>
inline constexpr bool has_bits = [] {
  if constexpr (dim_of<F> == 1 && table_size_of<F> == 0 && choices_of<F> == 1 && F::bits <= 8)
    return WeightBits<F>::exists;
  else
    return false;
}();

/// The panels of W, cut into planes of bits.
template <class Tag, class S> class BitPanels {
 public:
  using F = typename S::format;
  static constexpr WeightBits<F> weights{};
  /// Width of the fields that CutPlanes is given: that of the only plane of codes, or of whole bytes.
  static constexpr bool whole = weights.linear && plane_widths(F::bits).count == 1;
  static constexpr int width = whole ? F::bits : 8;

  /// Room for one panel.
  struct Room {
    std::uint32_t* planes = nullptr;
    std::uint8_t* bytes = nullptr;
  };

  explicit BitPanels(const QuantizedMatrix<S>& w)
      : w_(w), words_((w.cols() + 31) / 32), in_place_(width == 1 && w.cols() % 32 == 0) {}

  Index words() const { return words_; }

  Room room(Scratch& memory) const {
    if (in_place_) return {};
    return {memory.take<std::uint32_t>(words_ * lanes * width),
            whole ? nullptr : memory.take<std::uint8_t>(words_ * lanes * 32)};
  }

  /// The planes of panel p: where they lie in W, or in `room`.
  std::array<const std::uint32_t*, 8> planes(Index p, const Room& room) const {
    const Layout<S>& layout = w_.layout();
    std::array<const std::uint32_t*, 8> planes{};
    const std::uint8_t* lines = w_.plane(0) + p * layout.panel_bytes(0);
    if (in_place_) {
      planes[0] = reinterpret_cast<const std::uint32_t*>(lines);
      return planes;
    }
    if constexpr (!whole) {
      using Code = CodeMap<F::bits, weights.linear ? 0 : (1 << weights.bits) - 1>;
      UnpackBytes<Tag, Code>::run(panel_codes(w_, p), weights.numbers.data(), layout.places / 4, room.bytes);
      lines = room.bytes;
    }
    std::uint32_t* out = room.planes;
    if constexpr (width == 1) {
      std::memcpy(out, lines, static_cast<std::size_t>(words_ * 64));
    } else {
      const Index have = whole ? layout.panel_bytes(0) : words_ * 64 * width;
      const Index full = std::min(words_, have / (64 * width));
      CutPlanes<Tag, width>::run(lines, full, words_ * lanes, out);
      if (full < words_) {  // the last word has fewer lines
        alignas(alignment) std::uint8_t last[64 * width] = {};
        std::memcpy(last, lines + full * 64 * width, static_cast<std::size_t>(have - full * 64 * width));
        CutPlanes<Tag, width>::run(last, 1, words_ * lanes, out + full * lanes);
      }
    }
    for (int i = 0; i < width; ++i) {
      std::uint32_t* plane = out + i * words_ * lanes;
      if (w_.cols() % 32 != 0)
        for (Index r = 0; r < lanes; ++r) plane[(words_ - 1) * lanes + r] &= inputs_of_last();
      planes[static_cast<std::size_t>(i)] = plane;
    }
    return planes;
  }

  /// From the order of bits of X to the one in which the bits of W come out of CutPlanes.
  static std::uint32_t ordered(std::uint32_t word) {
    if constexpr (width == 2) {  // bit 4 t + f goes to 2 f + t
      word = (word & 0x81818181u) | (word & 0x02020202u) << 1 | (word & 0x04040404u) << 2 | (word & 0x08080808u) << 3 |
             (word & 0x10101010u) >> 3 | (word & 0x20202020u) >> 2 | (word & 0x40404040u) >> 1;
    } else if constexpr (width == 4) {  // bit 2 t + f goes to 4 f + t
      word = (word & 0x81818181u) | (word & 0x02020202u) << 3 | (word & 0x04040404u) >> 1 | (word & 0x08080808u) << 2 |
             (word & 0x10101010u) >> 2 | (word & 0x20202020u) << 1 | (word & 0x40404040u) >> 3;
    }
    return word;
  }

 private:
  /// The bits of the last word that belong to inputs below K.
  std::uint32_t inputs_of_last() const {
    std::uint32_t bits = 0;
    for (Index k = w_.cols() / 32 * 32; k < w_.cols(); ++k) bits |= 1u << BitActivations<>::Shape::bit(k);
    return ordered(bits);
  }

  const QuantizedMatrix<S>& w_;
  Index words_;
  bool in_place_;
};

/// How K is cut into steps, each inside one group of W (scheme S) and one of X (scheme A). Sizes are in inputs.
template <class S, class A> struct BitSteps {
  static constexpr Index common = std::gcd(Index{S::group_inputs}, Index{A::group_inputs});
  static_assert(common % 32 == 0 && S::panel_rows == lanes,
                "products over bits need groups of weights that are multiples of 32 inputs");
  /// The largest power of two of inputs whose products add up to less than 2^31 in magnitude.
  static constexpr Index longest = [] {
    constexpr WeightBits<typename S::format> weights;
    const Index w = weights.largest() + (S::affine && weights.offset > 0 ? (1 << S::format::bits) - 1 : 0);
    const Index x = (Index{1} << A::format::bits) - 1;
    return static_cast<Index>(std::bit_floor(static_cast<std::uint64_t>(((Index{1} << 31) - 1) / (w * x))));
  }();
  static constexpr Index size = common == 0 ? longest : common <= longest ? common : std::gcd(common, longest);

  /// The group of `group` inputs that step s lies in.
  static Index group_of(Index s, Index group) { return group == 0 ? 0 : s * size / group; }
};

/// The product W * X over bits, 0 < K. Sums are exact; one fused multiply-add per step and the factor at the end round,
/// in the same order on every instruction set, so that all give the same bits.
template <class Tag, class S, class A> class BinaryProduct {
 public:
  using Cut = BitSteps<S, A>;
  using X = BitActivations<A>;

  /// For `parts` parts that run at once.
  BinaryProduct(const QuantizedMatrix<S>& w, const X& x, Index parts, Scratch& memory)
      : w_(w),
        x_(x),
        panels_(w),
        steps_((w.cols() + Cut::size - 1) / Cut::size),
        words_(memory.take<std::uint32_t>(reordered ? x.shape().words() * X::planes * x.cols() : 0)),
        starts_(memory.take<std::int32_t>(steps_ * x.cols())),
        w_zero_columns_(memory.take<std::int32_t>(S::affine ? steps_ * x.cols() : 0)),
        x_zero_columns_(memory.take<std::int32_t>(A::affine ? steps_ * x.cols() : 0)),
        x_scales_(memory.take<float>(grouped ? steps_ * x.cols() : 0)),
        factors_(memory.take<float>(x.cols())),
        ones_(memory.take<std::uint32_t>(A::affine ? panels_.words() : 0)),
        scratch_(memory.take<PanelScratch>(parts)) {
    for (Index t = 0; t < x.shape().tiles.count; ++t) prepare(t);
    if (A::affine) std::fill_n(ones_, panels_.words(), ~std::uint32_t{0});
    for (Index i = 0; i < parts; ++i)
      scratch_[i] = {panels_.room(memory), memory.take<float>(w.layout().groups * lanes),
                     memory.take<float>(own_steps ? 0 : steps_ * lanes),
                     memory.take<std::int32_t>(S::affine ? steps_ * lanes : 0),
                     memory.take<std::int32_t>(A::affine ? steps_ * lanes : 0)};
  }

  /// Writes rows 16 begin .. 16 end of Y, as one of the parts.
  template <class Output> void panels(Index begin, Index end, Index part, const Output& output) const {
    const PanelScratch& scratch = scratch_[part];
    for (Index p = begin; p < end; ++p) {
      BinaryTile tile;
      load_panel(p, scratch, tile);
      // Few columns are done before the codes are looked through.
      const bool plain = op != BitOp::Ternary || x_.cols() < 4 || has_code_3(tile);
      for (Index t = 0; t < x_.shape().tiles.count; ++t) {
        alignas(alignment) float out[max_columns * lanes];
        const Index first = x_.shape().tiles.first(t), width = x_.shape().tiles.width(t);
        load_tile(t, tile);
        output.prefetch(p, first, width);
        tile.y = out;
        if (plain)
          BinaryDot<Tag, op == BitOp::Ternary ? BitOp::And : op, terms, grouped>::run(tile, static_cast<int>(width));
        else
          BinaryDot<Tag, op, terms, grouped>::run(tile, static_cast<int>(width));
        output.store(p, first, width, out);
      }
    }
  }

 private:
  using Panels = BitPanels<Tag, S>;
  static constexpr auto weights = Panels::weights;
  static constexpr bool grouped = A::group_inputs != 0;
  /// Whether each step has a group of W to itself.
  static constexpr bool own_steps = Cut::size == S::group_inputs;
  static constexpr bool reordered = Panels::width == 2 || Panels::width == 4;
  static constexpr int terms = (S::affine ? 1 : 0) + (A::affine ? 1 : 0);
  static constexpr BitOp op = X::bit_value == BitValue::Bipolar ? BitOp::Xor
                              : std::same_as<typename S::format, formats::Ternary> &&
                                      std::same_as<typename A::format, formats::Ternary> && terms == 0
                                  ? BitOp::Ternary
                                  : BitOp::And;
  static_assert(!S::affine || weights.unit == 1, "zero points are multiples of the unit");

  struct PanelScratch {
    typename Panels::Room planes;
    float* group_scales;
    float* scales;
    std::int32_t* zeros;
    std::int32_t* sums;
  };

  /// Inputs and words of step s.
  Index inputs(Index s) const { return std::min(Cut::size, w_.cols() - s * Cut::size); }
  Index words(Index s) const { return (inputs(s) + 31) / 32; }

  /// Words, starts, terms, scales and factors of a tile of X. With u the integers of X before their zero points z:
  ///
  ///     sum of (slope w - offset - w_zero) (u - z)
  ///         = slope sum of w u - offset sum of u - w_zero sum of u - z sum of (slope w - offset - w_zero)
  ///
  /// and for bipolar u of bits x, with 2^B - 1 of the bits of W and of X called a and b:
  ///
  ///     2 sum of (slope w - offset) u = slope (a b inputs - 2 count(w ^ x)) + (slope a - 2 offset) sum of u
  void prepare(Index t) {
    const auto& shape = x_.shape();
    const Index width = shape.tiles.width(t), first = shape.tiles.first(t);
    if constexpr (reordered) {
      std::uint32_t* out = words_ + first * shape.words() * X::planes;
      for (Index i = 0; i < width * shape.words() * X::planes; ++i) out[i] = Panels::ordered(x_.words(t)[i]);
    }
    constexpr int a = (1 << weights.bits) - 1;
    constexpr int b = (1 << X::planes) - 1;
    constexpr int halves = weights.slope * a - 2 * weights.offset;
    constexpr bool bipolar = op == BitOp::Xor;
    constexpr bool sums = S::affine || (bipolar ? halves : weights.offset) != 0;
    for (Index s = 0; s < steps_; ++s) {
      for (Index c = 0; c < width; ++c) {
        const Index at = first * steps_ + s * width + c;
        const Index sum = sums ? sum_of(t, s, c) : 0;
        const Index start =
            bipolar ? (Index{weights.slope} * a * b * inputs(s) + halves * sum) / 2 : -weights.offset * sum;
        starts_[at] = static_cast<std::int32_t>(start);
        if constexpr (S::affine) w_zero_columns_[at] = static_cast<std::int32_t>(-sum);
        const Index group = Cut::group_of(s, A::group_inputs);
        if constexpr (A::affine) x_zero_columns_[at] = -x_.zero(group, first + c);
        if constexpr (grouped) x_scales_[at] = x_.scale(group, first + c);
      }
    }
    for (Index c = 0; c < width; ++c) factors_[first + c] = (grouped ? 1 : x_.scale(0, first + c)) * weights.unit;
  }

  /// The sum of the integers of column c of tile t over step s.
  Index sum_of(Index t, Index s, Index c) const {
    const Index width = x_.shape().tiles.width(t);
    const std::uint32_t* x = x_.words(t) + s * (Cut::size / 32) * X::planes * width + c;
    Index sum = 0;
    for (int j = 0; j < X::planes; ++j) {
      Index count = 0;
      for (Index k = 0; k < words(s); ++k) count += std::popcount(x[(k * X::planes + j) * width]);
      const bool minus = X::bit_value == BitValue::Signed && j == X::planes - 1;
      sum += (minus ? -count : count) * (Index{1} << j);
    }
    return X::bit_value == BitValue::Bipolar ? 2 * sum - ((Index{1} << X::planes) - 1) * inputs(s) : sum;
  }

  /// Everything of BinaryTile that belongs to panel p.
  void load_panel(Index p, const PanelScratch& scratch, BinaryTile& tile) const {
    tile.w = panels_.planes(p, scratch.planes);
    tile.w_bits = weights.bits;
    tile.x_bits = X::planes;
    tile.x_signed = X::bit_value == BitValue::Signed;
    tile.slope = weights.slope;
    tile.words = panels_.words();
    tile.step = Cut::size / 32;
    panel_scales<Tag>(w_, p, true, scratch.group_scales);
    prefetch_scales(p + 1);
    tile.w_scales = own_steps ? scratch.group_scales : scratch.scales;
    for (Index s = 0; s < steps_ && (!own_steps || S::affine); ++s) {
      const Index group = Cut::group_of(s, S::group_inputs);
      if constexpr (!own_steps)
        std::memcpy(scratch.scales + s * lanes, scratch.group_scales + group * lanes, lanes * sizeof(float));
      if constexpr (S::affine) {
        for (Index r = 0; r < lanes; ++r)
          scratch.zeros[s * lanes + r] = w_.zeros()[w_.layout().scales.index(p * lanes + r, group)];
      }
    }
    if constexpr (S::affine) tile.term_rows[0] = scratch.zeros;
    if constexpr (A::affine) {
      sum_rows(scratch, tile);
      tile.term_rows[terms - 1] = scratch.sums;
    }
  }

  /// Asks for the scales of a panel, which lie apart from its codes, while the one before it is multiplied.
  void prefetch_scales(Index p) const {
    const Index count = w_.layout().groups * lanes;
    if (Layout<S>::per_tensor || p >= w_.layout().panels) return;
    const auto* scales = reinterpret_cast<const char*>(w_.scales() + p * count);
    for (Index at = 0; at < count * static_cast<Index>(sizeof(typename S::scale_code)); at += 64)
      __builtin_prefetch(scales + at);
  }

  /// The sums of the weights of each row, in units, over each step: a product with ones.
  void sum_rows(const PanelScratch& scratch, const BinaryTile& panel) const {
    for (Index s = 0; s < steps_; ++s) {
      BinaryTile tile = panel;
      for (const std::uint32_t*& w : tile.w)
        if (w != nullptr) w += s * (Cut::size / 32) * lanes;
      tile.x = ones_;
      tile.x_bits = 1;
      tile.x_signed = false;
      tile.words = words(s);
      std::int32_t* out = scratch.sums + s * lanes;
      tile.counts = out;
      BinaryCount<Tag, BitOp::And>::run(tile, 1);
      for (Index r = 0; r < lanes; ++r) {
        const Index zero = S::affine ? scratch.zeros[s * lanes + r] : 0;
        out[r] = static_cast<std::int32_t>(weights.slope * out[r] - inputs(s) * (weights.offset + zero));
      }
    }
  }

  /// Everything of BinaryTile that belongs to tile t of X.
  void load_tile(Index t, BinaryTile& tile) const {
    const Index first = x_.shape().tiles.first(t);
    tile.x = reordered ? words_ + first * x_.shape().words() * X::planes : x_.words(t);
    tile.starts = starts_ + first * steps_;
    if constexpr (S::affine) tile.term_columns[0] = w_zero_columns_ + first * steps_;
    if constexpr (A::affine) tile.term_columns[terms - 1] = x_zero_columns_ + first * steps_;
    tile.x_scales = x_scales_ + first * (grouped ? steps_ : 0);
    tile.factors = factors_ + first;
  }

  /// Ternary weights: whether any is the code that stands for 2. No quantizer chooses it, but a matrix may hold it.
  static bool has_code_3(const BinaryTile& tile) {
    std::uint64_t found = 0;
    for (Index i = 0; i < tile.words * lanes; i += 2) {
      std::uint64_t low, high;
      std::memcpy(&low, tile.w[0] + i, sizeof low);
      std::memcpy(&high, tile.w[1] + i, sizeof high);
      found |= low & high;
    }
    return found != 0;
  }

  const QuantizedMatrix<S>& w_;
  const X& x_;
  Panels panels_;
  Index steps_;
  std::uint32_t* words_;                                      // as X's, in the order of W's
  std::int32_t *starts_, *w_zero_columns_, *x_zero_columns_;  // [tile][step][column]
  float* x_scales_;                                           // [tile][step][column]
  float* factors_;                                            // [column]
  std::uint32_t* ones_;                                       // [word]
  PanelScratch* scratch_;                                     // [part]
};

/// How many of K bits differ between the rows of W and the columns of X.
template <class Tag, class S, class A> class BitDistances {
 public:
  BitDistances(const QuantizedMatrix<S>& w, const BitActivations<A>& x, Index parts, Scratch& memory)
      : x_(x), panels_(w), rooms_(memory.take<typename BitPanels<Tag, S>::Room>(parts)) {
    for (Index i = 0; i < parts; ++i) rooms_[i] = panels_.room(memory);
  }

  template <class Output> void panels(Index begin, Index end, Index part, const Output& output) const {
    for (Index p = begin; p < end; ++p) {
      std::int32_t counts[max_columns * lanes];
      BinaryTile tile;
      tile.w = panels_.planes(p, rooms_[part]);
      tile.w_bits = tile.x_bits = 1;
      tile.words = panels_.words();
      tile.counts = counts;
      for (Index t = 0; t < x_.shape().tiles.count; ++t) {
        tile.x = x_.words(t);
        const Index width = x_.shape().tiles.width(t);
        BinaryCount<Tag, BitOp::Xor>::run(tile, static_cast<int>(width));
        output.store(p, x_.shape().tiles.first(t), width, counts);
      }
    }
  }

 private:
  const BitActivations<A>& x_;
  BitPanels<Tag, S> panels_;
  typename BitPanels<Tag, S>::Room* rooms_;
};

}  // namespace kernels

/// Y = W * X for activations in bits: bit by bit, by logic and counts, where the values of W's format are small
/// integers times a unit. Sums within each group of W and of X are exact, scales are applied in float. The work is that
/// of one binary product for each pair of a bit of W and a bit of X; two ternary operands take two. Other formats
/// multiply the dequantized X, allocated by each call, in float arithmetic. Same bits on every instruction set and
/// number of threads. Shapes and errors as for other products. Groups of W are multiples of 32 inputs. The counts are
/// exact for any K: it is cut where sums could reach 2^31 (2^30 inputs of binary operands, 2^15 of two of 8 bits).
template <class S, class A, unsigned Baseline = isa::baseline>
void gemm(const QuantizedMatrix<S>& w, const BitActivations<A>& x, Eigen::Ref<Eigen::MatrixXf> y,
          const GemmOptions& options = {}, const Epilogue& epilogue = {}) {
  if constexpr (!kernels::has_bits<typename S::format>) {
    gemm(w, x.dequantize(), y, options, epilogue);
  } else {
    kernels::check_product<float>(w, x.rows(), x.cols(), {x.words(0), x.bytes()}, y, options);
    kernels::check_epilogue(epilogue, y);
    const kernels::FloatOutput<Baseline> output{y.data(), y.outerStride(), y.rows(), epilogue};
    dispatch(resolve(options.isa), [&](auto tag) {
      if (w.cols() == 0) return output.store_zeros(y.cols());
      Scratch memory("gemm", options.workspace);
      const kernels::BinaryProduct<decltype(tag), S, A> product(w, x, kernels::part_count(w.rows(), options.threads),
                                                                memory);
      kernels::run_product(product, w.rows(), output, {options.threads, options.executor});
    });
  }
}

/// W * X over bits, with default options.
template <class S, class A, unsigned Baseline = isa::baseline>
Eigen::MatrixXf operator*(const QuantizedMatrix<S>& w, const BitActivations<A>& x) {
  Eigen::MatrixXf y(w.rows(), x.cols());
  gemm(w, x, y);
  return y;
}

/// The N x M Hamming distances between rows of W and columns of X, both of one bit: how many of their K bits differ.
/// Scales play no part, but groups of W must be multiples of 4 inputs. Throws std::invalid_argument where K differs, on
/// fewer than 1 thread and on an instruction set that the CPU lacks.
template <class S, class A, unsigned Baseline = isa::baseline>
  requires(S::format::bits == 1 && A::format::bits == 1 && S::panel_rows == kernels::lanes && S::group_inputs % 4 == 0)
Eigen::MatrixXi hamming_distances(const QuantizedMatrix<S>& w, const BitActivations<A>& x,
                                  const GemmOptions& options = {}) {
  kernels::check_options("hamming_distances", options);
  if (x.rows() != w.cols())
    invalid("hamming_distances", text("X with the ", w.cols(), " rows that W has columns"),
            text(x.rows(), " x ", x.cols()));
  Eigen::MatrixXi distances = Eigen::MatrixXi::Zero(w.rows(), x.cols());
  dispatch(resolve(options.isa), [&](auto tag) {
    if (w.cols() == 0) return;
    Scratch memory("hamming_distances", options.workspace);
    const kernels::BitDistances<decltype(tag), S, A> product(w, x, kernels::part_count(w.rows(), options.threads),
                                                             memory);
    kernels::run_product(product, w.rows(),
                         kernels::IntegerOutput<Baseline>{distances.data(), distances.outerStride(), distances.rows()},
                         {options.threads, options.executor});
  });
  return distances;
}

}  // namespace nibble
