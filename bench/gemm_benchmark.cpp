#include "gemm_benchmark.h"

#include "peers.h"

namespace nibble::bench {

void measure_gemm(benchmark::State& state, const Settings& settings, const Product& product) {
  const auto [n, k, m] = product.shape;
  const int threads = product.threads;
  Limit& peak = product.peak;
  Limit& dram = dram_read_limit(threads);
  std::vector<Rival> rivals;
  rivals.push_back({"peak", [&] { return peak.sample() * threads / product.passes; }});
  rivals.push_back({"dram", [&] { return dram.sample(); }});
  if (settings.peers && threads == 1) {
    for (const Peer& peer : peers(n, k, m)) {
      auto timed = std::make_shared<Timed>(peer.multiply);
      timed->calibrate();
      rivals.push_back({"vs_" + peer.name, [timed] { return timed->sample(); }});
    }
  }
  const Rounds rounds = take_turns(state, settings.seconds, threads, product.multiply, std::move(rivals));

  const double ops = 2.0 * static_cast<double>(n) * static_cast<double>(k) * static_cast<double>(m);
  const double bytes = static_cast<double>(product.bytes);
  auto& counters = state.counters;
  counters["ops_per_second"] = ops / rounds.median_seconds();
  counters["weight_bytes_per_second"] = bytes / rounds.median_seconds();
  for (const Rival& rival : rounds.rivals) {
    if (rival.name == "dram") {
      counters["fraction_of_dram"] = rounds.paired(rival, [&](double s, double rate) { return bytes / s / rate; });
      counters["best_fraction_of_dram"] = bytes / rounds.best_seconds() / dram.best();
    } else if (rival.name != "peak") {
      counters[rival.name] = rounds.paired(rival, [](double s, double theirs) { return theirs / s; });
    } else if (peak.best() > 0) {
      counters["fraction_of_peak"] = rounds.paired(rival, [&](double s, double rate) { return ops / s / rate; });
      counters["best_fraction_of_peak"] = ops / rounds.best_seconds() / (peak.best() * threads / product.passes);
    }
  }
}

}  // namespace nibble::bench
