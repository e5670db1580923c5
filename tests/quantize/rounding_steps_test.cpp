// Rounding as a step function against encode and decode, and the fast error against the slow one.
#include <gtest/gtest.h>

#include "formats/golden.h"
#include "quantize/random_weights.h"

namespace nibble {
namespace {

/// Rounds toward zero: no nearest values, yet steps.
struct Truncated {
  using code_type = std::uint8_t;
  static constexpr int bits = 4;
  static constexpr float max() { return 7; }
  static constexpr float decode(code_type c) { return static_cast<float>(c) - 8; }
  static constexpr code_type encode(float x) {
    return static_cast<code_type>(static_cast<int>(x > 7 ? 7.0f : x < -7 ? -7.0f : x) + 8);
  }
};

using Both = formats::BestOf<formats::E4M3FN, formats::Int<8>>;

template <Format F> void check(int choice = 0) {
  SCOPED_TRACE(text(format_name<F>(), ", choice ", choice));
  const RoundingSteps& steps = rounding_steps<F>(choice);
  ASSERT_EQ(steps.values().size(), steps.edges().size() + 1);
  const Side side{nullptr, choice};
  int wrong = 0;
  const auto expect = [&](float x) {
    if (std::isnan(x)) return;
    float value = 0;
    decode_to<F>(encode_from<F>(&x, side), side, &value);
    if (std::isinf(x) && !std::isfinite(value)) return;  // no finite value is meant
    if (steps.round(x) != value && ++wrong < 5) ADD_FAILURE() << x << ": " << steps.round(x) << ", not " << value;
  };
  for (float x : test::every_half()) expect(x);
  const float infinity = std::numeric_limits<float>::infinity();
  for (float x : {1e-45f, 1e-30f, 1e10f, std::numeric_limits<float>::max(), infinity}) {
    expect(x);
    expect(-x);
  }
  for (float edge : steps.edges()) {
    for (float x : {edge, std::nextafter(edge, infinity), std::nextafter(edge, -infinity)}) expect(x);
  }
  EXPECT_EQ(wrong, 0);
}

TEST(RoundingSteps, RoundAsEncodeDoes) {
  check<formats::Int<1>>();
  check<formats::Int<4>>();
  check<formats::Int<8>>();
  check<formats::UInt<3>>();
  check<formats::UInt<8>>();
  check<formats::E2M1>();
  check<formats::E4M3FN>();
  check<formats::E5M2>();
  check<formats::MiniFloat<3, 0>>();
  check<Truncated>();
  check<Both>(0);
  check<Both>(1);
}

TEST(RoundingSteps, KnowIntegers) {
  EXPECT_EQ(rounding_steps<formats::Int<4>>().unit(), 1);
  EXPECT_EQ(rounding_steps<formats::UInt<8>>().unit(), 1);
  EXPECT_EQ(rounding_steps<formats::Int<4>>().values().size(), 15u);
  EXPECT_EQ(rounding_steps<formats::E2M1>().unit(), 0);
  EXPECT_EQ(rounding_steps<Truncated>().unit(), 0);
  EXPECT_EQ(rounding_steps<Both>(0).unit(), 0);
  EXPECT_EQ(rounding_steps<Both>(1).unit(), 1);
}

template <class S> void check_errors() {
  SCOPED_TRACE(S::name());
  for (Index k : {1, 16, 63, 64, 65, 200}) {
    const RowMajorMatrixXf w = test::gaussian(1, k, 3);
    const RowMajorMatrixXf weights = test::uniform(1, k, 4).cwiseAbs();
    const std::span<const float> group = test::row(w, 0);
    Quantizer<S> quantizer;
    const RoundingSteps& steps = rounding_steps<typename S::format>();
    for (float part : {0.0f, 0.3f, 1.0f, 1.7f}) {
      const Range whole = MinMax::range(group);
      const auto p = quantizer.params({whole.low * part, whole.high * part});
      for (double power : {2.0, 1.0, 0.7, 3.0}) {
        for (bool counted : {false, true}) {
          const std::span<const float> counts = counted ? test::row(weights, 0) : std::span<const float>();
          const double slow = quantizer.error(group, p, power, counts);
          const double fast = fast_error(steps, group, counts, p.zero, p.scale, power, 1e30);
          EXPECT_NEAR(fast, slow, 2e-5 * slow + 1e-9) << k << ", " << part << ", " << power << ", " << counted;
          EXPECT_GT(quantizer.error(group, p, power, counts, slow * 0.5) + 1e-30, slow * 0.5);
          double naive = 0;
          for (Index j = 0; j < k; ++j) {
            float value = 0;
            const auto code = quantizer.encode(&w(0, j), p);
            quantizer.decode(code, p, &value);
            naive += std::pow(std::abs(static_cast<double>(w(0, j)) - static_cast<double>(value)), power) *
                     (counted ? static_cast<double>(weights(0, j)) : 1.0);
          }
          EXPECT_NEAR(slow, naive, 1e-12 * naive);
        }
      }
    }
  }
}

TEST(RoundingSteps, GiveTheErrorOfTheQuantizer) {
  check_errors<Int<4>>();
  check_errors<Int<8>>();
  check_errors<UInt<4>>();
  check_errors<Scheme<formats::E4M3FN>>();
  check_errors<Scheme<formats::E2M1>>();
  check_errors<Scheme<Truncated>>();
}

}  // namespace
}  // namespace nibble
