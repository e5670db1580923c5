// Casts of arrays that fit the L2 cache, not the L1: cast/<encode or decode>/<format>, in bytes of floats per second.
#include "families.h"
#include "gemm_benchmark.h"

namespace nibble::bench {
namespace {

constexpr Index count = 65536;  // with the codes at most 384 KiB

void report(benchmark::State& state, const Settings& settings, std::function<void()> call) {
  Limit& l2 = l2_read_limit();
  const Rounds rounds = take_turns(state, settings.seconds, 1, std::move(call), {{"l2", [&] { return l2.sample(); }}});
  const double bytes = static_cast<double>(count) * sizeof(float);
  state.counters["bytes_per_second"] = bytes / rounds.median_seconds();
  if (l2.best() == 0) return;
  state.counters["fraction_of_l2"] =
      rounds.paired(rounds.rivals[0], [&](double s, double limit) { return bytes / s / limit; });
  state.counters["best_fraction_of_l2"] = bytes / rounds.best_seconds() / l2.best();
}

template <class F> void add(const Settings& settings, const char* format) {
  benchmark::RegisterBenchmark(text("cast/encode/", format).c_str(), [&settings](benchmark::State& state) {
    const Eigen::MatrixXf floats = random_normal(count, 1);
    CodeMatrix<F> codes(count, 1);
    report(state, settings, [&] {
      encode<F>(floats.data(), count, codes.data());
      benchmark::ClobberMemory();
    });
  });
  benchmark::RegisterBenchmark(text("cast/decode/", format).c_str(), [&settings](benchmark::State& state) {
    const CodeMatrix<F> codes = encode<F>(random_normal(count, 1));
    Eigen::MatrixXf floats(count, 1);
    report(state, settings, [&] {
      decode<F>(codes.data(), count, floats.data());
      benchmark::ClobberMemory();
    });
  });
}

}  // namespace

void register_cast(const Settings& settings) {
  add<formats::E4M3FN>(settings, "e4m3fn");
  add<formats::E5M2>(settings, "e5m2");
  add<formats::E4M3FNUZ>(settings, "e4m3fnuz");
  add<formats::E3M2>(settings, "e3m2");
  add<formats::E2M3>(settings, "e2m3");
  add<formats::E2M1>(settings, "e2m1");
  add<formats::E8M0>(settings, "e8m0");
  add<formats::BFloat16>(settings, "bfloat16");
  add<formats::Half>(settings, "half");
}

}  // namespace nibble::bench
