// Weighted k-means on a line against all partitions, a naive dynamic program, and what it promises of itself.
#include "nibble/formats/kmeans.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

#include "formats/golden_levels.h"

namespace nibble::formats {
namespace {

struct Samples {
  std::vector<float> values, weights;
  std::ptrdiff_t count() const { return static_cast<std::ptrdiff_t>(values.size()); }
};

/// Values of a lopsided density, some of them equal, with weights from 0.25 to 8 that are sums of powers of two.
Samples random_samples(std::size_t count, std::uint64_t seed) {
  const Random random(seed);
  Samples s;
  for (std::size_t i = 0; i < count; ++i) {
    const float u = random.uniform(2 * i) - 0.3f;
    s.values.push_back(random.bits(2 * i, 1) % 5 == 0 ? 0.125f : u * u * u);
    s.weights.push_back(0.25f * static_cast<float>(1 + random.bits(2 * i + 1) % 32));
  }
  return s;
}

struct Fit {
  std::vector<float> levels;
  KMeansResult result;
};

Fit fit(const Samples& s, int k, const KMeansOptions& options = {}) {
  Fit f{std::vector<float>(static_cast<std::size_t>(k), -77.0f), {}};
  f.result = kmeans_1d(s.values.data(), s.weights.empty() ? nullptr : s.weights.data(), s.count(), f.levels.data(), k,
                       options);
  return f;
}

Fit global(const Samples& s, int k) {
  return fit(s, k, {.optimum = Optimum::Global});
}

double weight_of(const Samples& s, std::size_t i) {
  return s.weights.empty() ? 1 : static_cast<double>(s.weights[i]);
}

/// The error of coding the samples with the nearest of `levels`.
double naive_error(const Samples& s, const std::vector<float>& levels) {
  double sum = 0;
  for (std::size_t i = 0; i < s.values.size(); ++i) {
    double least = std::numeric_limits<double>::infinity();
    for (float level : levels) {
      const double e = static_cast<double>(s.values[i]) - static_cast<double>(level);
      least = std::min(least, e * e);
    }
    sum += weight_of(s, i) * least;
  }
  return sum;
}

/// The samples in ascending order.
Samples sorted(const Samples& s) {
  std::vector<std::size_t> order(s.values.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return s.values[a] < s.values[b]; });
  Samples out;
  for (std::size_t i : order) {
    out.values.push_back(s.values[i]);
    if (!s.weights.empty()) out.weights.push_back(s.weights[i]);
  }
  return out;
}

/// The error of samples begin .. end - 1 about their mean, by two plain passes.
double naive_cost(const Samples& s, std::size_t begin, std::size_t end) {
  double mass = 0;
  double moment = 0;
  for (std::size_t i = begin; i < end; ++i) {
    mass += weight_of(s, i);
    moment += weight_of(s, i) * static_cast<double>(s.values[i]);
  }
  double sum = 0;
  for (std::size_t i = begin; i < end; ++i) {
    const double e = static_cast<double>(s.values[i]) - moment / mass;
    sum += weight_of(s, i) * e * e;
  }
  return sum;
}

/// The least error of any partition of ascending samples from `begin` on into at most k runs, by trying all.
double least_of_all_partitions(const Samples& s, std::size_t begin, int k) {
  const std::size_t n = s.values.size();
  double least = naive_cost(s, begin, n);
  if (k == 1) return least;
  for (std::size_t end = begin + 1; end < n; ++end)
    least = std::min(least, naive_cost(s, begin, end) + least_of_all_partitions(s, end, k - 1));
  return least;
}

TEST(KMeans, GlobalIsTheLeastOfAllPartitions) {
  for (std::size_t n : {1u, 2u, 3u, 5u, 8u, 11u}) {
    for (int k = 1; k <= 5; ++k) {
      for (std::uint64_t seed = 0; seed < 20; ++seed) {
        Samples s = random_samples(n, 100 * n + seed);
        if (seed % 2 == 0) s.weights.clear();
        const double least = least_of_all_partitions(sorted(s), 0, k);
        const Fit f = global(s, k);
        EXPECT_NEAR(f.result.error, least, 1e-12);
        EXPECT_NEAR(naive_error(s, f.levels), least, 1e-6) << "levels are floats";
        EXPECT_GE(fit(s, k).result.error, least - 1e-12);
      }
    }
  }
}

/// The least errors of 1 .. k clusters, in k n^2 steps from a table of all costs.
std::vector<double> naive_program(const Samples& unsorted, std::size_t k) {
  const Samples s = sorted(unsorted);
  const std::size_t n = s.values.size();
  std::vector<double> least(n + 1, std::numeric_limits<double>::infinity()), errors;
  std::vector<std::vector<double>> cost(n + 1, std::vector<double>(n + 1));
  for (std::size_t a = 0; a < n; ++a)
    for (std::size_t b = a + 1; b <= n; ++b) cost[a][b] = naive_cost(s, a, b);
  least[0] = 0;
  for (std::size_t j = 0; j < k; ++j) {
    for (std::size_t b = n; b > 0; --b) {
      least[b] = j == 0 ? cost[0][b] : least[b];
      if (j > 0)
        for (std::size_t a = 0; a < b; ++a) least[b] = std::min(least[b], least[a] + cost[a][b]);
    }
    errors.push_back(least[n]);
  }
  return errors;
}

TEST(KMeans, GlobalIsTheLeastForHundredsOfSamples) {
  for (std::size_t n : {17u, 97u, 257u}) {
    const Samples s = random_samples(n, n);
    const std::vector<double> least = naive_program(s, 64);
    for (int k : {1, 2, 3, 4, 7, 8, 15, 16, 31, 64}) {
      const double expected = least[static_cast<std::size_t>(k - 1)];
      EXPECT_NEAR(global(s, k).result.error, expected, 1e-9 * expected + 1e-12) << n << " samples, " << k << " levels";
    }
  }
}

TEST(KMeans, ErrorIsThatOfTheLevels) {
  const Samples s = random_samples(3001, 5);
  for (int k : {1, 2, 3, 16, 100}) {
    for (const Fit& f : {fit(s, k), global(s, k)})
      EXPECT_NEAR(f.result.error, naive_error(s, f.levels), 1e-5 * f.result.error) << k;
  }
}

TEST(KMeans, LevelsAreTheMeansOfTheValuesNearestToThem) {
  const Samples s = random_samples(3001, 6);
  for (int k : {2, 3, 8, 16}) {
    for (const Fit& f : {fit(s, k), global(s, k)}) {
      const auto size = static_cast<std::size_t>(k);
      std::vector<double> mass(size), moment(size);
      for (std::size_t i = 0; i < s.values.size(); ++i) {
        std::size_t best = 0;
        for (std::size_t j = 1; j < size; ++j)
          if (std::abs(s.values[i] - f.levels[j]) < std::abs(s.values[i] - f.levels[best])) best = j;
        mass[best] += weight_of(s, i);
        moment[best] += weight_of(s, i) * static_cast<double>(s.values[i]);
      }
      for (std::size_t j = 0; j < size; ++j) EXPECT_NEAR(moment[j] / mass[j], static_cast<double>(f.levels[j]), 1e-6);
    }
  }
}

TEST(KMeans, NoStepOfLloydsMethodRaisesTheError) {
  for (std::uint64_t seed : {1u, 2u, 3u}) {
    const Samples s = random_samples(1000, seed);
    for (int k : {2, 5, 16, 63}) {
      const Fit final = fit(s, k);
      ASSERT_GT(final.result.iterations, 0);
      double before = std::numeric_limits<double>::infinity();
      for (int steps = 0; steps <= final.result.iterations; ++steps) {
        const Fit f = fit(s, k, {.max_iterations = steps});
        EXPECT_EQ(f.result.iterations, steps);
        EXPECT_LE(f.result.error, before);
        before = f.result.error;
      }
      EXPECT_EQ(before, final.result.error);
      EXPECT_GE(before, global(s, k).result.error * (1 - 1e-12));
    }
  }
}

TEST(KMeans, LocalComesNearTheLeastOnNormalSamples) {
  Samples s;
  for (std::uint64_t i = 0; i < 4096; ++i) s.values.push_back(static_cast<float>(test::normal_sample(i)));
  const double least = global(s, 16).result.error;
  EXPECT_LE(fit(s, 16).result.error, 1.1 * least);
  // REFERENCE, section 1: 0.0095010 per sample for the density; fitted levels are a little better on their samples.
  EXPECT_NEAR(least / 4096, 0.0095, 0.0005);
}

TEST(KMeans, WholeWeightsAreRepeatedSamples) {
  const Samples s = random_samples(200, 9);
  Samples scaled = s, repeated;
  for (std::size_t i = 0; i < s.values.size(); ++i) {
    scaled.weights[i] = 4 * s.weights[i];
    for (int j = 0; j < static_cast<int>(scaled.weights[i]); ++j) repeated.values.push_back(s.values[i]);
  }
  for (int k : {1, 2, 7, 16}) {
    const Fit a = global(scaled, k), b = global(repeated, k);
    EXPECT_NEAR(a.result.error, b.result.error, 1e-10 * a.result.error);
    for (std::size_t j = 0; j < a.levels.size(); ++j) EXPECT_NEAR(a.levels[j], b.levels[j], 1e-6f);
    const Fit c = fit(scaled, k), d = fit(repeated, k);
    EXPECT_NEAR(c.result.error, d.result.error, 1e-10 * c.result.error);
  }
}

TEST(KMeans, OrderOfTheSamplesDoesNotMatterNorDoesASecondRun) {
  const Samples s = random_samples(1001, 12);
  Samples shuffled = s;
  const Random random(13);
  for (std::size_t i = s.values.size() - 1; i > 0; --i) {
    const std::size_t j = random.bits(i) % (i + 1);
    std::swap(shuffled.values[i], shuffled.values[j]);
    std::swap(shuffled.weights[i], shuffled.weights[j]);
  }
  for (int k : {1, 3, 16}) {
    EXPECT_EQ(fit(s, k).levels, fit(shuffled, k).levels);
    EXPECT_EQ(fit(s, k).levels, fit(s, k).levels);
    EXPECT_EQ(global(s, k).levels, global(shuffled, k).levels);
    EXPECT_EQ(global(s, k).result.error, global(shuffled, k).result.error);
  }
}

TEST(KMeans, ValuesOfNoWeightCountForNothing) {
  const Samples s = random_samples(100, 14);
  Samples more = s;
  for (float x : {-1e30f, 3.0f, 1e30f, 0.01f}) {
    more.values.push_back(x);
    more.weights.push_back(x < 2 ? 0 : 1e-10f);  // or next to none
  }
  for (int k : {1, 4, 16}) {
    EXPECT_EQ(fit(s, k).levels, fit(more, k).levels);
    EXPECT_EQ(global(s, k).levels, global(more, k).levels);
  }
}

TEST(KMeans, FarValuesTakeALevelEachAndDoNotBlurTheRest) {
  for (float far : {-1e10f, 1e10f, 1e30f}) {
    const Samples s = random_samples(1000, 22);
    Samples more = s;
    more.values.push_back(far);
    more.weights.push_back(1);
    for (Optimum optimum : {Optimum::Local, Optimum::Global}) {
      const Fit f = fit(s, 15, {.optimum = optimum}), g = fit(more, 16, {.optimum = optimum});
      EXPECT_EQ(g.levels[far < 0 ? 0 : 15], far);
      if (optimum == Optimum::Local) continue;
      EXPECT_NEAR(g.result.error, f.result.error, 1e-9 * f.result.error);
      for (std::size_t j = 0; j < 15; ++j) EXPECT_NEAR(g.levels[far < 0 ? j + 1 : j], f.levels[j], 1e-6f);
    }
  }
}

TEST(KMeans, FewDistinctValuesAreTheLevelsAndTheLastIsRepeated) {
  for (Optimum optimum : {Optimum::Local, Optimum::Global}) {
    const KMeansOptions options{.optimum = optimum};
    EXPECT_EQ(fit({{3, 1, 3, 2, 1}, {}}, 3, options).levels, (std::vector<float>{1, 2, 3}));
    EXPECT_EQ(fit({{3, 1, 3, 2, 1}, {}}, 6, options).levels, (std::vector<float>{1, 2, 3, 3, 3, 3}));
    EXPECT_EQ(fit({{-0.0f, 0.0f, 0.0f}, {}}, 4, options).levels, (std::vector<float>{0, 0, 0, 0}));
    EXPECT_EQ(fit({{5}, {0.5f}}, 2, options).levels, (std::vector<float>{5, 5}));
    EXPECT_EQ(fit({{5, 7}, {1, 3}}, 1, options).levels, (std::vector<float>{6.5f}));
    EXPECT_EQ(fit({{3, 1, 3, 2, 1}, {}}, 3, options).result.error, 0);
  }
}

TEST(KMeans, SeparateClumpsAreFound) {
  Samples s;
  const std::vector<float> centres = {-9, -1, 0, 2, 2.5f, 40};
  for (float c : centres)
    for (float d : {-0.03125f, 0.0f, 0.03125f}) s.values.push_back(c + d);
  EXPECT_EQ(fit(s, 6).levels, centres);
  EXPECT_EQ(global(s, 6).levels, centres);
}

TEST(KMeans, AnEmptiedClusterIsUsedElsewhere) {
  // The means of these clusters are -0.1, 5 and 10.1: no value is nearest to 5.
  const std::vector<float> values = {-0.1f, 0, 10, 10.1f};
  const kmeans::SortedSamples samples(values.data(), nullptr, 4);
  const kmeans::Splits before = {0, 1, 3, 4};
  const kmeans::Splits after = kmeans::lloyd_step(samples, before);
  ASSERT_EQ(after.size(), 4u);
  for (std::size_t j = 1; j < 4; ++j) EXPECT_LT(after[j - 1], after[j]);
  EXPECT_NEAR(kmeans::total_error(samples, before), 50, 1e-5);
  EXPECT_NEAR(kmeans::total_error(samples, after), 0.005, 1e-5);

  // Two at once, and the clusters that are halved for them.
  const std::vector<float> wide = {-100, -1, 1, 100, 199, 201, 300};
  const kmeans::SortedSamples more(wide.data(), nullptr, 7);
  kmeans::Splits splits = {0, 0, 7, 7};
  kmeans::refill_empty(more, splits);
  ASSERT_EQ(splits.size(), 4u);
  for (std::size_t j = 1; j < 4; ++j) EXPECT_LT(splits[j - 1], splits[j]);
  EXPECT_LT(kmeans::total_error(more, splits), more.error(0, 7) / 4);
}

TEST(KMeans, SeedsAndExchangesKeepEveryClusterFilledAndNeverRaiseTheError) {
  int gains = 0;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    Samples s = random_samples(120, seed);
    if (seed % 3 == 0) s.values[0] = 1e6f;  // leaves all others in the first share of the range
    const kmeans::SortedSamples samples(s.values.data(), s.weights.data(), s.count());
    for (std::size_t k : {std::size_t{1}, std::size_t{2}, std::size_t{3}, std::size_t{17}, samples.size() - 1}) {
      const kmeans::Splits before = kmeans::seed_splits(samples, k);
      const kmeans::Splits after = kmeans::exchange(samples, before);
      for (const kmeans::Splits& splits : {before, after}) {
        ASSERT_EQ(splits.size(), k + 1);
        EXPECT_EQ(splits.front(), 0u);
        EXPECT_EQ(splits.back(), samples.size());
        for (std::size_t j = 0; j < k; ++j) EXPECT_LT(splits[j], splits[j + 1]);
      }
      const double error = kmeans::total_error(samples, before);
      EXPECT_LE(kmeans::total_error(samples, after), error * (1 + 1e-9) + 1e-9);
      gains += kmeans::total_error(samples, after) < 0.99 * error;
    }
  }
  EXPECT_GT(gains, 50);
}

