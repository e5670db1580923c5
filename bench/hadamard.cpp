// One column transformed in place, over and over: hadamard/n:<n>.
#include "families.h"
#include "gemm_benchmark.h"

namespace nibble::bench {
namespace {

void add(const Settings& settings, int steps) {
  const Index n = Index{1} << steps;
  benchmark::RegisterBenchmark(text("hadamard/n:", n).c_str(), [&settings, steps, n](benchmark::State& state) {
    Eigen::MatrixXf x = random_normal(n, 1);
    Limit& fma = fma_limit(resolve());
    const Rounds rounds = take_turns(state, settings.seconds, 1,
                                     [&] {
                                       hadamard_transform_in_place(x);
                                       benchmark::ClobberMemory();
                                     },
                                     {{"fma", [&] { return fma.sample(); }}});
    const double bytes = static_cast<double>(n) * sizeof(float), additions = static_cast<double>(n) * steps;
    state.counters["ops_per_second"] = additions / rounds.median_seconds();
    state.counters["bytes_per_second"] = bytes / rounds.median_seconds();
    if (fma.best() == 0) return;
    // An instruction of additions has as many lanes as one of multiply-adds, which count for 2 operations each.
    state.counters["fraction_of_peak"] =
        rounds.paired(rounds.rivals[0], [&](double s, double limit) { return additions / s / (limit / 2); });
    state.counters["best_fraction_of_peak"] = additions / rounds.best_seconds() / (fma.best() / 2);
  });
}

}  // namespace

void register_hadamard(const Settings& settings) {
  for (int steps : {4, 6, 8, 10, 12, 14, 16, 18, 20}) add(settings, steps);
}

}  // namespace nibble::bench
