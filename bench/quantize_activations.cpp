// Quantizing activations: quantize_activations/<kind>/K:<k>/M:<m>, in bytes of floats read per second.
#include <set>

#include "families.h"
#include "gemm_benchmark.h"

namespace nibble::bench {
namespace {

template <class A> void add(const Settings& settings, Index k, Index m) {
  const std::string name = text("quantize_activations/", IntegerActivations<A>::name, "/K:", k, "/M:", m);
  benchmark::RegisterBenchmark(name.c_str(), [&settings, k, m](benchmark::State& state) {
    const Eigen::MatrixXf x = random_normal(k, m);
    Limit& dram = dram_read_limit(1);
    const Rounds rounds =
        take_turns(state, settings.seconds, 1, [&] { benchmark::DoNotOptimize(quantize_activations<A>(x)); },
                   {{"dram", [&] { return dram.sample(); }}});
    const double bytes = static_cast<double>(x.size()) * sizeof(float);
    state.counters["bytes_per_second"] = bytes / rounds.median_seconds();
    state.counters["fraction_of_dram"] =
        rounds.paired(rounds.rivals[0], [&](double s, double limit) { return bytes / s / limit; });
  });
}

}  // namespace

void register_quantize_activations(const Settings& settings) {
  std::set<std::pair<Index, Index>> sizes;
  for (const Shape& shape : settings.shapes) sizes.emplace(shape.k, shape.m);
  for (const auto& [k, m] : sizes) {
    add<Int<8>>(settings, k, m);
    add<Int<8, Group<32>>>(settings, k, m);
  }
}

}  // namespace nibble::bench
