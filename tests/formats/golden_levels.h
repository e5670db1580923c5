// Formats given by levels, held against golden tables and against the search of all levels.
#pragma once

#include "formats/golden.h"
#include "nibble/core/random.h"
#include "oracle/nearest_level.h"

namespace nibble::test {

/// The values of all codes of F.
template <Format F> std::vector<float> values_of() {
  std::vector<float> values;
  for (std::uint32_t c = 0; c < code_count<F>; ++c) values.push_back(F::decode(static_cast<typename F::code_type>(c)));
  return values;
}

/// F encodes `inputs` as `lower` and `upper` say where these agree; else, at a tie, as the one that is even, if one is.
template <Format F>
void expect_between(const std::vector<float>& inputs, const std::vector<std::uint32_t>& lower,
                    const std::vector<std::uint32_t>& upper, int* ties) {
  ASSERT_EQ(inputs.size(), lower.size());
  ASSERT_EQ(inputs.size(), upper.size());
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (std::isnan(inputs[i])) continue;
    *ties += lower[i] != upper[i];
    const std::uint32_t even = lower[i] % 2 == 0 ? lower[i] : upper[i];
    ASSERT_EQ(static_cast<std::uint32_t>(F::encode(inputs[i])), even) << std::hexfloat << inputs[i];
  }
}

/// F is the golden codebook `name`: all values; codes of every half and around every boundary.
template <Format F> void expect_golden_levels(const std::string& name) {
  SCOPED_TRACE(name);
  expect_golden_values<F>(name);
  int ties = 0;
  for (const std::string table : {".half", ".edge"}) {
    const auto inputs = table == ".half" ? every_half() : golden_floats(name + ".edge_x");
    expect_between<F>(inputs, golden(name + table + ".lower"), golden(name + table + ".upper"), &ties);
  }
  EXPECT_GT(ties, 0) << "the tables should have ties";
}

/// F encodes telling inputs and every 16-bit half to the nearest of its levels; infinities saturate; NaN goes
/// somewhere.
template <Format F> void expect_nearest() {
  SCOPED_TRACE(format_name<F>());
  const std::vector<float> values = values_of<F>();
  std::vector<float> inputs = oracle::telling_inputs(values);
  const std::vector<float> halves = every_half();
  for (std::size_t i = 0; i < halves.size(); i += 7) inputs.push_back(halves[i]);
  for (float x : inputs) {
    if (!std::isfinite(x)) continue;
    ASSERT_EQ(static_cast<unsigned>(F::encode(x)), oracle::nearest_level(values, x)) << std::hexfloat << x;
  }
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(F::encode(infinity), F::encode(std::numeric_limits<float>::max()));
  EXPECT_EQ(F::encode(-infinity), F::encode(std::numeric_limits<float>::lowest()));
  EXPECT_LT(F::encode(std::numeric_limits<float>::quiet_NaN()), code_count<F>);
  float most = 0;
  for (float v : values) most = std::max(most, std::abs(v));
  EXPECT_EQ(F::max(), most);
}

/// Number `index` of a fixed sequence of samples of N(0, 1).
inline double normal_sample(std::uint64_t index, std::uint64_t seed = 0) {
  const Random random(seed);
  const double u = (static_cast<double>(random.bits(2 * index)) + 0.5) / 4294967296.0;
  const double v = static_cast<double>(random.bits(2 * index + 1)) / 4294967296.0;
  return std::sqrt(-2 * std::log(u)) * std::cos(2 * 3.14159265358979324 * v);
}

/// The mean squared error of `blocks` blocks of `size` normal samples, each scaled by its largest magnitude.
template <Format F> double block_error(int size, int blocks) {
  double sum = 0;
  std::vector<float> block(static_cast<std::size_t>(size));
  std::uint64_t index = 0;
  for (int b = 0; b < blocks; ++b) {
    float most = 0;
    for (float& x : block) {
      x = static_cast<float>(normal_sample(index++));
      most = std::max(most, std::abs(x));
    }
    const float scale = most / F::max();
    for (float x : block) {
      const double e = static_cast<double>(F::decode(F::encode(x / scale)) * scale - x);
      sum += e * e;
    }
  }
  return sum / static_cast<double>(index);
}

}  // namespace nibble::test
