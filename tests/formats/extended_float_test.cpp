// BitMoD's formats: the values that the paper lists, nearest by trial, and the choice per group.
#include "nibble/formats/extended_float.h"

#include <gtest/gtest.h>

#include "nibble/matrix.h"
#include "nibble/metrics.h"
#include "nibble/quantize.h"

namespace nibble {
namespace {

using formats::ExtendedFloat;

template <class F> void expect_values(std::vector<float> expected) {
  std::vector<float> values;
  for (std::uint32_t c = 0; c < code_count<F>; ++c) values.push_back(F::decode(static_cast<std::uint8_t>(c)));
  std::sort(values.begin(), values.end());
  std::sort(expected.begin(), expected.end());
  EXPECT_EQ(values, expected) << F::name();
  for (int i = -400; i <= 400; ++i) {
    const float x = static_cast<float>(i) * 0.0237f;
    double least = std::numeric_limits<double>::infinity();
    for (float v : values) least = std::min(least, std::abs(static_cast<double>(v) - static_cast<double>(x)));
    const double found = std::abs(static_cast<double>(F::decode(F::encode(x))) - static_cast<double>(x));
    EXPECT_EQ(found, least) << F::name() << ' ' << x;
  }
}

TEST(ExtendedFloat, Values) {
  const std::vector<float> fp4 = {-6, -4, -3, -2, -1.5f, -1, -0.5f, 0, 0.5f, 1, 1.5f, 2, 3, 4, 6};
  const std::vector<float> fp3 = {-4, -2, -1, 0, 1, 2, 4};
  const auto with = [](std::vector<float> values, float extra) { return values.push_back(extra), values; };
  expect_values<ExtendedFloat<4, 5>>(with(fp4, 5));
  expect_values<ExtendedFloat<4, -5>>(with(fp4, -5));
  expect_values<ExtendedFloat<4, 8>>(with(fp4, 8));
  expect_values<ExtendedFloat<4, -8>>(with(fp4, -8));
  expect_values<ExtendedFloat<3, 3>>(with(fp3, 3));
  expect_values<ExtendedFloat<3, -3>>(with(fp3, -3));
  expect_values<ExtendedFloat<3, 6>>(with(fp3, 6));
  expect_values<ExtendedFloat<3, -6>>(with(fp3, -6));
  EXPECT_EQ((ExtendedFloat<4, -8>::max()), 8);
  EXPECT_EQ((ExtendedFloat<3, 3>::max()), 4);
}

// Chosen per group, never worse than any of the four, and better than FP4 without the extra value.
TEST(BitMod, IsTheBestOfItsChoices) {
  const Random random(4);
  const Eigen::MatrixXf w = Eigen::MatrixXf::NullaryExpr(32, 256, [&](Index i, Index j) {
    const float u = random.uniform(static_cast<std::uint64_t>(j), static_cast<std::uint64_t>(i)) - 0.5f;
    return u * u * u + 0.02f * static_cast<float>(j % 64 == 0);
  });
  const auto error = [&](const auto& q) { return compare(w, q).relative_error; };
  const double best = error(quantize<BitMod<4, Group<64>>>(w, MinimalError{}));
  const auto one = [&]<class F>() { return error(quantize<Scheme<F, Group<64>>>(w, MinimalError{})); };
  EXPECT_LE(best, (one.operator()<ExtendedFloat<4, 5>>()));
  EXPECT_LE(best, (one.operator()<ExtendedFloat<4, -5>>()));
  EXPECT_LE(best, (one.operator()<ExtendedFloat<4, 8>>()));
  EXPECT_LE(best, (one.operator()<ExtendedFloat<4, -8>>()));
  EXPECT_LT(best, (one.operator()<formats::E2M1>()));
  EXPECT_LT(error(quantize<BitMod<3, Group<64>>>(w, MinimalError{})),
            error(quantize<Int<3, Group<64>>>(w, MinimalError{})));
}

}  // namespace
}  // namespace nibble