TEST(KMeans, FarFromZeroAndExtremeSizes) {
  Samples s = random_samples(300, 15);
  for (float& x : s.values) x = std::round(x * 64) / 64;
  const Fit base = global(s, 8);
  Samples moved = s;
  for (float& x : moved.values) x += 16384;
  EXPECT_NEAR(global(moved, 8).result.error, base.result.error, 1e-9 * base.result.error);
  for (float size : {0x1p-120f, 0x1p+120f}) {
    Samples sized = s;
    for (float& x : sized.values) x *= size;
    const Fit f = global(sized, 8), g = fit(sized, 8), h = fit(s, 8);
    for (std::size_t j = 0; j < 8; ++j) {
      EXPECT_EQ(f.levels[j], base.levels[j] * size);
      EXPECT_EQ(g.levels[j], h.levels[j] * size);
    }
  }
}

TEST(KMeans, LevelsAscendAndAreFinite) {
  const float most = std::numeric_limits<float>::max();
  const std::vector<Samples> cases = {
      random_samples(500, 16),
      {{1, 1 + 0x1p-23f, 1 + 0x1p-22f, 1 + 0x1.8p-22f, 1 + 0x1p-21f}, {}},
      {{-most, most, 0, 1, 2, most / 2}, {}},
      {{1e-45f, 2e-45f, 3e-45f, 1e-44f, 0, -1e-45f}, {}},
      {{0, 1, 2, 3, 4, 5}, {most, 1e-45f, 1, most, 1e-20f, 3}},
  };
  for (const Samples& s : cases) {
    for (int k : {1, 2, 3, 4, 5, 8}) {
      for (const Fit& f : {fit(s, k), global(s, k)}) {
        for (std::size_t j = 0; j < f.levels.size(); ++j) {
          EXPECT_TRUE(std::isfinite(f.levels[j]));
          EXPECT_LE(f.levels[j > 0 ? j - 1 : 0], f.levels[j]);
        }
        EXPECT_TRUE(std::isfinite(f.result.error));
      }
    }
  }
}

