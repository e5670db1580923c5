// The golden tables of tests/golden/formats, and formats held against them. See tests/golden/make_formats.py.
#pragma once

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "nibble/formats/format.h"
#include "nibble/io/npy.h"

namespace nibble::test {

inline std::filesystem::path golden_path(const std::string& name) {
  return std::filesystem::path(NIBBLE_TEST_DATA_DIR) / "formats" / (name + ".npy");
}
inline bool has_golden(const std::string& name) {
  return std::filesystem::exists(golden_path(name));
}

/// The integers of golden/formats/<name>.npy; of a 2-D array, column after column.
inline std::vector<std::uint32_t> golden(const std::string& name) {
  const auto array = read_npy<std::uint32_t>(golden_path(name));
  return {array.data(), array.data() + array.size()};
}

/// The floats whose bits golden/formats/<name>.npy holds.
inline std::vector<float> golden_floats(const std::string& name) {
  std::vector<float> values;
  for (std::uint32_t bits : golden(name)) values.push_back(std::bit_cast<float>(bits));
  return values;
}

/// The value of every IEEE half, indexed by its bits; NaNs keep their sign.
inline std::vector<float> every_half() {
  std::vector<float> values;
  for (std::uint32_t bits = 0; bits < 65536; ++bits)
    values.push_back(static_cast<float>(std::bit_cast<Eigen::half>(static_cast<std::uint16_t>(bits))));
  return values;
}

/// decode(code) is `values[code]`, bit for bit, for every code; any NaN is as good as another.
template <class Decode> void expect_values(const std::vector<float>& values, const Decode& decode) {
  int wrong = 0;
  for (std::size_t code = 0; code < values.size(); ++code) {
    const float got = decode(static_cast<std::uint32_t>(code));
    const bool same = std::isnan(values[code])
                          ? std::isnan(got)
                          : std::bit_cast<std::uint32_t>(got) == std::bit_cast<std::uint32_t>(values[code]);
    if (!same && ++wrong <= 5) ADD_FAILURE() << "code " << code << ": expected " << values[code] << ", got " << got;
  }
  EXPECT_EQ(wrong, 0) << "of " << values.size() << " codes";
}

/// encode(inputs[i]) is `codes[i]` for every input.
template <class Encode>
void expect_codes(const std::vector<float>& inputs, const std::vector<std::uint32_t>& codes, const Encode& encode) {
  ASSERT_EQ(inputs.size(), codes.size());
  int wrong = 0;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const std::uint32_t got = encode(inputs[i]);
    if (got != codes[i] && ++wrong <= 5)
      ADD_FAILURE() << text(std::hexfloat, inputs[i], " (bits ", std::hex, std::bit_cast<std::uint32_t>(inputs[i]),
                            "): expected code ", codes[i], ", got ", got);
  }
  EXPECT_EQ(wrong, 0) << "of " << inputs.size() << " inputs";
}

/// F decodes as <name>.decode says, for all codes.
template <Format F> void expect_golden_values(const std::string& name) {
  SCOPED_TRACE(name);
  const std::vector<float> values = golden_floats(name + ".decode");
  ASSERT_EQ(values.size(), code_count<F>);
  expect_values(values, [](std::uint32_t code) { return F::decode(static_cast<typename F::code_type>(code)); });
}

/// `encode` codes the edge inputs and every half as <name>.edge.<rounding> and, where there is such a file,
/// <name>.half.<rounding> say. Where only half.standard is there, half.saturate equals it.
template <class Encode>
void expect_golden_codes(const std::string& name, const std::string& rounding, const Encode& encode) {
  SCOPED_TRACE(name + ", " + rounding);
  expect_codes(golden_floats(name + ".edge_x"), golden(name + ".edge." + rounding), encode);
  const std::string half = name + ".half.";
  if (has_golden(half + rounding))
    expect_codes(every_half(), golden(half + rounding), encode);
  else if (rounding == "saturate")
    expect_codes(every_half(), golden(half + "standard"), encode);
}

}  // namespace nibble::test
