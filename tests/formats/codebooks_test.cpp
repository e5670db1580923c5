// Fixed tables against golden ones, learned codebooks against the search of all levels.
#include "nibble/formats/codebook.h"

#include "formats/golden_levels.h"
#include "nibble/formats/integer_view.h"
#include "nibble/formats/tables_4bit.h"

namespace nibble::formats {
namespace {

static_assert(Format<AF4> && Format<BnbFp4> && Format<Iq4Nl> && Format<Codebook<1>> && Format<Codebook<8>>);
template <int B> constexpr bool has_codebook = requires {
  typename Codebook<B>;
};
static_assert(!has_codebook<0> && has_codebook<8> && !has_codebook<9>);
static_assert(AF4::encode(1.0f) == 0 && AF4::decode(8) == 0);
static_assert(BnbFp4::decode(3) == 1 && BnbFp4::encode(-1.0f) == 11);
static_assert(Iq4Nl::max() == 127 && has_integer_view<Iq4Nl>);

TEST(FixedTables, AreThoseOfTheirSoftware) {
  test::expect_golden_levels<AF4>("af4");
  test::expect_golden_levels<BnbFp4>("bnb_fp4");
  test::expect_golden_levels<Iq4Nl>("iq4nl");
}

TEST(FixedTables, EncodeToTheNearestLevel) {
  test::expect_nearest<AF4>();
  test::expect_nearest<BnbFp4>();
  test::expect_nearest<Iq4Nl>();
}

TEST(FixedTables, TheSecondZeroIsNeverChosen) {
  EXPECT_EQ(BnbFp4::decode(8), 0);
  for (float x : test::every_half()) EXPECT_NE(BnbFp4::encode(x), 8) << x;
}

TEST(FixedTables, BlockErrorOnNormalSamples) {
  // Order-statistic integrals of REFERENCE, section 1.
  EXPECT_NEAR(test::block_error<AF4>(32, 40000), 0.008215, 0.01 * 0.008215);
  EXPECT_NEAR(test::block_error<AF4>(64, 20000), 0.009151, 0.01 * 0.009151);
  EXPECT_NEAR(test::block_error<BnbFp4>(32, 40000), 0.013026, 0.01 * 0.013026);
  EXPECT_NEAR(test::block_error<BnbFp4>(64, 20000), 0.014870, 0.01 * 0.014870);
}

TEST(FixedTables, HaveNames) {
  EXPECT_EQ(AF4::name(), "af4");
  EXPECT_EQ(BnbFp4::name(), "bnb_fp4");
  EXPECT_EQ(Iq4Nl::name(), "iq4nl");
  EXPECT_EQ(Codebook<3>::name(), "codebook3");
}

/// 2^B ascending levels, multiples of 2^-10, from -1 on; with `repeats`, some are equal.
template <int B> std::vector<float> random_table(std::uint64_t seed, bool repeats) {
  const Random random(seed);
  std::vector<float> table;
  float level = -1;
  for (std::uint64_t i = 0; i < std::uint64_t{1} << B; ++i) {
    table.push_back(level);
    level += static_cast<float>(random.bits(i) % 7 + (repeats ? 0 : 1)) / 1024;
  }
  return table;
}

template <int B> void expect_codebook_encodes() {
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    for (bool repeats : {false, true}) {
      const std::vector<float> table = random_table<B>(seed, repeats);
      for (float x : oracle::telling_inputs(table)) {
        const unsigned code = Codebook<B>::encode(x, table.data());
        const unsigned expected = oracle::nearest_level(table, x);
        // Which of equal levels is named is left open, and with it which of two equally near ones is chosen.
        const bool as_near = repeats && std::abs(static_cast<double>(x) - static_cast<double>(table[code])) ==
                                            std::abs(static_cast<double>(x) - static_cast<double>(table[expected]));
        ASSERT_TRUE(code == expected || as_near) << text(B, " bits, ", std::hexfloat, x, ": ", code, ", ", expected);
      }
    }
  }
}

TEST(Codebook, EncodesToTheNearestLevel) {
  expect_codebook_encodes<1>();
  expect_codebook_encodes<2>();
  expect_codebook_encodes<3>();
  expect_codebook_encodes<4>();
  expect_codebook_encodes<5>();
  expect_codebook_encodes<6>();
  expect_codebook_encodes<7>();
  expect_codebook_encodes<8>();
}

TEST(Codebook, TiesGoToTheEvenCodeAndFarValuesToTheEnds) {
  constexpr float table[] = {-1, -0.5f, 0.5f, 0.75f};
  static_assert(Codebook<2>::encode(0.5f, table) == 2);
  EXPECT_EQ(Codebook<2>::encode(-0.75f, table), 0);
  EXPECT_EQ(Codebook<2>::encode(0.0f, table), 2);
  EXPECT_EQ(Codebook<2>::encode(-0.0f, table), 2);
  EXPECT_EQ(Codebook<2>::encode(0.625f, table), 2);
  const float infinity = std::numeric_limits<float>::infinity();
  constexpr float most = std::numeric_limits<float>::max();
  for (float x : {1.0f, most, infinity}) {
    EXPECT_EQ(Codebook<2>::encode(x, table), 3);
    EXPECT_EQ(Codebook<2>::encode(-x, table), 0);
  }
  EXPECT_EQ(Codebook<2>::encode(std::numeric_limits<float>::quiet_NaN(), table), 0);
  constexpr float wide[] = {-most, most};
  EXPECT_EQ(Codebook<1>::encode(0.0f, wide), 0);
  EXPECT_EQ(Codebook<1>::encode(1e-45f, wide), 1);
  EXPECT_EQ(Codebook<1>::max(), 1);
}

std::vector<float> normal_values(std::size_t count) {
  std::vector<float> values;
  for (std::size_t i = 0; i < count; ++i) values.push_back(static_cast<float>(test::normal_sample(i)) / 5);
  return values;
}

template <int B> double code_error(const std::vector<float>& values, const float* table) {
  double sum = 0;
  for (float x : values) {
    const float e = Codebook<B>::decode(Codebook<B>::encode(x, table), table) - x;
    sum += static_cast<double>(e * e);
  }
  return sum;
}

TEST(Codebook, FitsTheLeastErrorToARowAndAGoodOneToMore) {
  for (std::size_t count : {1u, 15u, 100u, 4096u, 30000u}) {
    const std::vector<float> values = normal_values(count);
    const auto n = static_cast<std::ptrdiff_t>(count);
    float table[16], least[16];
    Codebook<4>::fit(values.data(), nullptr, n, table);
    check_codebook(table, 16);
    kmeans_1d(values.data(), nullptr, n, least, 16, {.optimum = Optimum::Global});
    if (count <= 4096)
      EXPECT_TRUE(std::equal(table, table + 16, least)) << count;
    else
      EXPECT_LE(code_error<4>(values, table), 1.05 * code_error<4>(values, least)) << count;
  }
}

TEST(Codebook, FitHeedsWeights) {
  const float values[] = {0, 1, 2, 10};
  float table[2];
  Codebook<1>::fit(values, nullptr, 4, table);
  EXPECT_EQ(table[0], 1);
  EXPECT_EQ(table[1], 10);
  const float weights[] = {100, 100, 300, 0.5f};
  Codebook<1>::fit(values, weights, 4, table);
  EXPECT_EQ(table[0], 0.5f);
  EXPECT_NEAR(table[1], 605 / 300.5f, 1e-6f);
}

std::string message_of(const std::vector<float>& table) {
  try {
    check_codebook(table.data(), static_cast<std::ptrdiff_t>(table.size()));
  } catch (const std::invalid_argument& e) {
    return e.what();
  }
  return "legal";
}

TEST(Codebook, CheckNamesWhatIsWrong) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(message_of({}), "nibble::check_codebook: expected at least one level, got 0");
  EXPECT_EQ(message_of({1, 2, nan}), "nibble::check_codebook: expected finite levels, got nan at 2");
  EXPECT_EQ(message_of({nan}), "nibble::check_codebook: expected finite levels, got nan at 0");
  EXPECT_EQ(message_of({-infinity, 0}), "nibble::check_codebook: expected finite levels, got -inf at 0");
  EXPECT_EQ(message_of({0, infinity}), "nibble::check_codebook: expected finite levels, got inf at 1");
  EXPECT_EQ(message_of({0, 0.5f, 0.25f}),
            "nibble::check_codebook: expected levels in ascending order, got 0.25 after 0.5 at 2");
  EXPECT_EQ(message_of({0}), "legal");
  EXPECT_EQ(message_of({-1, 0, 0, 1}), "legal");
}

}  // namespace
}  // namespace nibble::formats
