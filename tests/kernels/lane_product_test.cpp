// Products that hand errors on: bit for bit the same on every instruction set, and the sum that they claim to be.
#include <gtest/gtest.h>
#include <nibble/nibble.h>

#include <random>

namespace nibble {
namespace {

constexpr Index lane = kernels::lane_rows, width = kernels::lane_cols;

struct Operands {
  Index positions;
  AlignedArray<float> factor, errors, targets;
  explicit Operands(Index k)
      : positions(k),
        factor(static_cast<std::size_t>(round_up(k, width) * k)),
        errors(static_cast<std::size_t>(k * lane)),
        targets(static_cast<std::size_t>(k * lane)) {
    std::mt19937 random(5);
    std::normal_distribution<float> draw;
    for (auto* array : {&factor, &errors, &targets})
      for (std::size_t i = 0; i < array->size(); ++i) (*array)[i] = draw(random);
  }
  const float* tile(Index p) const { return factor.data() + p / width * width * positions; }
  float l(Index q, Index p) const { return tile(p)[q * width + p % width]; }
};

TEST(LaneProduct, IsTheSumOnEveryInstructionSet) {
  constexpr Index k = 61;
  const Operands in(k);
  for (const auto& [from, to, first, last] : {std::array<Index, 4>{0, 0, 0, 61},
                                              {0, 1, 1, 2},
                                              {0, 16, 16, 32},
                                              {0, 17, 17, 61},
                                              {5, 23, 23, 24},
                                              {3, 40, 41, 60},
                                              {0, 8, 8, 16},
                                              {7, 8, 8, 61}}) {
    std::vector<float> portable;
    for (Isa isa : {Isa::Portable, Isa::Avx2, Isa::Avx512}) {
      const auto isas = available_isas();
      if (std::find(isas.begin(), isas.end(), isa) == isas.end()) continue;
      SCOPED_TRACE(text(name(isa), ": ", from, " .. ", to, " to ", first, " .. ", last));
      Operands out(k);
      float* const targets = out.targets.data();
      kernels::feed_back(
          isa, [&](Index p) { return in.tile(p); }, in.errors.data(), from, to, first, last, targets);
      for (Index p = 0; p < k; ++p) {
        for (Index r = 0; r < lane; ++r) {
          const auto before = static_cast<double>(in.targets[static_cast<std::size_t>(p * lane + r)]);
          double exact = before, size = std::abs(before);
          for (Index q = from; q < to && p < last - first; ++q) {
            const double term = static_cast<double>(in.errors[static_cast<std::size_t>(q * lane + r)]) *
                                static_cast<double>(in.l(q, first + p));
            exact += term;
            size += std::abs(term);
          }
          ASSERT_NEAR(targets[p * lane + r], exact, size * 6e-8 * static_cast<double>(to - from));
        }
      }
      if (isa == Isa::Portable) portable.assign(targets, targets + k * lane);
      EXPECT_TRUE(std::equal(portable.begin(), portable.end(), targets));
    }
  }
}

TEST(LaneProduct, DoesNotDependOnHowItIsCut) {
  constexpr Index k = 40;
  const Operands in(k);
  for (Isa isa : available_isas()) {
    Operands once(k), often(k);
    const auto tile = [&](Index p) { return in.tile(p); };
    kernels::feed_back(isa, tile, in.errors.data(), 0, 20, 20, 40, once.targets.data());
    for (const auto& [from, to] : {std::pair<Index, Index>{0, 1}, {1, 9}, {9, 20}})
      for (Index p = 20; p < 40; p += 4)
        kernels::feed_back(isa, tile, in.errors.data(), from, to, p, p + 4, often.targets.data() + (p - 20) * lane);
    EXPECT_TRUE(std::equal(once.targets.data(), once.targets.data() + k * lane, often.targets.data()));
  }
}

TEST(LaneProduct, OfDoublesIsTheSumOnEveryInstructionSet) {
  constexpr Index rows = kernels::lane_rows_of<double>;
  static_assert(rows == 24);
  for (Index depth : {0, 1, 7, 97}) {
    std::mt19937 random(6);
    std::normal_distribution<double> draw;
    AlignedArray<double> left(static_cast<std::size_t>(depth * rows)), start(static_cast<std::size_t>(width * rows));
    std::vector<double> right(static_cast<std::size_t>(depth * width));
    for (std::size_t i = 0; i < left.size(); ++i) left[i] = draw(random);
    for (std::size_t i = 0; i < start.size(); ++i) start[i] = draw(random);
    for (double& x : right) x = draw(random);
    for (Isa isa : available_isas()) {
      AlignedArray<double> out(start.size());
      std::copy_n(start.data(), start.size(), out.data());
      dispatch(isa, [&](auto tag) {
        kernels::LaneProduct<decltype(tag)>::template run<static_cast<int>(width)>(right.data(), left.data(), depth,
                                                                                   out.data());
      });
      for (Index c = 0; c < width; ++c) {
        for (Index r = 0; r < rows; ++r) {
          double exact = start[static_cast<std::size_t>(c * rows + r)];
          for (Index q = 0; q < depth; ++q)
            exact = std::fma(left[static_cast<std::size_t>(q * rows + r)],
                             right[static_cast<std::size_t>(q * width + c)], exact);
          ASSERT_EQ(out[static_cast<std::size_t>(c * rows + r)], exact) << name(isa) << ' ' << depth;
        }
      }
    }
  }
}

}  // namespace
}  // namespace nibble