std::string message_of(const Samples& s, int k) {
  std::vector<float> levels(64, -77.0f);
  try {
    kmeans_1d(s.values.data(), s.weights.empty() ? nullptr : s.weights.data(), s.count(), levels.data(), k);
  } catch (const std::invalid_argument& e) {
    for (float level : levels) EXPECT_EQ(level, -77) << "nothing may be written";
    return e.what();
  }
  return "no exception";
}

TEST(KMeans, NamesWhatIsWrong) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(message_of({{1, 2}, {}}, 0), "nibble::kmeans_1d: expected k >= 1, got 0");
  EXPECT_EQ(message_of({{1, 2}, {}}, -3), "nibble::kmeans_1d: expected k >= 1, got -3");
  EXPECT_EQ(message_of({{}, {}}, 2), "nibble::kmeans_1d: expected samples, got 0");
  EXPECT_EQ(message_of({{1, nan}, {}}, 2), "nibble::kmeans_1d: expected finite values, got nan at 1");
  EXPECT_EQ(message_of({{-infinity, 1}, {}}, 2), "nibble::kmeans_1d: expected finite values, got -inf at 0");
  EXPECT_EQ(message_of({{1, 2, 3}, {1, 1, infinity}}, 2),
            "nibble::kmeans_1d: expected finite weights >= 0, got inf at 2");
  EXPECT_EQ(message_of({{1, 2, 3}, {1, nan, 1}}, 2), "nibble::kmeans_1d: expected finite weights >= 0, got nan at 1");
  EXPECT_EQ(message_of({{1, 2, 3}, {1, -0.5f, 1}}, 2),
            "nibble::kmeans_1d: expected finite weights >= 0, got -0.5 at 1");
  EXPECT_EQ(message_of({{1, 2, 3}, {0, 0, 0}}, 2),
            "nibble::kmeans_1d: expected a sample of positive weight, got none among 3");
  EXPECT_EQ(message_of({{1, nan}, {1, 0}}, 2), "nibble::kmeans_1d: expected finite values, got nan at 1");
}

}  // namespace
}  // namespace nibble::formats
